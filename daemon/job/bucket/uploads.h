/*
 * uploads.h: unfinished uploads of our prefix, a backup's and a check's, which cost money and nobody sees, are aborted.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "core/core.h"

struct uploads;

enum { UPLOADS_MAX = 10000 }; /* looked at in one go */

struct uploads_spec {
    /* Seconds since the epoch, by the store's clock: what began later may be a backup on its way, and so may what has
     * had a part since (ListParts). One whose parts cannot be looked at stays, and is an error. */
    int64_t older_than;
    void *ctx;
    /* Once unless freed, never inside the start; an error tells of the first that stays. Where the store does not show
     * them and removes them by itself (S3_FAULT_HIDES_UPLOADS), there is nothing to tell. */
    void (*on_done)(void *ctx, unsigned aborted, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. Errors: those of core_s3, ERR_RESOURCE. */
struct uploads *uploads_abort(struct core *core, const struct uploads_spec *spec, struct err *e);

/* Cancels if it still runs. NULL is fine. */
void uploads_free(struct uploads *u);
