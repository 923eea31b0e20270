/*
 * deletion.h: backups go, in an order that leaves nothing unreadable, as far as the store lets them go.
 *
 *     what is locked stays (locks.h) => dumps go, and lone keys => keys of dumps that are gone
 *
 * Which ones go is prune's to decide (prune.h). A dump goes before its key, so that what is visible can always be
 * decrypted. What the store does not let go is told, with its reason, and stays.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "catalog/list.h"
#include "core/core.h"

enum deletion_fate {
    DELETION_GONE,   /* the dump, or the lone key */
    DELETION_LOCKED, /* the store does not let it go, or its key */
    DELETION_FAILED, /* it is there, or its key is, or nobody knows; counts in the error of on_done */
};

struct deletion_spec {
    const struct catalog_backup *const *backups; /* borrowed, with what they point to, until freed */
    size_t n;
    bool dry_run; /* look for locks, and delete nothing */
    void *ctx;
    void (*on_phase)(void *ctx, const char *phase);
    void (*on_note)(void *ctx, const char *note);
    /* What became of backups[index]; err, valid during the call, with all but GONE. A backup whose dump has gone and
     * whose key stays is told twice. Of a dry run only what would stay. */
    void (*on_fate)(void *ctx, size_t index, enum deletion_fate fate, const struct err *err);
    /* Once unless freed. err: nothing more is deleted, or so many could not be. */
    void (*on_done)(void *ctx, const struct err *err);
};

struct deletion;

/* Starts. Acquires the core. No callback comes before it returns. The caller frees. Errors: ERR_RESOURCE. */
struct deletion *deletion_start(struct core *core, const struct deletion_spec *spec, struct err *e);

/* Stops what runs, without a callback: what is gone is gone. NULL is fine. */
void deletion_free(struct deletion *d);
