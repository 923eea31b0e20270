/*
 * backup.h: etcd's snapshot, sealed, becomes an object in S3, or nothing.
 *
 *     snapshot => digest -> survey -> seal => upload           => asynchronous, bounded;  -> a plain function call
 *
 * One attempt: one snapshot, one data key, one upload, one time stamp. attempts.h makes another when that may help.
 */
#pragma once

#include "job/job.h"

struct backup;

/*
 * A snapshot whose database is damaged is the member's failure (ERR_INTEGRITY): it is not stored, unless
 * `accepts_damaged`. Then it is, a mark beside it says so (job/bucket/bad_mark.h), and it ends with that error all the
 * same; also when storing it fails, which the text then says, too (backup_result.not_stored).
 */
struct backup_spec {
    int64_t instant; /* core_new_instant: the backup's name */
    bool accepts_damaged;
};

/* Errors: ERR_RESOURCE; all else comes through `done`, which is
 * told with a failure, too, for how long etcd was read. The backup frees itself after `done`. */
struct backup *backup_start(
        struct core *core, const struct backup_spec *spec, const struct job_sink *sink, struct err *e);

/* Asks it to stop: the upload is aborted, then `done` says ERR_CANCELLED, unless it was about to succeed. */
void backup_cancel(struct backup *b);
