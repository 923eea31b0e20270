/*
 * contents.h: what a snapshot in a file holds, as etcd's members compare it: HashKV, without etcdutl.
 *
 *     map => two passes (keyspace/hash.h) on the thread pool, a stretch at a time => HashKV, how many keys there are
 *
 * The file is mapped: the page cache holds it, not we. Each key takes 43 to 86 bytes of memory while it is at work
 * (keyspace/index.h), and a database of more keys than fit into CONTENTS_MEMORY_MAX, three million, is not read. What
 * the disk does not give back is an error, and not our end (base/mapping.h).
 */
#pragma once

#include <uv.h>

#include "base/err.h"
#include "keyspace/hash.h"

enum { CONTENTS_MEMORY_MAX = 256 << 20 /* bytes */ };

struct contents;

struct contents_spec {
    int fd; /* of the snapshot, which nobody else changes; the caller's, until on_read */
    void *ctx;
    /* Once, never inside the start; frees itself before. Errors: ERR_INTEGRITY, ERR_NOT_FOUND (it is no database of
     * etcd), ERR_CONFIG (a page size that we do not know), ERR_RESOURCE (too many keys; of ERR_DOMAIN_ERRNO: the file
     * cannot be read), ERR_CANCELLED. */
    void (*on_read)(void *ctx, const struct keyspace_hash *hash, const struct err *err);
};

/* Starts. Errors: ERR_RESOURCE. */
struct contents *contents_start(uv_loop_t *loop, const struct contents_spec *spec, struct err *e);

/* Asks it to stop: on_read follows with ERR_CANCELLED. */
void contents_cancel(struct contents *c);
