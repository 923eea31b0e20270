/*
 * comparison.h: whether the members have the same contents, asked behind a snapshot (etcd/compare.h).
 *
 * It comes between the snapshot and the commit, while the last parts are on their way: what the snapshot's member says
 * goes with the key's metadata. etcd's read transaction is over by then. Whatever comes of it, the backup goes on.
 */
#pragma once

#include "core/core.h"
#include "job/job.h"

struct comparison;

struct comparison_spec {
    const struct backup_result *backup; /* with `member` and `facts`; read until the start returns */
    void *ctx;
    void (*on_done)(void *ctx, const struct etcd_compare_result *members); /* once unless freed, not inside the start */
};

/* Starts; the core must be acquired; the caller frees. NULL: there is nothing to ask, and `why`, at least
 * ETCD_COMPARE_WHY_MAX bytes, says why not. */
struct comparison *comparison_start(struct core *core, const struct comparison_spec *spec, char *why);

/* Cancels if it still runs. NULL is fine. */
void comparison_free(struct comparison *c);
