#include "job/prune/prune.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "job/bucket/listing.h"
#include "job/bucket/uploads.h"
#include "job/lifecycle.h"
#include "job/prune/deletion.h"
#include "job/prune/evidence.h"
#include "s3/object.h"

enum state {
    LISTING,  /* the backups */
    UPLOADS,  /* unfinished uploads are looked for, and aborted */
    DELETING, /* whose phases have names of their own */
    FINISHED,
};

static const char *const phase_names[] = {"listing", "aborting uploads", "deleting", "finished"};

/* One backup that goes. */
struct victim {
    const struct retain_verdict *verdict;
    bool stays;      /* of a dry run, which tells later: it would not go, */
    struct err *why; /* for this reason; ours, or NULL */
};

struct prune {
    struct lifecycle life;
    enum state state;
    struct prune_request request;
    struct listing *listing;
    struct catalog_list *list;
    struct evidence *evidence;
    struct retain_plan *plan;
    struct uploads *uploads;
    struct deletion *deletion;
    struct victim *victims;
    const struct catalog_backup **backups; /* of the victims, in their order */
    size_t n_victims;
    unsigned failed;
    struct err failure; /* the first */
    struct prune_result result;
};

static void tell_progress(struct prune *p)
{
    struct job_progress progress = {.phase = phase_names[p->state]};

    lifecycle_progress(&p->life, &progress);
}

static void set_state(struct prune *p, enum state state)
{
    p->state = state;
    tell_progress(p);
}

/* ---- the end ---- */

static struct prune *of(struct lifecycle *life)
{
    return CONTAINER_OF(life, struct prune, life);
}

static void free_job(struct lifecycle *life)
{
    free(of(life));
}

static void finish(struct prune *p, const struct err *err)
{
    deletion_free(TAKE_PTR(p->deletion));
    uploads_free(TAKE_PTR(p->uploads));
    evidence_free(TAKE_PTR(p->evidence));
    p->state = FINISHED;
    for (size_t i = 0; i < p->n_victims; i++)
        free(p->victims[i].why);
    free(TAKE_PTR(p->victims));
    free(TAKE_PTR(p->backups));
    retain_plan_free(TAKE_PTR(p->plan));
    listing_free(TAKE_PTR(p->listing));
    catalog_list_free(TAKE_PTR(p->list));
    p->result.elapsed_ms = lifecycle_elapsed_ms(&p->life);
    lifecycle_end(&p->life, &(struct job_result){.prune = &p->result}, err);
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

    p->life.sink.planned(p->life.sink.ctx, &planned);
}

static void count_gone(struct prune *p, const struct catalog_backup *b)
{
    if (catalog_backup_is_orphan(b)) {
        p->result.lone_keys += b->state == CATALOG_ORPHAN_KEY;
        return;
    }
    p->result.deleted++;
    p->result.deleted_bytes += b->size;
    if (catalog_backup_counts(b)) {
        p->result.remaining--;
        p->result.remaining_bytes -= b->size;
    }
}

static void on_phase(void *ctx, const char *phase)
{
    struct prune *p = ctx;
    struct job_progress progress = {.phase = phase};

    lifecycle_progress(&p->life, &progress);
}

static void count_failure(struct prune *p, const char *name, const struct err *err)
{
    if (p->failed++)
        return;
    p->failure = *err;
    err_prepend(&p->failure, "%s: ", name);
}

/* A key whose dump has gone is told under its own name: its backup is not there any more. */
static void tell_key_that_stays(struct prune *p, const struct catalog_backup *b, const struct deletion_report *report)
{
    struct err e = *report->err;
    struct planned planned = {
            .name = report->object, .instant = b->instant, .goes = true, .reason = "its dump is deleted", .err = &e};

    err_prepend(&e, "its dump %s is deleted, and it is not: ", b->name);
    count_failure(p, report->object, &e);
    p->life.sink.planned(p->life.sink.ctx, &planned);
}

static void on_report(void *ctx, const struct deletion_report *report)
{
    struct prune *p = ctx;
    struct victim *v = &p->victims[report->index];
    bool is_of_key = strcmp(report->object, v->verdict->backup->name) != 0;
    struct err e = report->err ? *report->err : ERR_INIT;

    p->result.has_begun = true;
    if (report->is_after_dump) {
        tell_key_that_stays(p, v->verdict->backup, report);
        return;
    }
    if (is_of_key)
        err_prepend(&e, "its key: ");
    p->result.locked += report->fate == DELETION_LOCKED;
    if (report->fate == DELETION_FAILED)
        count_failure(p, report->object, report->err);
    if (report->fate == DELETION_GONE)
        count_gone(p, v->verdict->backup);
    if (!p->request.dry_run) {
        tell(p, v->verdict, report->err ? &e : NULL);
        return;
    }
    v->stays = true;
    if ((v->why = malloc(sizeof(*v->why))))
        *v->why = e;
}

/* All, in the plan's order, with what would go, and what of that the store would not let go. */
static void tell_plan(struct prune *p)
{
    struct victim *v = p->victims;

    for (size_t i = 0; i < retain_plan_count(p->plan); i++) {
        const struct retain_verdict *verdict = retain_plan_at(p->plan, i);

        tell(p, verdict, verdict->goes && v->stays ? v->why : NULL);
        if (verdict->goes && !v->stays)
            count_gone(p, verdict->backup);
        v += verdict->goes;
    }
}

