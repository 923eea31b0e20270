/*
 * old_version.h: one old version of a rotated key, which the bucket keeps, is removed: it still holds the wrap of
 * before.
 *
 * Only if it holds nothing but what the current one holds: it opens with what was handed over, the current one has the
 * form that it is to have, and both are the same data key. Of a current one that is sealed to others the proof beside
 * it says so (sealed_key_proof), or an identity that the person has brought. Somebody may have overwritten the true key
 * with another: then the old version is the last copy of it, and stays.
 *
 * A store that is busy with the versions of a key may say of what is there that it is not (404, Ceph): it is asked
 * again for some seconds.
 */
#pragma once

#include "base/err.h"
#include "core/core.h"
#include "job/keys/key_form.h"
#include "job/keys/key_opener.h"

struct old_version;

enum old_version_outcome {
    OLD_VERSION_PURGED,
    OLD_VERSION_HARMLESS, /* it has that form, too; or it is gone */
    OLD_VERSION_OTHER,    /* it does not open: an earlier master key has wrapped it, or it is sealed to others */
    OLD_VERSION_LOCKED,   /* the store does not let it go before `until` */
    OLD_VERSION_STAYS,    /* err says why */
};

struct old_version_spec {
    const char *name; /* of the key's object; borrowed, as all that follows, until the end */
    const char *version_id;
    int64_t instant; /* of its backup, seconds since the epoch */
    const struct key_opener *opener;
    const struct key_form *form;
    bool *is_of_previous; /* set if the previous master key opens it, or vouches for it */
    void *ctx;
    /* Once unless freed, never inside the start. err is NULL unless it STAYS; `until`, seconds since the epoch, is of
     * what is LOCKED, INT64_MAX under a legal hold. */
    void (*on_done)(void *ctx, enum old_version_outcome outcome, int64_t until, const struct err *err);
};

/* Starts. Acquires the core. The caller frees. Errors: ERR_RESOURCE. */
struct old_version *old_version_start(struct core *core, const struct old_version_spec *spec, struct err *e);

/* Cancels what runs. The memory goes in the loop's next turn. NULL is fine. */
void old_version_free(struct old_version *v);
