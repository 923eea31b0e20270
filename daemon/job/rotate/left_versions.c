#include "job/rotate/left_versions.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/rotate/old_versions.h"

struct left_versions {
    struct core *core;
    struct left_versions_spec spec;
    struct old_versions *versions;
    unsigned needed_versions; /* of keys that are missing */
    char needed[NAME_TEXT_MAX];
    struct err failure; /* of what stays: the first, or the first that is of bytes that are bad */
};

static bool find_rotated(void *ctx, const char *name, int64_t *instant)
{
    struct left_versions *l = ctx;
    const struct key_item *item = key_list_find(l->spec.keys, name);

    if (key_list_find(l->spec.missing, name) && l->needed_versions++ == 0)
        (void)snprintf(l->needed, sizeof(l->needed), "%s", name);
    if (!item || !item->is_rotated)
        return false;
    *instant = item->instant;
    return true;
}

/* What is removed cannot be brought back: only when nothing stands against success. That the previous key was in use
 * here each version shows by itself. */
static bool may_purge(void *ctx)
{
    struct left_versions *l = ctx;

    return l->needed_versions == 0 && l->spec.may_purge(l->spec.ctx);
}

static void on_progress(void *ctx, unsigned done, unsigned total)
{
    struct left_versions *l = ctx;

    l->spec.on_progress(l->spec.ctx, done, total);
}

static void on_stays(void *ctx, const char *name, const struct err *err)
{
    struct left_versions *l = ctx;
    struct err e = *err;

    err_prepend(&e, "an old version stays: ");
    if (l->failure.kind == ERR_NONE || (l->failure.kind != ERR_INTEGRITY && e.kind == ERR_INTEGRITY)) {
        l->failure = e;
        err_prepend(&l->failure, "%s: ", name);
    }
    l->spec.on_stays(l->spec.ctx, name, &e);
}

/* Whoever asks for a purge wants to know, and so does whoever has a dump without its key, which an old version may be.
 * Else a store that does not list versions, or not for us, is told of and no more: what it keeps is no backup. But what
 * another try may show is not passed over. */
static bool must_be_listed(const struct left_versions *l, const struct err *err)
{
    return l->spec.purges || key_list_count(l->spec.missing) || err->kind == ERR_TRANSIENT || err->kind == ERR_RESOURCE;
}

/* Nobody knows what old versions there are. */
static void explain_unseen(const struct left_versions *l, struct err *e)
{
    const char *all = l->spec.dry_run ? "all keys were looked at, but" : "all keys are rotated, but";

    if (key_list_count(l->spec.missing))
        err_prepend(e,
                "%s %s is not there and its dump is; whether the bucket keeps an old version of it, which would need "
                "the previous key, could not be seen: keep that key, and run this again, or delete the dump: ",
                all, key_list_at(l->spec.missing, 0)->name);
    else
        err_prepend(e,
                "%s old versions of them could not be looked for, which need the previous key: keep it, and run this "
                "again: ",
                all);
}

static void count(const struct left_versions *l, const struct old_versions_result *found)
{
    struct rotate_result *result = l->spec.result;

    result->old_versions = found->found - found->purged - found->harmless - found->other - found->locked;
    result->other_versions = found->other;
    result->locked_versions = found->locked;
    result->locked_until = found->until;
    result->lost_versions = found->lost - l->needed_versions;
    result->purged = found->purged;
}

static void on_versions(void *ctx, const struct old_versions_result *found, const struct err *err)
{
    struct left_versions *l = ctx;
    struct err e = ERR_INIT;

    count(l, found);
    l->spec.result->versions_unknown = err != NULL;
    if (err && must_be_listed(l, err)) {
        e = *err;
        explain_unseen(l, &e);
    } else if (found->stay) {
        e = l->failure;
        err_prepend(&e, "all keys are rotated, but %u old versions stay: keep the previous key until that is settled; ",
                found->stay);
    } else if (l->needed_versions) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "%s was deleted and its dump was not; the bucket keeps an old version of it, which may need the "
                "previous key: bring that version back or delete the dump, and run this again; keep the previous key "
                "until then",
                l->needed);
    }
    l->spec.on_done(l->spec.ctx, e.kind != ERR_NONE ? &e : NULL);
}

struct left_versions *left_versions_new(struct core *core, const struct left_versions_spec *spec, struct err *e)
{
    struct left_versions *l = calloc(1, sizeof(*l));

    if (!l) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    l->core = core;
    l->spec = *spec;
    return l;
}

void left_versions_start(struct left_versions *l)
{
    struct old_versions_spec spec = {
            .previous = l->spec.previous,
            .next = l->spec.next,
            .purges = l->spec.purges && !l->spec.dry_run,
            .ctx = l,
            .find = find_rotated,
            .may_purge = may_purge,
            .on_progress = on_progress,
            .on_stays = on_stays,
            .on_done = on_versions,
    };
    struct old_versions_result none = {0};
    struct err e = ERR_INIT;

    l->versions = old_versions_start(l->core, &spec, &e);
    if (!l->versions)
        on_versions(l, &none, &e);
}

void left_versions_free(struct left_versions *l)
{
    if (!l)
        return;
    old_versions_free(TAKE_PTR(l->versions));
    free(l);
}
