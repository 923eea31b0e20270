/*
 * listing.h: the backups of our prefix in the bucket, as a catalog, with what is known against them: what was verified
 * bad, by its mark or since this daemon remembers it, and what is dated more than CLOCK_SKEW_MAX in the future.
 */
#pragma once

#include "base/err.h"
#include "catalog/list.h"
#include "core/core.h"
#include "s3/object.h"

struct listing;

enum { CLOCK_SKEW_MAX = 300 }; /* seconds that clocks may differ */

struct listing_spec {
    void *ctx;
    void (*on_note)(void *ctx, const char *text); /* one line: S3 is asked again, and why; or NULL */
    /* Once unless freed: the list, owned by the callee; or the error: a list that is not whole is none. */
    void (*on_done)(void *ctx, struct catalog_list *list, const struct err *err);
};

/* Starts it; the core must be acquired. The caller frees. Errors: those of core_s3 and s3_list_objects. */
struct listing *listing_start(struct core *core, const struct listing_spec *spec, struct err *e);

/* Cancels if it still runs. NULL is fine. */
void listing_free(struct listing *l);

/* s3_list_objects, s3_list_unfinished or s3_list_versions. */
typedef struct s3_listing *listing_kind(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e);

/* What is under our prefix, page by page; spec.prefix is filled in. Errors: those of core_s3 and `start`. */
struct s3_listing *listing_pages(struct core *core, listing_kind *start, struct s3_listing_spec spec, struct err *e);
