#include "job/rotate/old_versions.h"

#include <stdio.h>
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
    struct lanes lanes;  /* of struct old_version */
    struct err unlisted; /* why they could not be listed */
    unsigned found;      /* of keys that were rotated */
    unsigned harmless;   /* of those that were to be purged: they open with the new key, or are gone */
    unsigned stay;       /* of those that were to be purged */
    struct err failure;  /* of what stays: the first, or the first that is of bytes that are bad */
    unsigned needed;     /* of keys that are missing; the first is of: */
    char needed_name[NAME_TEXT_MAX];
};

/* ---- what comes of each ---- */

static void count_stays(struct old_versions *v, const char *name, const struct err *err)
{
    struct err e = *err;

    v->stay++;
    err_prepend(&e, "an old version stays: ");
    if (v->failure.kind == ERR_NONE || (v->failure.kind != ERR_INTEGRITY && e.kind == ERR_INTEGRITY)) {
        v->failure = e;
        err_prepend(&v->failure, "%s: ", name);
    }
    v->spec.on_stays(v->spec.ctx, name, &e);
}

static void count_locked(struct rotate_result *result, int64_t until)
{
    result->locked_versions++;
    result->locked_until = until > result->locked_until ? until : result->locked_until;
}

static void count(struct old_versions *v, const struct item *item, enum old_version_outcome outcome, int64_t until,
        const struct err *err)
{
    struct rotate_result *result = v->spec.result;

    v->ended++;
    v->harmless += outcome == OLD_VERSION_HARMLESS;
    result->purged += outcome == OLD_VERSION_PURGED;
    result->other_versions += outcome == OLD_VERSION_OTHER;
    if (outcome == OLD_VERSION_LOCKED)
        count_locked(result, until);
    else if (outcome == OLD_VERSION_STAYS)
        count_stays(v, item->name, err);
}

/* All have been seen, or could not be. */
static void sum_up(struct old_versions *v)
{
    struct rotate_result *result = v->spec.result;

    result->old_versions = v->found - result->purged - v->harmless - result->other_versions - result->locked_versions;
    result->versions_unknown = v->unlisted.kind != ERR_NONE;
}

static bool go_on(struct old_versions *v)
{
    struct err ignored = ERR_INIT;

    return lanes_go_on(&v->lanes, &ignored) != 0;
}

static void end(struct old_versions *v)
{
    sum_up(v);
    v->spec.on_done(v->spec.ctx);
}

static void on_version_done(void *ctx, enum old_version_outcome outcome, int64_t until, const struct err *err)
{
    struct lane *lane = ctx;
    struct old_versions *v = lane->owner;

    count(v, &v->items[lane->index], outcome, until, err);
    old_version_free(lane_end(lane));
    v->spec.on_progress(v->spec.ctx, (unsigned)v->ended, (unsigned)v->n);
    if (!go_on(v))
        end(v);
}

