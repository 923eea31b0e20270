#include "job/rotate/old_versions.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/lanes.h"
#include "catalog/name.h"
#include "job/bucket/listing.h"
#include "job/rotate/old_version.h"

enum { AT_A_TIME = 16 };

/* One that is to go. */
struct item {
    char *name, *version_id;
    int64_t instant; /* seconds since the epoch */
};

struct old_versions {
    struct core *core;
    struct old_versions_spec spec;
    struct s3_listing *listing;
    struct item *items;
    size_t n, cap, ended;
    struct lanes lanes; /* of struct old_version */
    struct old_versions_result result;
};

CLEANUP_FUNC(struct old_versions *, old_versions_free)

static void start_more(struct old_versions *v);

static void count_stays(struct old_versions *v, const struct item *item, const struct err *err)
{
    v->result.stay++;
    v->spec.on_stays(v->spec.ctx, item->name, err);
}

static void count_locked(struct old_versions *v, int64_t until)
{
    v->result.locked++;
    v->result.until = until > v->result.until ? until : v->result.until;
}

static void on_version_done(void *ctx, enum old_version_outcome outcome, int64_t until, const struct err *err)
{
    struct lane *lane = ctx;
    struct old_versions *v = lane->owner;

    v->result.purged += outcome == OLD_VERSION_PURGED;
    v->result.harmless += outcome == OLD_VERSION_HARMLESS;
    v->result.other += outcome == OLD_VERSION_OTHER;
    if (outcome == OLD_VERSION_LOCKED)
        count_locked(v, until);
    else if (outcome == OLD_VERSION_STAYS)
        count_stays(v, &v->items[lane->index], err);
    old_version_free(lane_end(lane));
    v->ended++;
    v->spec.on_progress(v->spec.ctx, (unsigned)v->ended, (unsigned)v->n);
    start_more(v);
}

static int start_one(struct lane *lane, struct err *e)
{
    struct old_versions *v = lane->owner;
    const struct item *item = &v->items[lane->index];
    struct old_version_spec spec = {
            .name = item->name,
            .version_id = item->version_id,
            .instant = item->instant,
            .previous = v->spec.previous,
            .next = v->spec.next,
            .ctx = lane,
            .on_done = on_version_done,
    };

    lane->work = old_version_start(v->core, &spec, e);
    if (lane->work)
        return 0;
    v->ended++;
    count_stays(v, item, e);
    return 0;
}

static void cancel_one(void *version)
{
    old_version_free(version);
}

/* One version of a key at a time: Ceph says 404 of a key whose versions go side by side. They follow each other. */
static bool may_start(const struct lanes *l, size_t index)
{
    const struct old_versions *v = l->owner;

    for (unsigned i = 0; i < l->width; i++)
        if (l->list[i].work && strcmp(v->items[l->list[i].index].name, v->items[index].name) == 0)
            return false;
    return true;
}

static void start_more(struct old_versions *v)
{
    struct err ignored = ERR_INIT;

    if (lanes_go_on(&v->lanes, &ignored) == 0)
        v->spec.on_done(v->spec.ctx, &v->result, NULL);
}

static int remember(struct old_versions *v, const struct s3_version *version, int64_t instant, struct err *e)
{
    size_t cap = v->cap ? 2 * v->cap : 64;
    struct item *grown;

    if (v->n == v->cap) {
        grown = reallocarray(v->items, cap, sizeof(*grown));
        if (!grown)
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        v->items = grown;
        v->cap = cap;
    }
    v->items[v->n] = (struct item){strdup(version->key), strdup(version->version_id), instant};
    if (v->items[v->n].name && v->items[v->n].version_id) {
        v->n++;
        return 0;
    }
    free(v->items[v->n].name);
    free(v->items[v->n].version_id);
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

static int on_version(void *ctx, const struct s3_version *version, struct err *e)
{
    struct old_versions *v = ctx;
    int64_t instant;

    if (version->is_latest || version->is_delete_marker)
        return 0;
    if (name_parse(core_conf(v->core)->s3.objects_prefix, version->key, &instant) != NAME_KEY)
        return 0;
    if (!v->spec.find(v->spec.ctx, version->key, &instant)) {
        v->result.lost++;
        return 0;
    }
    v->result.found++;
    return v->spec.purges && v->n < OLD_VERSIONS_MAX ? remember(v, version, instant, e) : 0;
}

static void on_listed(void *ctx, const struct err *err)
{
    struct old_versions *v = ctx;

    v->listing = NULL;
    if (err) {
        v->spec.on_done(v->spec.ctx, &v->result, err);
        return;
    }
    v->lanes = (struct lanes){
            .owner = v, .width = AT_A_TIME, .start = start_one, .cancel = cancel_one, .may_start = may_start};
    lanes_begin(&v->lanes, v->spec.purges && !v->spec.may_purge(v->spec.ctx) ? 0 : v->n);
    start_more(v);
}

struct old_versions *old_versions_start(struct core *core, const struct old_versions_spec *spec, struct err *e)
{
    _cleanup_(cleanup_old_versions_free) struct old_versions *v = calloc(1, sizeof(*v));
    const struct s3_listing_spec pages = {.ctx = v, .on_version = on_version, .on_done = on_listed};

    if (!v) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    v->core = core;
    v->spec = *spec;
    v->listing = listing_pages(core, s3_list_versions, pages, e);
    return v->listing ? TAKE_PTR(v) : NULL;
}

void old_versions_free(struct old_versions *v)
{
    if (!v)
        return;
    if (v->listing)
        s3_listing_cancel(v->listing);
    lanes_cancel(&v->lanes);
    for (size_t i = 0; i < v->n; i++) {
        free(v->items[i].name);
        free(v->items[i].version_id);
    }
    free(v->items);
    free(v);
}
