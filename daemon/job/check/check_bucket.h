/*
 * check_bucket.h: what the access key may do in the bucket, tried out, and what the bucket does with what it is given.
 *
 * Nothing that is a backup is touched: what is tried is tried on a name of its own below the prefix,
 * `PREFIX-check-RANDOM`, which nobody takes for a backup (catalog/name.h). And nothing is left there: whether something
 * may be taken away again is tried first, on a name that nothing has, and what may not, or of what nobody knows, is not
 * made: where it cannot be found out whether versions or locks are kept, they are taken to be. So a right that is
 * missing is found without the others: what it keeps from being tried is passed over, or said not to be known. What was
 * asked for is taken away whatever came back, since an answer can be lost. What stays all the same is named, and a
 * later prune takes it away (catalog/name.h).
 */
#pragma once

#include <stdbool.h>

#include "job/check/check_report.h"

struct check_bucket;

/* Starts. The core must be acquired. on_done comes once unless freed, never inside. The caller frees. Errors: those of
 * core_s3, ERR_RESOURCE. */
struct check_bucket *check_bucket_start(
        struct core *core, struct check_report *report, void *ctx, void (*on_done)(void *ctx), struct err *e);

/* It ends as soon as what was made is taken away again: on_done follows. False: nothing was made, and nothing follows;
 * to be freed. */
bool check_bucket_stop(struct check_bucket *b);

/* Cancels; what was made stays then. NULL is fine. */
void check_bucket_free(struct check_bucket *b);
CLEANUP_FUNC(struct check_bucket *, check_bucket_free)
