/*
 * room.h: whether the file systems have space for what is going to be written, several things on one disk added up.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "place.h"

enum { ROOM_MAX = 4 };

struct room {
    unsigned count;
    struct {
        dev_t dev;
        uint64_t need, available; /* bytes */
        char where[160];          /* a path on it */
    } disks[ROOM_MAX];
};

#define ROOM_INIT ((struct room){.count = 0})

/* So many bytes more, in the directory of `path` or in a place. Errors: ERR_RESOURCE (cannot be asked). */
int room_need_beside(struct room *r, const char *path, uint64_t bytes, struct err *e);
int room_need(struct room *r, const struct place *p, uint64_t bytes, struct err *e);

/* Errors: ERR_RESOURCE (too little), naming the first disk that is too small, what is needed and what there is. */
int room_verdict(const struct room *r, struct err *e);
