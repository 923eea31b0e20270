/*
 * old_version.h: one old version of a rotated key, which the bucket keeps, is removed: it still holds the wrap of
 * before.
 *
 * Only if it holds nothing but what the current one holds: it opens with the previous master key, the current one with
 * the new, and both are the same data key. Somebody may have overwritten the true key with another: then the old
 * version is the last copy of it, and stays.
 */
#pragma once

#include "base/err.h"
#include "base/secret.h"
#include "core/core.h"

struct old_version;

enum old_version_outcome {
    OLD_VERSION_PURGED,
    OLD_VERSION_HARMLESS, /* it does not open with the previous key; or it is gone */
    OLD_VERSION_STAYS,    /* err says why */
};

struct old_version_spec {
    const char *name; /* of the key's object; borrowed, as all that follows, until the end */
    const char *version_id;
    int64_t instant; /* of its backup, seconds since the epoch */
    const struct secret *previous;
    const struct secret *next;
    void *ctx;
    /* Once unless freed, never inside the start. err is NULL unless it STAYS. */
    void (*on_done)(void *ctx, enum old_version_outcome outcome, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. Errors: those of core_s3, ERR_RESOURCE. */
struct old_version *old_version_start(struct core *core, const struct old_version_spec *spec, struct err *e);

/* Cancels what runs. NULL is fine. */
void old_version_free(struct old_version *v);
