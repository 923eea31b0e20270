/*
 * dump_object.h: the upload of a backup's dump, by the configuration.
 *
 * Its metadata say what it is a backup of. Sealed parts that a slow S3 does not take may wait on disk beside
 * snapshot_path; plaintext never may.
 */
#pragma once

#include "base/err.h"
#include "core/core.h"
#include "job/job.h"
#include "s3/upload.h"

struct dump_object_events { /* as in s3/upload.h */
    void *ctx;
    void (*on_retry)(void *ctx, const struct s3_retry *retry);
    void (*on_room)(void *ctx);
    void (*on_flushed)(void *ctx);
    void (*on_failed)(void *ctx, const struct err *err);
    void (*on_committed)(void *ctx, const struct err *err);
    void (*on_aborted)(void *ctx, const struct err *err);
};

/* Starts the upload of what `backup` names: name, both sizes, encrypted, compressed and
 * member are set. The caller owns it.
 * Errors: those of core_s3 and s3_upload_start. */
struct s3_upload *dump_object_start(
        struct core *core, const struct backup_result *backup, const struct dump_object_events *events, struct err *e);
