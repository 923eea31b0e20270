#include "job/prune/evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/lanes.h"
#include "base/timestamp.h"
#include "catalog/clusters.h"
#include "job/bucket/dump_metadata.h"
#include "job/keys/key_check.h"
#include "s3/object.h"

enum { AT_A_TIME = 8 };

struct evidence {
    struct core *core;
    struct evidence_spec spec;
    size_t n;
    struct key_check *check;
    bool *has_seen_key;
    struct err other_key; /* the first of what a key other than ours opens */
    bool has_told_unopened, has_told_unreadable;
    bool *is_wanted;  /* its metadata are */
    uint64_t *origin; /* cluster ids */
    bool wants_all;
    struct lanes lanes;
    uv_timer_t timer; /* brings what comes next when no request does */
};

static const struct catalog_backup *backup_at(const struct evidence *v, size_t i)
{
    return catalog_list_at(v->spec.list, i);
}

static struct known_facts facts_of(const struct evidence *v, size_t i)
{
    const struct catalog_backup *b = backup_at(v, i);
    const struct known_object object = {.name = b->name, .etag = b->etag, .size = b->size};

    return known_find(core_known(v->core), &object);
}

static void finish(struct evidence *v, const struct err *err)
{
    v->spec.on_done(v->spec.ctx, err);
}

/* Of many that are alike one is told; each is in the plan. */
static void note_once(struct evidence *v, bool *has_told, const char *what, const char *text)
{
    char note[ERR_TEXT_MAX + 256];

    if (*has_told)
        return;
    *has_told = true;
    (void)snprintf(note, sizeof(note), "%s%s", text, what);
    v->spec.on_note(v->spec.ctx, note);
}

/* ---- which cluster ---- */

/* The metadata are as old as the dump, and cannot have changed without its ETag. */
static void take_known(struct evidence *v)
{
    for (size_t i = 0; i < v->n; i++) {
        struct known_facts facts = facts_of(v, i);

        if (facts.has_cluster) {
            v->origin[i] = facts.cluster;
            v->is_wanted[i] = false;
        }
    }
}

static bool want_some(struct evidence *v, struct err *e)
{
    _cleanup_(cleanup_retain_plan_free) struct retain_plan *plan =
            retain_plan_new(v->spec.list, &v->spec.policy, timestamp_now(), e);
    unsigned newest = 0;

    for (size_t i = 0; plan && i < v->n; i++) {
        const struct catalog_backup *b = backup_at(v, i);

        if (catalog_backup_is_orphan(b))
            continue;
        v->is_wanted[i] =
                v->wants_all || retain_plan_at(plan, i)->goes || (catalog_backup_counts(b) && newest++ < ORIGIN_MAX);
    }
    return plan != NULL;
}

static bool is_mixed(const struct evidence *v)
{
    uint64_t own = known_own_cluster(core_known(v->core));

    for (size_t i = 0; i < v->n; i++) {
        if (own && v->origin[i] && v->origin[i] != own)
            return true;
        own = own ? own : v->origin[i];
    }
    return false;
}

static void look_at_origins(struct evidence *v);

static void judge_origins(struct evidence *v)
{
    struct clusters_result r;
    struct err e = ERR_INIT;
    char note[512];

    if (is_mixed(v) && !v->wants_all) {
        v->wants_all = true;
        look_at_origins(v);
        return;
    }
    r = clusters_judge(v->spec.list, v->origin, known_own_cluster(core_known(v->core)));
    if (r.is_unclear) {
        err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "the backups here are of several etcd clusters in turn (%" PRIx64 ", %" PRIx64
                "), and which one is ours "
                "is known only to a daemon that has made a backup: give each cluster a prefix of its own",
                r.own, r.other);
    } else if (r.n_other) {
        (void)snprintf(note, sizeof(note),
                "%zu backups are of another etcd cluster (%" PRIx64 ", ours is %" PRIx64
                "): they stay, and do not count; "
                "if two clusters share this prefix, give each its own; what is left of a cluster that is gone can be "
                "deleted with any S3 client",
                r.n_other, r.other, r.own);
        v->spec.on_note(v->spec.ctx, note);
    }
    finish(v, r.is_unclear ? &e : NULL);
}

static void go_on(struct evidence *v);

static void fail(struct evidence *v, const struct err *err)
{
    lanes_cancel(&v->lanes);
    finish(v, err);
}

static void take_origin(struct evidence *v, size_t index, const struct s3_response *res)
{
    const struct catalog_backup *b = backup_at(v, index);
    const struct known_object object = {.name = b->name, .etag = b->etag, .size = b->size};

    v->origin[index] = dump_metadata_cluster(res);
    known_saw_cluster(core_known(v->core), &object, v->origin[index]);
}

static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct lane *lane = ctx;
    struct evidence *v = lane->owner;
    struct err e;

    (void)lane_end(lane);
    if (!err) {
        take_origin(v, lane->index, res);
    } else if (err->kind == ERR_NOT_FOUND) {
        catalog_list_doubt(v->spec.list, lane->index, CATALOG_KEY_GONE);
    } else if (err->kind == ERR_AUTH) {
        catalog_list_doubt(v->spec.list, lane->index, CATALOG_KEY_UNKNOWN);
        note_once(v, &v->has_told_unreadable, "; it stays, and does not count", err->text);
    } else {
        e = *err;
        err_prepend(&e, "which cluster %s is of is not known: ", backup_at(v, lane->index)->name);
        fail(v, &e);
        return;
    }
    go_on(v);
}

