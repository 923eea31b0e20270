#include "job/prune/prune.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "job/bucket/listing.h"
#include "job/bucket/uploads.h"
#include "job/keys/key_check.h"
#include "job/prune/locks.h"
#include "s3/object.h"
#include "s3/remove.h"

enum state {
    LISTING, /* the backups */
    UPLOADS, /* unfinished uploads are looked for, and aborted */
    LOCKS,   /* are looked for at what is to go */
    DUMPS,   /* go, and lone keys with them */
    KEYS,    /* of the dumps that are gone */
    FINISHED,
};

static const char *const phase_names[] = {
        "listing", "aborting uploads", "looking for locks", "deleting", "deleting keys", "finished"};

/* One object that goes. */
struct victim {
    const struct retain_verdict *verdict;
    bool is_gone;
    bool stays;      /* the store has locked it, or it is not known whether */
    struct err *why; /* with it, for a dry run, which tells later; ours, or NULL */
};

struct prune {
    struct core *core;
    struct job_sink sink;
    enum state state;
    bool cancelled;
    uint64_t started_ms;
    uv_timer_t timer; /* brings the start, the next step and a cancellation to the loop's next turn */
    struct prune_request request;
    struct listing *listing;
    struct catalog_list *list;
    struct key_check *check;
    struct retain_plan *plan;
    struct uploads *uploads;
    struct locks *locks;
    struct s3_remove *remove;
    struct victim *victims;
    size_t n_victims;
    char **keys;       /* what is being removed; of DUMPS borrowed names, of KEYS our own */
    size_t *victim_of; /* index of the victim that a key belongs to */
    size_t n_keys, done;
    unsigned failed;
    struct err failure; /* the first */
    struct prune_result result;
};

static void tell_progress(struct prune *p)
{
    struct job_progress progress = {.phase = phase_names[p->state]};

    p->sink.progress(p->sink.ctx, &progress);
}

static void set_state(struct prune *p, enum state state)
{
    p->state = state;
    tell_progress(p);
}

static void schedule(struct prune *p, uv_timer_cb what)
{
    (void)uv_timer_start(&p->timer, what, 0, 0);
}

/* ---- the end ---- */

static void drop_keys(struct prune *p)
{
    for (size_t i = 0; p->state == KEYS && i < p->n_keys; i++)
        free(p->keys[i]);
    free(TAKE_PTR(p->keys));
    free(TAKE_PTR(p->victim_of));
    p->n_keys = 0;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct prune *p = h->data;
    struct core *core = p->core;

    free(p);
    core_release(core);
}

static void finish(struct prune *p, const struct err *err)
{
    struct job_sink sink = p->sink;

    if (p->remove)
        s3_remove_cancel(TAKE_PTR(p->remove));
    uploads_free(TAKE_PTR(p->uploads));
    key_check_free(TAKE_PTR(p->check));
    locks_free(TAKE_PTR(p->locks));
    drop_keys(p);
    p->state = FINISHED;
    for (size_t i = 0; i < p->n_victims; i++)
        free(p->victims[i].why);
    free(TAKE_PTR(p->victims));
    retain_plan_free(TAKE_PTR(p->plan));
    listing_free(TAKE_PTR(p->listing));
    catalog_list_free(TAKE_PTR(p->list));
    p->result.elapsed_ms = uv_now(core_loop(p->core)) - p->started_ms;
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
    sink.done(sink.ctx, &(struct job_result){.prune = &p->result}, err);
}

static void finish_all(struct prune *p)
{
    if (p->failed) {
        err_prepend(&p->failure, "%u of %zu could not be deleted: ", p->failed, p->n_victims);
        finish(p, &p->failure);
    } else {
        finish(p, NULL);
    }
}

/* ---- deleting ---- */

static void tell(struct prune *p, const struct retain_verdict *v, const struct err *err)
{
    struct planned planned = {
            .name = v->backup->name,
            .instant = v->backup->instant,
            .size = v->backup->size,
            .goes = v->goes,
            .dry_run = p->request.dry_run,
            .reason = v->reason,
            .err = err,
    };

    p->sink.planned(p->sink.ctx, &planned);
}

static void count_gone(struct prune *p, const struct catalog_backup *b)
{
    if (b->state == CATALOG_ORPHAN_KEY) {
        p->result.lone_keys++;
        return;
    }
    p->result.deleted++;
    p->result.deleted_bytes += b->size;
    if (catalog_backup_counts(b)) {
        p->result.remaining--;
        p->result.remaining_bytes -= b->size;
    }
}

static void count_failure(struct prune *p, const char *name, const struct err *err)
{
    if (p->failed++)
        return;
    p->failure = *err;
    err_prepend(&p->failure, "%s: ", name);
}

