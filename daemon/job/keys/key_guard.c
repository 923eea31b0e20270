#include "job/keys/key_guard.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "core/log.h"
#include "job/bucket/listing.h"
#include "job/keys/key_check.h"

#define UNKNOWN "whether the master key was rotated away could not be found out: "

struct key_guard {
    struct core *core;
    struct key_guard_spec spec;
    struct listing *listing;
    struct key_check *check;
    struct err unknown; /* as it is told */
};

CLEANUP_FUNC(struct key_guard *, key_guard_free)

/* Ends with nothing known. A refusal by rights is what an access key that may only write is expected to get. */
static void end_unknown(struct key_guard *g, const struct err *why)
{
    g->unknown = *why;
    err_prepend(&g->unknown, UNKNOWN);
    if (why->kind == ERR_AUTH)
        log_debug("%s", g->unknown.text);
    g->spec.on_done(g->spec.ctx, NULL, why->kind == ERR_AUTH ? NULL : &g->unknown);
}

static void on_checked(void *ctx, const struct key_check_result *result, const struct err *err)
{
    struct key_guard *g = ctx;

    if (err)
        end_unknown(g, err);
    else
        g->spec.on_done(g->spec.ctx, result->trouble.kind == ERR_NONE ? NULL : &result->trouble, NULL);
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
    if (e.kind == ERR_NONE) /* there is no key to look at */
        g->spec.on_done(g->spec.ctx, NULL, NULL);
    else
        end_unknown(g, &e);
}

struct key_guard *key_guard_start(struct core *core, const struct key_guard_spec *spec, struct err *e)
{
    _cleanup_(cleanup_key_guard_free) struct key_guard *g = NULL;
    struct listing_spec listing = {.on_done = on_listed};

    if (!core_conf(core)->encryption_key_path)
        return NULL;
    g = calloc(1, sizeof(*g));
    if (!g) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, UNKNOWN "out of memory");
        return NULL;
    }
    g->core = core;
    g->spec = *spec;
    listing.ctx = g;
    g->listing = listing_start(core, &listing, e);
    if (g->listing)
        return TAKE_PTR(g);
    err_prepend(e, UNKNOWN);
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
