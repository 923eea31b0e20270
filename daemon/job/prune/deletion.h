/*
 * deletion.h: backups go, in an order that leaves nothing unreadable, as far as the store lets them go.
 *
 *     does the bucket keep versions? => what is locked stays, with its other half (locks.h)
 * *     => dumps go, and lone keys => keys of dumps that are gone, and the marks that those are bad
 *
 * Which ones go is prune's to decide (prune.h). A dump goes before its key, so that what is visible can always be
 * decrypted. Where the store fails in the middle of the dumps, the keys of those that are gone go all the same. Nothing
 * is deleted of which it is not known whether it is locked: in a bucket that keeps versions the
 * store would only hide it, and say yes. What keeps no versions can hide nothing, whoever may ask for its locks. A
 * refusal that comes after the look at locks is no lock but a right that is missing, and a failure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "catalog/list.h"
#include "core/core.h"

enum deletion_fate {
    DELETION_GONE,   /* the dump, or the lone key */
    DELETION_LOCKED, /* the store keeps it, or its key, under lock */
    DELETION_FAILED, /* it is there, or nobody knows */
};

/* Whether what is deleted is kept as an old version, and frees nothing. */
enum deletion_versions { DELETION_VERSIONS_NONE, DELETION_VERSIONS_KEPT, DELETION_VERSIONS_UNKNOWN };

/* What became of a backup. The pointers are valid during the call. */
struct deletion_report {
    size_t index; /* of it in deletion_spec.backups */
    enum deletion_fate fate;
    const char *object;    /* the dump, the lone key; or what stays of a dump that has gone */
    bool is_after_dump;    /* it is that: the dump was told before */
    const struct err *err; /* with all but GONE */
};

struct deletion_spec {
    const struct catalog_backup *const *backups; /* borrowed, with what they point to, until freed */
    size_t n;
    bool dry_run; /* look for locks, and delete nothing */
    void *ctx;
    void (*on_phase)(void *ctx, const char *phase);
    /* Once for each, and again for a key that stays alone. Of a dry run only what would stay. */
    void (*on_report)(void *ctx, const struct deletion_report *report);
    /* Once unless freed. err: it ended before. */
    void (*on_done)(void *ctx, enum deletion_versions versions, const struct err *err);
};

struct deletion;

/* Starts. Acquires the core. No callback comes before it returns. The caller frees. Errors: ERR_RESOURCE. */
struct deletion *deletion_start(struct core *core, const struct deletion_spec *spec, struct err *e);

/* Stops what runs, without a callback: what is gone is gone. NULL is fine. */
void deletion_free(struct deletion *d);