static int head(struct lane *lane, struct err *e)
{
    struct evidence *v = lane->owner;
    struct s3_client *s3;

    if (!v->is_wanted[lane->index])
        return 0;
    v->is_wanted[lane->index] = false;
    s3 = core_s3(v->core, e);
    lane->work = s3 ? s3_head(s3, backup_at(v, lane->index)->name, lane, on_headed, e) : NULL;
    return lane->work ? 0 : -1;
}

static void go_on(struct evidence *v)
{
    struct err e = ERR_INIT;
    const int at_work = lanes_go_on(&v->lanes, &e);

    if (at_work < 0)
        fail(v, &e);
    else if (at_work == 0)
        judge_origins(v);
}

static void look_at_origins(struct evidence *v)
{
    struct err e = ERR_INIT;

    if (!want_some(v, &e)) {
        finish(v, &e);
        return;
    }
    take_known(v);
    lanes_begin(&v->lanes, v->n);
    go_on(v);
}

/* ---- keys ---- */

/*
 * Of backups that our keys do not open nobody knows which are the good ones: those, or the ones that they do open. What
 * was renamed, or is no key, is no such question: it does not count, and that is said.
 */
static void take_result(struct evidence *v, const struct key_check_result *r)
{
    key_check_doubt(r, v->spec.list);
    if (r->other && v->other_key.kind == ERR_NONE)
        v->other_key = r->trouble;
    if (r->trouble.kind != ERR_NONE && (!r->other || v->spec.allow_other_keys))
        note_once(v, &v->has_told_unopened, "; such backups do not count", r->trouble.text);
    if (r->unreadable)
        note_once(v, &v->has_told_unreadable,
                ": a key that cannot be read; such backups stay and do not count; restore the object from the archive, "
                "or give the access key the right to read it",
                r->why_unreadable.text);
}

static void check_more(struct evidence *v);

static void on_checked(void *ctx, const struct key_check_result *result, const struct err *err)
{
    struct evidence *v = ctx;
    struct err e = err ? *err : ERR_INIT;

    if (err)
        err_prepend(&e, "the master key could not be tried: ");
    else
        take_result(v, result);
    key_check_free(TAKE_PTR(v->check)); /* the result is its own */
    if (err)
        finish(v, &e);
    else
        check_more(v);
}

static void check_more(struct evidence *v)
{
    struct key_check_spec spec = {.list = v->spec.list, .seen = v->has_seen_key, .ctx = v, .on_done = on_checked};
    struct err e = ERR_INIT;

    v->check = key_check_start(v->core, &spec, &e);
    if (v->check)
        return;
    if (e.kind != ERR_NONE)
        finish(v, &e);
    else if (v->other_key.kind != ERR_NONE && !v->spec.allow_other_keys)
        finish(v, &v->other_key);
    else
        look_at_origins(v);
}

/* The newest are looked at each time: those are the ones that would be missed the most. */
static void skip_known_keys(struct evidence *v)
{
    unsigned newest = 0;

    for (size_t i = 0; i < v->n; i++) {
        const struct catalog_backup *b = backup_at(v, i);
        struct known_facts facts = facts_of(v, i);

        if (!catalog_backup_counts(b) || !b->has_key || newest++ < KEY_CHECK_MAX)
            continue;
        v->has_seen_key[i] = facts.key == KNOWN_KEY_OPENS && facts.key_tag == b->key_tag;
    }
}

static void begin(uv_timer_t *timer)
{
    check_more(timer->data);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct evidence *v = h->data;
    struct core *core = v->core;

    free(v);
    core_release(core);
}

struct evidence *evidence_start(struct core *core, const struct evidence_spec *spec, struct err *e)
{
    struct evidence *v = NULL;
    size_t n = catalog_list_count(spec->list);

    if (n == 0)
        return NULL;
    v = calloc(1, sizeof(*v));
    if (!v) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    v->core = core;
    v->spec = *spec;
    v->n = n;
    v->lanes = (struct lanes){.owner = v, .width = AT_A_TIME, .start = head, .cancel = s3_request_cancel_work};
    v->timer.data = v;
    core_acquire(core);
    (void)uv_timer_init(core_loop(core), &v->timer);
    v->has_seen_key = calloc(n, sizeof(*v->has_seen_key));
    v->is_wanted = calloc(n, sizeof(*v->is_wanted));
    v->origin = calloc(n, sizeof(*v->origin));
    if (!v->has_seen_key || !v->is_wanted || !v->origin) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        evidence_free(v);
        return NULL;
    }
    skip_known_keys(v);
    (void)uv_timer_start(&v->timer, begin, 0, 0);
    return v;
}

void evidence_free(struct evidence *v)
{
    if (!v)
        return;
    lanes_cancel(&v->lanes);
    key_check_free(TAKE_PTR(v->check));
    free(TAKE_PTR(v->has_seen_key));
    free(TAKE_PTR(v->is_wanted));
    free(TAKE_PTR(v->origin));
    uv_close((uv_handle_t *)&v->timer, on_timer_closed);
}
