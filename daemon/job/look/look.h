/*
 * look.h: a backup becomes a file without a name, for somebody to look into.
 *
 *     look around -> download => transient file -> its descriptor, for reading
 *
 * The front is that of a restore (reader.h): the dump is read, decrypted and checked to its last byte before anybody
 * gets it. The file lies beside snapshot_path and is gone when the last one who has it open closes it, however he ends:
 * we close ours after `done`. What is in it is for others to read; nothing of it is parsed here.
 */
#pragma once

#include "job/job.h"
#include "job/keys/brought_keys.h"
#include "job/restore/choice.h"

struct look;

struct look_request {
    struct choice choice;
    bool allow_renamed, allow_plain;
    struct brought_keys brought;
    bool skip_hash_check;
};

/* Starts one. Errors: ERR_CONFIG (no snapshot_path), ERR_RESOURCE; all else comes through `done`. Frees itself after
 * `done`. */
struct look *look_start(
        struct core *core, const struct look_request *request, const struct job_sink *sink, struct err *e);

/* Asks it to stop: nothing is left on disk, then `done` says ERR_CANCELLED. */
void look_cancel(struct look *l);
