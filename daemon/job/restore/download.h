/*
 * download.h: an opened backup through fetch and unseal into a file, or to nowhere.
 *
 *     fetch => unseal -> decompress -> digest -> file => asynchronous, bounded;  -> a plain function call
 *
 * It is done when the last byte has authenticated, etcd's SHA-256 was right, and the target is committed.
 */
#pragma once

#include "core/core.h"
#include "job/restore/opened_backup.h"
#include "job/restore/output_file.h"

struct download;

struct download_spec {
    const struct opened_backup *source; /* borrowed, open */
    struct output_file *target;         /* borrowed; NULL: the bytes are looked at and dropped */
    bool skip_hash_check;
    void *ctx;
    void (*on_progress)(void *ctx, uint64_t done); /* bytes of the dump */
    void (*on_note)(void *ctx, const char *text);  /* one line: S3 is asked again, and why */
    /* Once, never inside the start; frees itself before. Errors name the backup. */
    void (*on_done)(void *ctx, uint64_t written, const struct err *err);
};

/* Starts. Errors: ERR_INTEGRITY (no dump has that size), ERR_RESOURCE, those of core_s3; they name the backup. */
struct download *download_start(struct core *core, const struct download_spec *spec, struct err *e);

/* Asks it to stop: on_done follows with ERR_CANCELLED, or with success if it was too late. */
void download_cancel(struct download *d);
