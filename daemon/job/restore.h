/*
 * restore.h: a backup becomes a file again, or nothing does.
 *
 *     fetch => unseal -> digest -> file               => asynchronous, bounded;  -> a plain function call
 *
 * Finds the backup in the bucket, unwraps its key, reads it by several ranged GETs, and writes what authenticates into
 * a file that gets its name only when the last byte and etcd's SHA-256 were right (target.h).
 */
#pragma once

#include "job.h"

struct restore;

struct restore_request {
    bool latest;     /* or that of `instant` */
    int64_t instant; /* seconds since the epoch */
    char *output;    /* path of the file; NULL: the configuration's snapshot_path. Copied. */
    bool allow_renamed;
    bool skip_hash_check;
    bool allow_plain; /* a dump that is not encrypted, though a master key is configured */
};

/* Starts one. Errors: ERR_CONFIG (no output anywhere), ERR_RESOURCE; all else comes through `done`. Frees itself after
 * `done`. */
struct restore *restore_start(
        struct core *core, const struct restore_request *request, const struct job_sink *sink, struct err *e);

/* Asks it to stop: nothing is left on disk, then `done` says ERR_CANCELLED. */
void restore_cancel(struct restore *r);