/* The store's no to one object is its lock, its retention or its policy; that is not ours to break. */
static void on_each(void *ctx, size_t index, const struct err *err)
{
    struct prune *p = ctx;
    struct victim *v = &p->victims[p->victim_of[index]];

    if (!err && p->state == DUMPS) {
        v->is_gone = true;
        count_gone(p, v->verdict->backup);
        tell(p, v->verdict, NULL);
    } else if (err && err->kind == ERR_AUTH) {
        p->result.locked++;
        tell(p, v->verdict, err);
    } else if (err) {
        count_failure(p, p->keys[index], err);
        tell(p, v->verdict, err);
    }
}

static void next_step(uv_timer_t *timer);

static void on_removed(void *ctx, const struct err *err)
{
    struct prune *p = ctx;

    p->remove = NULL;
    if (err) {
        finish(p, err);
        return;
    }
    schedule(p, next_step);
}

static int start_removing(struct prune *p, struct err *e)
{
    struct s3_remove_spec spec = {
            .keys = (const char *const *)p->keys,
            .n = p->n_keys,
            .ctx = p,
            .on_each = on_each,
            .on_done = on_removed,
    };
    struct s3_client *s3 = core_s3(p->core, e);

    p->remove = s3 ? s3_remove_start(s3, &spec, e) : NULL;
    return p->remove ? 0 : -1;
}

