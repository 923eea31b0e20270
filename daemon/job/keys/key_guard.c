#include "job/keys/key_guard.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "core/log.h"
#include "job/bucket/listing.h"
#include "job/keys/key_check.h"

struct key_guard {
    struct core *core;
    struct key_guard_spec spec;
    struct listing *listing;
    struct key_check *check;
};

CLEANUP_FUNC(struct key_guard *, key_guard_free)

/* The backup will tell what is wrong in its own words, or works all the same. */
static void log_unknown(const struct err *why)
{
    log_debug("whether the master key was rotated away could not be found out: %s", why->text);
}

static void on_checked(void *ctx, const struct key_check_result *result, const struct err *err)
{
    struct key_guard *g = ctx;

    if (err)
        log_unknown(err);
    g->spec.on_done(g->spec.ctx, err || result->trouble.kind == ERR_NONE ? NULL : &result->trouble);
}

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    struct key_guard *g = ctx;
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *list = listed;
    struct key_check_spec spec = {.list = list, .only_ends = true, .ctx = g, .on_done = on_checked};
    struct err e = err ? *err : ERR_INIT;

    listing_free(TAKE_PTR(g->listing));
    if (!err && (g->check = key_check_start(g->core, &spec, &e)))
        return;
    if (e.kind != ERR_NONE)
        log_unknown(&e);
    g->spec.on_done(g->spec.ctx, NULL);
}

struct key_guard *key_guard_start(struct core *core, const struct key_guard_spec *spec)
{
    _cleanup_(cleanup_key_guard_free) struct key_guard *g = NULL;
    struct listing_spec listing = {.on_done = on_listed};
    struct err e = ERR_INIT;

    if (!core_conf(core)->encryption_key_path)
        return NULL;
    g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->core = core;
    g->spec = *spec;
    listing.ctx = g;
    g->listing = listing_start(core, &listing, &e);
    if (g->listing)
        return TAKE_PTR(g);
    log_unknown(&e);
    return NULL;
}

void key_guard_free(struct key_guard *g)
{
    if (!g)
        return;
    listing_free(g->listing);
    key_check_free(g->check);
    free(g);
}
