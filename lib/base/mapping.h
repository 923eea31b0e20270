/*
 * mapping.h: a file in memory, to be read where it lies.
 *
 * What the disk does not give, or what was cut off meanwhile, is a SIGBUS in the middle of whatever reads it, and the
 * end of the process. So a process that has other things to do reads under a guard, which comes back with an error. The
 * handler of SIGBUS is ours from the first guard on; one that is of no guarded mapping ends the process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct mapping {
    void *at; /* NULL: closed */
    size_t len;
};

#define MAPPING_INIT ((struct mapping){.at = NULL})

/* All of the file, for reading; `fd` stays the caller's and may be closed. Errors: ERR_RESOURCE, ERR_INTEGRITY
 * (empty). */
int mapping_open(struct mapping *m, int fd, struct err *e);

struct bytes mapping_bytes(const struct mapping *m);

/*
 * Calls `read`, which may read the mapping, on this thread. When a page is not given the call is left at that point and
 * never returns to it: so it must hold no lock, and keep what it owns where `ctx` leads to. Errors: ERR_RESOURCE, of
 * ERR_DOMAIN_ERRNO and EIO.
 */
int mapping_read(const struct mapping *m, void (*read)(void *ctx), void *ctx, struct err *e);

/* A closed one can be closed. */
void mapping_close(struct mapping *m);
