/*
 * left_versions.h: what the old versions that the bucket keeps of its keys mean for the end of a rotation.
 *
 * All keys are opened by the new one; old_versions.h goes through what was overwritten, or deleted, and purges what is
 * to be purged. This says whether the previous key is needed for any of it: of a key that is missing, whose dump is
 * there, an old version may be the only one; where versions cannot be listed that may be so unseen; and what was to go
 * and stays can be read with the previous key.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/core.h"
#include "job/job.h"
#include "job/rotate/key_list.h"

struct left_versions_spec {
    const struct secret *previous, *next;
    struct key_list *keys;    /* that were rotated, or are there */
    struct key_list *missing; /* of dumps that are there */
    bool purges, dry_run;
    struct rotate_result *result; /* its numbers of versions are filled in before the end */
    void *ctx;
    /* Whether anything stands against a purge but what is seen here. */
    bool (*may_purge)(void *ctx);
    void (*on_progress)(void *ctx, unsigned done, unsigned total);
    /* An old version that was to be purged stays. */
    void (*on_stays)(void *ctx, const char *name, const struct err *err);
    /* Once unless freed. err: why the previous key is to be kept, or nobody knows. May come inside the start. */
    void (*on_done)(void *ctx, const struct err *err);
};

struct left_versions;

/* Borrows what the spec points to. The core must be acquired. The caller frees, also in on_done. NULL without memory,
 * ERR_RESOURCE, and then without a callback. */
struct left_versions *left_versions_new(struct core *core, const struct left_versions_spec *spec, struct err *e);

/* Begins. */
void left_versions_start(struct left_versions *l);

/* Stops what runs, without a callback. NULL is fine. */
void left_versions_free(struct left_versions *l);
