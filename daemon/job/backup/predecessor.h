/*
 * predecessor.h: whether the newest backup in the bucket is of another etcd cluster than the one that is being made.
 *
 * A listing and, mostly, one HEAD (job/bucket/origin.h), while the snapshot is on its way. Where the access key may not
 * list, or the store does not answer, there is nothing to say: no backup fails or waits for another attempt for it.
 */
#pragma once

#include <stdint.h>

#include "core/core.h"

struct predecessor;

enum { PREDECESSOR_DOUBT_MAX = 1024 };

struct predecessor_spec {
    const char *name; /* of the new backup's dump; copied */
    uint64_t cluster; /* the id of the one that it is of; 0: not known */
    void *ctx;
    /* Once unless freed, never inside the start. doubt: one line for a person, or NULL. */
    void (*on_done)(void *ctx, const char *doubt);
};

/* Starts. The core must be acquired. The caller frees. NULL when it cannot be started. */
struct predecessor *predecessor_start(struct core *core, const struct predecessor_spec *spec);

/* Cancels if it still runs. NULL is fine. */
void predecessor_free(struct predecessor *p);
