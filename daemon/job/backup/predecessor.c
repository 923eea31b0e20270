#include "job/backup/predecessor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/bucket/listing.h"
#include "job/bucket/origin.h"

struct predecessor {
    struct core *core;
    struct predecessor_spec spec;
    char name[NAME_TEXT_MAX]; /* the new one */
    struct listing *listing;
    struct origin *origin;
};

CLEANUP_FUNC(struct predecessor *, predecessor_free)

static void on_origin(void *ctx, const char *name, uint64_t cluster)
{
    struct predecessor *p = ctx;
    char doubt[PREDECESSOR_DOUBT_MAX];
    bool is_other = cluster && cluster != p->spec.cluster;

    (void)snprintf(doubt, sizeof(doubt),
            "%.300s, the newest before this one, is of another etcd cluster (%" PRIx64 ", this one is of %" PRIx64
            "): if the cluster was restored or made anew, that is as it should be; if two clusters share this prefix, "
            "give each its own",
            name, cluster, p->spec.cluster);
    p->spec.on_done(p->spec.ctx, is_other ? doubt : NULL);
}

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    struct predecessor *p = ctx;
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *list = listed;
    struct origin_spec spec = {.list = list, .but = p->name, .ctx = p, .on_done = on_origin};

    p->origin = err ? NULL : origin_start(p->core, &spec);
    if (!p->origin)
        p->spec.on_done(p->spec.ctx, NULL);
}

struct predecessor *predecessor_start(struct core *core, const struct predecessor_spec *spec)
{
    _cleanup_(cleanup_predecessor_free) struct predecessor *p = calloc(1, sizeof(*p));
    struct listing_spec listing = {.ctx = p, .on_done = on_listed};
    struct err ignored = ERR_INIT;

    if (!p || !spec->cluster)
        return NULL;
    p->core = core;
    p->spec = *spec;
    p->spec.name = NULL;
    (void)snprintf(p->name, sizeof(p->name), "%s", spec->name);
    p->listing = listing_start(core, &listing, &ignored);
    return p->listing ? TAKE_PTR(p) : NULL;
}

void predecessor_free(struct predecessor *p)
{
    if (!p)
        return;
    listing_free(p->listing);
    origin_free(p->origin);
    free(p);
}
