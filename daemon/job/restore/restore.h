/*
 * restore.h: a backup becomes a file or a data directory again, or nothing does.
 *
 *     look around -> download => file
 *                             => transient file => etcdutl => data directory
 *
 * Before the first byte moves, all that can be known is looked at, and every objection is told at once: the backup is
 * there and its key unwraps, the target is absent or empty, there is room, etcdutl is able to do what was asked. Then
 * the dump is read by several ranged GETs and what authenticates goes into a file that appears only when etcd's SHA-256
 * was right (output_file.h), or never gets a name and is what etcdutl reads (unpack.h, data_dir.h).
 */
#pragma once

#include "job/job.h"
#include "job/keys/brought_keys.h"
#include "job/restore/choice.h"
#include "job/restore/unpack.h"

struct restore;

/* All is copied. */
struct restore_request {
    struct choice choice;
    const char *output; /* path of the file; NULL: the configuration's snapshot_path */
    bool allow_renamed;
    bool skip_hash_check;
    bool allow_plain; /* a dump that is not encrypted, though a master key is configured */
    struct brought_keys brought;

    bool dry_run; /* look around, and say what would be done */
    bool unpacks; /* into a data directory, as `unpack` says; `output` then only says where the disk is large */
    struct unpack_options unpack;
};

/* Starts one. Errors: ERR_CONFIG (no output anywhere), ERR_RESOURCE; all else comes through `done`. Frees itself after
 * `done`. */
struct restore *restore_start(
        struct core *core, const struct restore_request *request, const struct job_sink *sink, struct err *e);

/* Asks it to stop: nothing is left on disk, then `done` says ERR_CANCELLED. */
void restore_cancel(struct restore *r);
