/*
 * retain.h: which backups may go, and why each stays or goes. Pure.
 *
 * A backup goes when it is older than max_age, no keep rule holds it, and min_count complete backups remain without it.
 * Only those that count (catalog_backup_counts) do so for the floor and for the keep rules, newest first: keep_daily 7
 * keeps the newest of each of the last 7 UTC days that have one, keep_weekly of ISO weeks, and so on. A dump whose key
 * is missing, or that has a size that no backup has, goes by its age alone, as long as min_count complete ones remain.
 * One that may be good all the same (it may be plain; another key may open it) stays when it would stay if it counted,
 * and keeps no older one from staying. A name that cannot be read stays: who knows what it is. A lone key goes when it
 * is older than RETAIN_LONE_AGE by the server's clock: it may belong to a backup that is on its way. So does what a
 * check has left.
 *
 * The order of the listing changes nothing, and what has been deleted changes nothing for what stays.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "catalog/list.h"

enum { RETAIN_LONE_AGE = 24 * 3600 }; /* seconds */

struct retain_policy {
    uint64_t max_age; /* seconds */
    uint64_t min_count;
    uint64_t keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly; /* 0: none */
};

struct retain_verdict {
    const struct catalog_backup *backup; /* of the list */
    bool goes;
    char reason[64]; /* "newest of 2026-W47", "16d old", "one of the 20 newest", "younger than 15d", "lone key, 3d old"
                      */
};

struct retain_plan;

/* `now`: seconds since the epoch. Keeps pointers into the list, which must outlive it. The caller frees. Errors:
 * ERR_RESOURCE. A backup that lies in the future is young. */
struct retain_plan *retain_plan_new(
        const struct catalog_list *list, const struct retain_policy *policy, int64_t now, struct err *e);

/* One verdict for each entry of the list, in its order. Valid until retain_plan_free. */
size_t retain_plan_count(const struct retain_plan *p);
const struct retain_verdict *retain_plan_at(const struct retain_plan *p, size_t i);

/* NULL is fine. */
void retain_plan_free(struct retain_plan *p);
CLEANUP_FUNC(struct retain_plan *, retain_plan_free)
