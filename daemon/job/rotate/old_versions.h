/*
 * old_versions.h: after a rotation, the old versions of its keys that a versioned bucket keeps: counted, or removed;
 * and what they mean for the end of the rotation.
 *
 * All keys are opened by the new one. The previous key may be needed for what was overwritten, or deleted, all the
 * same: of a key that is missing, whose dump is there, an old version may be the only one; where versions cannot be
 * listed that may be so unseen; and what was to go and stays can be read with the previous key.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "core/core.h"
#include "job/job.h"
#include "job/keys/key_form.h"
#include "job/keys/key_opener.h"
#include "job/rotate/key_list.h"

struct old_versions;

enum { OLD_VERSIONS_MAX = 1000000 }; /* removed in one run; those beyond are counted */

struct old_versions_spec {
    const struct key_opener *opener; /* borrowed, as all pointers here, until it is freed */
    const struct key_form *form;
    struct key_list *keys;        /* that were rotated, or are there */
    struct key_list *missing;     /* of dumps that are there */
    bool purges, dry_run;         /* else, and in a dry run, it only counts */
    bool *is_of_previous;         /* set if the previous master key opens one, or vouches for it */
    struct rotate_result *result; /* its numbers of versions are filled in before the end */
    void *ctx;
    /* Whether anything stands against a purge but what is seen here. Asked once, when all are listed. */
    bool (*may_purge)(void *ctx);
    void (*on_progress)(void *ctx, unsigned done, unsigned total);
    /* An old version that was to be purged stays. */
    void (*on_stays)(void *ctx, const char *name, const struct err *err);
    void (*on_done)(void *ctx); /* once unless freed */
};

/* The core must be acquired. The caller frees. Errors: ERR_RESOURCE. */
struct old_versions *old_versions_new(struct core *core, const struct old_versions_spec *spec, struct err *e);

/* Begins; on_done follows. False: it is over at once, and that does not follow. */
bool old_versions_start(struct old_versions *v);

/* After the end. -1: why the previous key is to be kept, or nobody knows whether it is. */
int old_versions_verdict(const struct old_versions *v, struct err *e);

/* Cancels what runs. NULL is fine. */
void old_versions_free(struct old_versions *v);
