/*
 * old_versions.h: after a rotation, the old versions of the keys that a versioned bucket keeps: counted, or removed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/core.h"

struct old_versions;

enum { OLD_VERSIONS_MAX = 1000000 }; /* removed in one run; those beyond are counted */

struct old_versions_result {
    unsigned found; /* of keys that `find` knows */
    unsigned lost;  /* of other keys: their backups are deleted, or were not rotated */
    unsigned purged;
    unsigned harmless; /* found to open with the new key, or gone: they are not purged */
    unsigned other;    /* found to open with neither key: they are not purged */
    unsigned locked;   /* of those that were to be purged: the store keeps them until */
    int64_t until;     /* then: the last of them, seconds since the epoch; INT64_MAX: a legal hold */
    unsigned stay;     /* of those that were to be purged, for another reason */
};

struct old_versions_spec {
    const struct secret *previous; /* borrowed, like `next`, until the end */
    const struct secret *next;
    bool purges; /* else it only counts */
    void *ctx;
    /* Whether `name` is a key that was rotated, and the instant of its backup. Until the end. */
    bool (*find)(void *ctx, const char *name, int64_t *instant);
    /* If it purges, asked once, when all are listed: whether it may, now that this is known. Else they stay. */
    bool (*may_purge)(void *ctx);
    void (*on_progress)(void *ctx, unsigned done, unsigned total);
    void (*on_stays)(void *ctx, const char *name, const struct err *err); /* one that was to be purged */
    /* Once unless freed, never inside the start. err: they could not be listed. */
    void (*on_done)(void *ctx, const struct old_versions_result *result, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. Errors: those of core_s3, ERR_RESOURCE. */
struct old_versions *old_versions_start(struct core *core, const struct old_versions_spec *spec, struct err *e);

/* Cancels what runs. NULL is fine. */
void old_versions_free(struct old_versions *v);