static void on_deleted(void *ctx, enum deletion_versions versions, const struct err *err)
{
    struct prune *p = ctx;
    struct err e = err ? *err : ERR_INIT; /* it is the deletion's own */

    p->result.keeps_versions = versions == DELETION_VERSIONS_KEPT;
    p->result.versions_unknown = versions == DELETION_VERSIONS_UNKNOWN;
    if (!err && p->request.dry_run)
        tell_plan(p);
    if (!err && p->failed) {
        e = p->failure;
        err_prepend(&e, "%u of %zu could not be deleted: ", p->failed, p->n_victims);
    }
    finish(p, err || p->failed ? &e : NULL);
}

static void start_deleting(struct lifecycle *life)
{
    struct prune *p = of(life);
    struct deletion_spec spec = {
            .backups = p->backups,
            .n = p->n_victims,
            .dry_run = p->request.dry_run,
            .ctx = p,
            .on_phase = on_phase,
            .on_report = on_report,
            .on_done = on_deleted,
    };
    struct err e = ERR_INIT;

    p->state = DELETING;
    p->deletion = deletion_start(p->life.core, &spec, &e);
    if (!p->deletion)
        finish(p, &e);
}

/* ---- unfinished uploads ---- */

static void on_uploads(void *ctx, unsigned aborted, const struct err *err)
{
    struct prune *p = ctx;
    char note[ERR_TEXT_MAX + 64];

    p->result.uploads = aborted;
    if (err) { /* not every store can list them, and nothing of ours depends on it */
        (void)snprintf(note, sizeof(note), "unfinished uploads stay: %s", err->text);
        lifecycle_note(&p->life, note);
    }
    uploads_free(TAKE_PTR(p->uploads)); /* and the error with it */
    lifecycle_next(&p->life, start_deleting);
}

/* ---- deciding ---- */

static int check_clock(struct prune *p, struct err *e)
{
    int64_t skew = s3_client_clock_skew(core_s3(p->life.core, e));

    if (skew > PRUNE_SKEW_MAX || skew < -PRUNE_SKEW_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "nothing is deleted: this clock is %" PRId64 " s %s that of the store; one of them is wrong",
                skew > 0 ? skew : -skew, skew > 0 ? "behind" : "ahead of");
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

    if (check_clock(p, e) < 0 || !(p->plan = retain_plan_new(p->list, &p->request.policy, now, e)))
        return -1;
    p->victims = calloc(count ? count : 1, sizeof(*p->victims));
    p->backups = calloc(count ? count : 1, sizeof(*p->backups));
    if (!p->victims || !p->backups)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    for (size_t i = 0; i < retain_plan_count(p->plan); i++) {
        const struct retain_verdict *v = retain_plan_at(p->plan, i);

        if (v->goes) {
            p->backups[p->n_victims] = v->backup;
            p->victims[p->n_victims++].verdict = v;
            continue;
        }
        p->result.kept += !catalog_backup_is_orphan(v->backup);
        if (!p->request.dry_run)
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
        lifecycle_next(&p->life, start_deleting); /* of uploads a dry run says nothing */
    } else {
        set_state(p, UPLOADS);
        p->uploads = uploads_abort(p->life.core, &uploads, &e);
        if (!p->uploads)
            finish(p, &e);
    }
}

static void on_evidence_note(void *ctx, const char *note)
{
    struct prune *p = ctx;

    lifecycle_note(&p->life, note);
}

static void on_evidence(void *ctx, const struct err *err)
{
    struct prune *p = ctx;
    struct err e = err ? *err : ERR_INIT; /* it is the evidence's own */

    evidence_free(TAKE_PTR(p->evidence));
    decide(p, &e);
}

/* Its own time has not come, so it would stay for ever and nobody would know why. */
static void tell_future(struct prune *p)
{
    char note[NAME_TEXT_MAX + 256];

    for (size_t i = 0; i < catalog_list_count(p->list); i++) {
        const struct catalog_backup *b = catalog_list_at(p->list, i);

        if (b->doubt != CATALOG_FUTURE)
            continue;
        (void)snprintf(note, sizeof(note),
                "%s is of a time that has not come yet: the clock is wrong, or was; it stays until then and does not "
                "count; if the clock is right now, delete it and its key with any S3 client",
                b->name);
        lifecycle_note(&p->life, note);
        return; /* the newest of them: the others are in the plan */
    }
}

static void on_listed(void *ctx, struct catalog_list *list, const struct err *err)
{
    struct prune *p = ctx;
    struct evidence_spec spec = {
            .list = list,
            .policy = p->request.policy,
            .allow_other_keys = p->request.allow_other_keys,
            .ctx = p,
            .on_note = on_evidence_note,
            .on_done = on_evidence,
    };
    struct err e = err ? *err : ERR_INIT;

    p->list = list;
    if (!err) {
        tell_future(p);
        p->evidence = evidence_start(p->life.core, &spec, &e);
    }
    if (!p->evidence)
        decide(p, &e);
}

/* ---- the beginning ---- */

static void begin(struct lifecycle *life)
{
    struct prune *p = of(life);
    struct listing_spec spec = {.ctx = p, .on_done = on_listed};
    struct err e = ERR_INIT;

    set_state(p, LISTING);
    p->listing = listing_start(p->life.core, &spec, &e);
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

static void cancel(struct lifecycle *life)
{
    struct prune *p = of(life);
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled; %u backups had gone already", p->result.deleted);
    finish(p, &e);
}

struct prune *prune_start(
        struct core *core, const struct prune_request *request, const struct job_sink *sink, struct err *e)
{
    struct prune *p = calloc(1, sizeof(*p));

    if (!p) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    p->request = *request;
    p->result.dry_run = request->dry_run;
    lifecycle_start(
            &p->life, &(struct lifecycle_spec){
                              .core = core, .sink = sink, .first = begin, .cancel = cancel, .free_job = free_job});
    return p;
}

void prune_cancel(struct prune *p)
{
    lifecycle_cancel(&p->life);
}
