/*
 * disk_space.h: whether the file systems have space for what is going to be written, several things on one disk added
 * up.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "job/restore/data_dir.h"
#include "job/restore/output_file.h"

enum { ROOM_MAX = 4 };

struct disk_space {
    unsigned count;
    struct {
        dev_t dev;
        uint64_t need, available; /* bytes */
        char where[160];          /* a path on it */
    } disks[ROOM_MAX];
};

#define ROOM_INIT ((struct disk_space){.count = 0})

/* So many bytes more, for a file or in a place. Errors: ERR_RESOURCE (cannot be asked). */
int disk_space_need_beside(struct disk_space *r, const struct output_file *t, uint64_t bytes, struct err *e);
int disk_space_need(struct disk_space *r, const struct data_dir *p, uint64_t bytes, struct err *e);

/* Errors: ERR_RESOURCE (too little), naming the first disk that is too small, what is needed and what there is. */
int disk_space_verdict(const struct disk_space *r, struct err *e);