static int make_room_for_keys(struct prune *p, struct err *e)
{
    p->keys = calloc(p->n_victims, sizeof(*p->keys));
    p->victim_of = calloc(p->n_victims, sizeof(*p->victim_of));
    p->n_keys = 0;
    return p->keys && p->victim_of ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

/* Dumps, and keys that have none. */
static int collect_dumps(struct prune *p, struct err *e)
{
    if (make_room_for_keys(p, e) < 0)
        return -1;
    for (size_t i = 0; i < p->n_victims; i++) {
        if (p->victims[i].stays)
            continue;
        p->keys[p->n_keys] = p->victims[i].verdict->backup->name;
        p->victim_of[p->n_keys++] = i;
    }
    return 0;
}

static int collect_keys(struct prune *p, struct err *e)
{
    char name[NAME_TEXT_MAX];

    if (make_room_for_keys(p, e) < 0)
        return -1;
    for (size_t i = 0; i < p->n_victims; i++) {
        if (!p->victims[i].is_gone || !p->victims[i].verdict->backup->has_key)
            continue;
        name_key_of_dump(name, p->victims[i].verdict->backup->name);
        if (!(p->keys[p->n_keys] = strdup(name)))
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        p->victim_of[p->n_keys++] = i;
    }
    return 0;
}

static const char *name_of_victim(void *ctx, size_t index)
{
    const struct prune *p = ctx;

    return p->victims[index].verdict->backup->name;
}

static void spare(struct prune *p, struct victim *v, const struct err *err)
{
    v->stays = true;
    if (!p->request.dry_run)
        tell(p, v->verdict, err);
    else if ((v->why = malloc(sizeof(*v->why))))
        *v->why = *err;
}

static void on_locked(void *ctx, size_t index, const struct err *err)
{
    struct prune *p = ctx;

    p->result.locked++;
    spare(p, &p->victims[index], err);
}

/* What may be locked would only be hidden: it stays, and that is a failure. */
static void on_unknown(void *ctx, size_t index, const struct err *err)
{
    struct prune *p = ctx;
    struct err e = *err;

    err_prepend(&e, "whether it is locked is not known: ");
    if (!p->request.dry_run)
        count_failure(p, p->victims[index].verdict->backup->name, &e);
    spare(p, &p->victims[index], &e);
}

static void on_locks(void *ctx, const struct err *err)
{
    struct prune *p = ctx;
    struct err e = err ? *err : ERR_INIT;
    char note[ERR_TEXT_MAX + 128];

    locks_free(TAKE_PTR(p->locks));
    if (err && err->domain == ERR_DOMAIN_HTTP && err->code == 403) { /* who has no locks need not give us that right */
        (void)snprintf(note, sizeof(note),
                "whether the bucket has object lock may not be asked, so it counts as none: %s", err->text);
        p->sink.note(p->sink.ctx, note);
    } else if (err && p->request.dry_run) {
        (void)snprintf(note, sizeof(note),
                "nothing would be deleted: whether the bucket has object lock is not known: %s", err->text);
        p->sink.note(p->sink.ctx, note);
    } else if (err) {
        err_prepend(&e, "nothing is deleted: whether the bucket has object lock is not known: ");
        finish(p, &e);
        return;
    }
    schedule(p, next_step);
}

static int look_for_locks(struct prune *p, struct err *e)
{
    struct locks_spec spec = {
            .n = p->n_victims,
            .ctx = p,
            .name = name_of_victim,
            .on_locked = on_locked,
            .on_unknown = on_unknown,
            .on_done = on_locks,
    };

    p->locks = p->n_victims ? locks_start(p->core, &spec, e) : NULL;
    if (p->n_victims)
        return p->locks ? 0 : -1;
    schedule(p, next_step);
    return 0;
}

/* All, in the plan's order, with what would go, and what of that the store would not let go. */
static void finish_dry_run(struct prune *p)
{
    struct victim *v = p->victims;

    for (size_t i = 0; i < retain_plan_count(p->plan); i++) {
        const struct retain_verdict *verdict = retain_plan_at(p->plan, i);

        tell(p, verdict, verdict->goes && v->stays ? v->why : NULL);
        if (verdict->goes && !v->stays)
            count_gone(p, verdict->backup);
        v += verdict->goes;
    }
    finish_all(p);
}

static void cancel_now(uv_timer_t *timer);

/* From uploads to locks to dumps to keys to the end, past what has nothing to do. */
static void next_step(uv_timer_t *timer)
{
    struct prune *p = CONTAINER_OF(timer, struct prune, timer);
    struct err e = ERR_INIT;
    int r;

    if (p->cancelled) { /* in the very turn in which a step ended, which set the timer anew */
        cancel_now(timer);
        return;
    }
    drop_keys(p);
    if (p->state == LOCKS && p->request.dry_run) {
        finish_dry_run(p);
        return;
    }
    if (p->state >= KEYS) {
        finish_all(p);
        return;
    }
    set_state(p, p->state + 1);
    if (p->state == LOCKS) {
        if (look_for_locks(p, &e) < 0)
            finish(p, &e);
        return;
    }
    r = p->state == DUMPS ? collect_dumps(p, &e) : collect_keys(p, &e);
    if (r == 0 && p->n_keys)
        r = start_removing(p, &e);
    else if (r == 0)
        schedule(p, next_step);
    if (r < 0)
        finish(p, &e);
}

/* ---- unfinished uploads ---- */

static void on_uploads(void *ctx, unsigned aborted, const struct err *err)
{
    struct prune *p = ctx;
    char note[ERR_TEXT_MAX + 64];

    p->result.uploads = aborted;
    uploads_free(TAKE_PTR(p->uploads));
    if (err) { /* not every store can list them, and nothing of ours depends on it */
        (void)snprintf(note, sizeof(note), "unfinished uploads stay: %s", err->text);
        p->sink.note(p->sink.ctx, note);
    }
    schedule(p, next_step);
}

/* ---- deciding ---- */

static int check_clock(struct prune *p, int64_t now, struct err *e)
{
    const struct catalog_backup *newest = catalog_list_latest(p->list);
    int64_t skew = s3_client_clock_skew(core_s3(p->core, e));
    char text[TIMESTAMP_TEXT_MAX];

    if (skew > PRUNE_SKEW_MAX || skew < -PRUNE_SKEW_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "nothing is deleted: this clock is %" PRId64 " s %s that of the store; one of them is wrong",
                skew > 0 ? skew : -skew, skew > 0 ? "behind" : "ahead of");
    if (newest && newest->instant > now + PRUNE_SKEW_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "nothing is deleted: the newest backup is of %s, which has not come yet; the clock is wrong, or was",
                timestamp_format(newest->instant, text));
    return 0;
}

static void count_complete(struct prune *p)
{
    for (size_t i = 0; i < catalog_list_count(p->list); i++) {
        const struct catalog_backup *b = catalog_list_at(p->list, i);

        p->result.remaining += catalog_backup_counts(b);
        p->result.remaining_bytes += catalog_backup_counts(b) ? b->size : 0;
    }
}

static int make_plan(struct prune *p, struct err *e)
{
    int64_t now = timestamp_now();
    size_t count = catalog_list_count(p->list);

    if (check_clock(p, now, e) < 0 || !(p->plan = retain_plan_new(p->list, &p->request.policy, now, e)))
        return -1;
    p->victims = calloc(count ? count : 1, sizeof(*p->victims));
    if (!p->victims)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    for (size_t i = 0; i < retain_plan_count(p->plan); i++) {
        const struct retain_verdict *v = retain_plan_at(p->plan, i);

        if (v->goes)
            p->victims[p->n_victims++].verdict = v;
        else
            p->result.kept += v->backup->state != CATALOG_ORPHAN_KEY;
        if (!p->request.dry_run && !v->goes)
            tell(p, v, NULL);
    }
    count_complete(p);
    return 0;
}

/* `e` is of what came before. */
static void decide(struct prune *p, const struct err *before)
{
    struct uploads_spec uploads = {.older_than = timestamp_now() - RETAIN_LONE_AGE, .ctx = p, .on_done = on_uploads};
    struct err e = *before;

    if (e.kind != ERR_NONE) {
        err_prepend(&e, "nothing is deleted: ");
        finish(p, &e);
    } else if (make_plan(p, &e) < 0) {
        finish(p, &e);
    } else if (p->request.dry_run) {
        p->state = UPLOADS; /* of which a dry run says nothing */
        schedule(p, next_step);
    } else {
        set_state(p, UPLOADS);
        p->uploads = uploads_abort(p->core, &uploads, &e);
        if (!p->uploads)
            finish(p, &e);
    }
}

/*
 * Of backups that our keys do not open nobody knows which are the good ones: those, or the ones that they do open. What
 * was renamed, or is no key, is no such question: it does not count, and that is said; unless so many were looked at in
 * vain that what nobody looked at would have to count instead.
 */
static bool is_refused(const struct prune *p, const struct key_check_result *r)
{
    unsigned opened = r->looked_at - r->unopened;

    if (r->other)
        return true;
    return r->unopened && r->not_looked_at && opened < KEY_CHECK_MAX / 2 && opened < p->request.policy.min_count;
}

/* What a check that ended with unopened ones means; what is left in *e is the end. */
static void take_unopened(struct prune *p, const struct key_check_result *r, struct err *e)
{
    bool is_final = is_refused(p, r) && !p->request.dry_run && !p->request.allow_other_keys;
    char note[ERR_TEXT_MAX + 64];

    for (unsigned i = 0; i < r->unopened; i++)
        catalog_list_doubt(p->list, r->which[i]);
    if (is_final) {
        *e = r->trouble;
        return;
    }
    (void)snprintf(note, sizeof(note), "%s%s; such backups do not count",
            is_refused(p, r) && p->request.dry_run ? "nothing would be deleted: " : "", r->trouble.text);
    p->sink.note(p->sink.ctx, note);
}

static void on_checked(void *ctx, const struct key_check_result *result, const struct err *err)
{
    struct prune *p = ctx;
    struct err e = err ? *err : ERR_INIT;

    if (err)
        err_prepend(&e, "the master key could not be tried: ");
    else if (result->unopened)
        take_unopened(p, result, &e);
    key_check_free(TAKE_PTR(p->check)); /* the result is its own */
    decide(p, &e);
}

static void on_listed(void *ctx, struct catalog_list *list, const struct err *err)
{
    struct prune *p = ctx;
    struct key_check_spec spec = {.list = list, .ctx = p, .on_done = on_checked};
    struct err e = err ? *err : ERR_INIT;

    p->list = list;
    if (!err)
        p->check = key_check_start(p->core, &spec, &e);
    if (!p->check)
        decide(p, &e);
}

/* ---- the beginning ---- */

static void begin(uv_timer_t *timer)
{
    struct prune *p = CONTAINER_OF(timer, struct prune, timer);
    struct listing_spec spec = {.ctx = p, .on_done = on_listed};
    struct err e = ERR_INIT;

    set_state(p, LISTING);
    p->listing = listing_start(p->core, &spec, &e);
    if (!p->listing)
        finish(p, &e);
}

struct retain_policy prune_policy(const struct conf *conf)
{
    const struct conf_prune *p = &conf->prune;

    return (struct retain_policy){
            .max_age = p->max_age_ms ? p->max_age_ms / 1000 : PRUNE_MAX_AGE,
            .min_count = p->min_count,
            .keep_hourly = p->keep_hourly,
            .keep_daily = p->keep_daily,
            .keep_weekly = p->keep_weekly,
            .keep_monthly = p->keep_monthly,
            .keep_yearly = p->keep_yearly,
    };
}

struct prune *prune_start(
        struct core *core, const struct prune_request *request, const struct job_sink *sink, struct err *e)
{
    struct prune *p = calloc(1, sizeof(*p));

    if (!p) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    core_acquire(core);
    p->core = core;
    p->sink = *sink;
    p->request = *request;
    p->result.dry_run = request->dry_run;
    p->started_ms = uv_now(core_loop(core));
    p->timer.data = p;
    (void)uv_timer_init(core_loop(core), &p->timer);
    schedule(p, begin);
    return p;
}

static void cancel_now(uv_timer_t *timer)
{
    struct prune *p = CONTAINER_OF(timer, struct prune, timer);
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled; %u backups had gone already", p->result.deleted);
    finish(p, &e);
}

void prune_cancel(struct prune *p)
{
    if (p->state == FINISHED || p->cancelled)
        return;
    p->cancelled = true;
    schedule(p, cancel_now);
}