static int start_one(struct lane *lane, struct err *e)
{
    struct old_versions *v = lane->owner;
    const struct item *item = &v->items[lane->index];
    struct old_version_spec spec = {
            .name = item->name,
            .version_id = item->version_id,
            .instant = item->instant,
            .opener = v->spec.opener,
            .form = v->spec.form,
            .is_of_previous = v->spec.is_of_previous,
            .ctx = lane,
            .on_done = on_version_done,
    };

    lane->work = old_version_start(v->core, &spec, e);
    if (!lane->work)
        count(v, item, OLD_VERSION_STAYS, 0, e);
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

/* ---- which there are ---- */

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

/* Of a key that was not rotated: its backup is deleted, or its dump is there and it is not. */
static void count_other(struct old_versions *v, const char *name)
{
    if (!key_list_find(v->spec.missing, name))
        v->spec.result->lost_versions++;
    else if (v->needed++ == 0)
        (void)snprintf(v->needed_name, sizeof(v->needed_name), "%s", name);
}

static int on_version(void *ctx, const struct s3_version *version, struct err *e)
{
    struct old_versions *v = ctx;
    const struct key_item *item;
    int64_t instant;

    if (version->is_latest || version->is_delete_marker)
        return 0;
    if (name_parse(core_conf(v->core)->s3.objects_prefix, version->key, &instant) != NAME_KEY)
        return 0;
    item = key_list_find(v->spec.keys, version->key);
    if (!item || !item->is_rotated) {
        count_other(v, version->key);
        return 0;
    }
    v->found++;
    return v->spec.purges && !v->spec.dry_run && v->n < OLD_VERSIONS_MAX ? remember(v, version, item->instant, e) : 0;
}

/* What is removed cannot be brought back: only when nothing stands against success. That the previous key was in use
 * here each version shows by itself. */
static bool may_purge(const struct old_versions *v)
{
    return v->n && v->needed == 0 && v->spec.may_purge(v->spec.ctx);
}

static void on_listed(void *ctx, const struct err *err)
{
    struct old_versions *v = ctx;

    v->listing = NULL;
    if (err)
        v->unlisted = *err;
    lanes_begin(&v->lanes, !err && may_purge(v) ? v->n : 0);
    if (!go_on(v))
        end(v);
}

/* ---- what that means ---- */

/* Whoever asks for a purge wants to know, and so does whoever has a dump without its key, which an old version may be.
 * Else a store that does not list versions, or not for us, is told of and no more: what it keeps is no backup. But what
 * another try may show is not passed over. */
static bool must_be_listed(const struct old_versions *v)
{
    return v->spec.purges || key_list_count(v->spec.missing) || v->unlisted.kind == ERR_TRANSIENT ||
           v->unlisted.kind == ERR_RESOURCE;
}

/* Nobody knows what old versions there are. */
static void explain_unseen(const struct old_versions *v, struct err *e)
{
    const char *all = v->spec.dry_run ? "all keys were looked at, but" : "all keys are rotated, but";

    if (key_list_count(v->spec.missing))
        err_prepend(e,
                "%s %s is not there and its dump is; whether the bucket keeps an old version of it, which would need "
                "the previous key, could not be seen: keep that key, and run this again, or delete the dump: ",
                all, key_list_at(v->spec.missing, 0)->name);
    else
        err_prepend(e,
                "%s old versions of them could not be looked for, which need the previous key: keep it, and run this "
                "again: ",
                all);
}

int old_versions_verdict(const struct old_versions *v, struct err *e)
{
    if (v->unlisted.kind != ERR_NONE && must_be_listed(v)) {
        *e = v->unlisted;
        explain_unseen(v, e);
        return -1;
    }
    if (v->stay) {
        *e = v->failure;
        err_prepend(e, "all keys are rotated, but %u old versions stay: keep the previous key until that is settled; ",
                v->stay);
        return -1;
    }
    if (!v->needed)
        return 0;
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
            "%s was deleted and its dump was not; the bucket keeps an old version of it, which may need the previous "
            "key: bring that version back or delete the dump, and run this again; keep the previous key until then",
            v->needed_name);
}

/* ---- the beginning ---- */

struct old_versions *old_versions_new(struct core *core, const struct old_versions_spec *spec, struct err *e)
{
    struct old_versions *v = calloc(1, sizeof(*v));

    if (!v) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    v->core = core;
    v->spec = *spec;
    v->lanes = (struct lanes){
            .owner = v, .width = AT_A_TIME, .start = start_one, .cancel = cancel_one, .may_start = may_start};
    return v;
}

bool old_versions_start(struct old_versions *v)
{
    const struct s3_listing_spec pages = {.ctx = v, .on_version = on_version, .on_done = on_listed};

    v->listing = listing_pages(v->core, s3_list_versions, pages, &v->unlisted);
    if (!v->listing)
        sum_up(v);
    return v->listing != NULL;
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
