/*
 * backup.h: etcd's snapshot, sealed, becomes an object in S3, or nothing.
 *
 *     snapshot => digest -> seal => upload           => asynchronous, bounded;  -> a plain function call
 *
 * One attempt: one snapshot, one data key, one upload, one time stamp. attempts.h makes another when that may help.
 */
#pragma once

#include "job/job.h"

struct backup;

/* Starts one named after `instant` (core_new_instant). Errors: ERR_RESOURCE; all else comes through `done`, which is
 * told with a failure, too, for how long etcd was read. The backup frees itself after `done`. */
struct backup *backup_start(struct core *core, int64_t instant, const struct job_sink *sink, struct err *e);

/* Asks it to stop: the upload is aborted, then `done` says ERR_CANCELLED, unless it was about to succeed. */
void backup_cancel(struct backup *b);
