#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "jobs_log.h"

/* What there is to run: a start and a cancellation, whatever the job's own types are. */
struct kind {
    const char *name;
    bool only_reads;
    void *(*start)(struct core *core, const void *request, const struct job_sink *sink, struct err *e);
    void (*cancel)(void *job);
};

#define RUNNER(room)                                                                                                   \
    static void *start_##room(struct core *core, const void *request, const struct job_sink *sink, struct err *e)      \
    {                                                                                                                  \
        return room##_start(core, request, sink, e);                                                                   \
    }                                                                                                                  \
    static void cancel_##room(void *job)                                                                               \
    {                                                                                                                  \
        room##_cancel(job);                                                                                            \
    }

RUNNER(attempts)
RUNNER(restore)
RUNNER(verify)
RUNNER(prune)
RUNNER(rotate)
RUNNER(look)
RUNNER(check)

static const struct kind backup = {"backup", false, start_attempts, cancel_attempts},
                         restore = {"restore", true, start_restore, cancel_restore},
                         verify = {"verify", true, start_verify, cancel_verify},
                         prune = {"prune", false, start_prune, cancel_prune},
                         rotation = {"rotate-key", false, start_rotate, cancel_rotate},
                         look = {"look", true, start_look, cancel_look},
                         checking = {"check", true, start_check, cancel_check};

static const struct kind *const kinds[] = {
        [JOBS_BACKUP] = &backup,
        [JOBS_RESTORE] = &restore,
        [JOBS_VERIFY] = &verify,
        [JOBS_PRUNE] = &prune,
        [JOBS_ROTATE] = &rotation,
        [JOBS_LOOK] = &look,
        [JOBS_CHECK] = &checking,
};

/* A place for a job that runs. */
struct place {
    struct jobs *owner;
    const struct kind *kind; /* NULL: nobody is here */
    void *job;
    struct job_sink watcher; /* ctx NULL: nobody */
    bool is_somebodys;       /* who has asked for it, though he may have left */
    struct jobs_running *shown;
};

enum { CHANGING, READING, N_PLACES };

struct waiting {
    const struct kind *kind;
    const struct jobs_waiter *waiter;
};

struct jobs {
    struct core *core;
    bool quiet;
    struct place places[N_PLACES];
    struct waiting waiting[JOBS_WAITERS]; /* state.n_waiting of them */
    bool is_stopping;                     /* with the daemon */
    struct jobs_state state;
    struct jobs_observer observers[JOBS_OBSERVERS];
    unsigned n_observers;
};

struct jobs *jobs_new(struct core *core, bool quiet, struct err *e)
{
    struct jobs *j = calloc(1, sizeof(*j));

    if (!j) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    j->core = core;
    j->quiet = quiet;
    j->places[CHANGING] = (struct place){.owner = j, .shown = &j->state.changing};
    j->places[READING] = (struct place){.owner = j, .shown = &j->state.reading};
    return j;
}

static void on_progress(void *ctx, const struct job_progress *progress)
{
    struct place *p = ctx;

    p->shown->progress = *progress;
    if (p->watcher.ctx)
        p->watcher.progress(p->watcher.ctx, progress);
}

static void on_note(void *ctx, const char *text)
{
    struct place *p = ctx;

    (void)snprintf(p->shown->note, sizeof(p->shown->note), "%s", text);
    if (!p->owner->quiet)
        jobs_log_note(p->kind->name, text);
    if (p->watcher.ctx)
        p->watcher.note(p->watcher.ctx, text);
}

static void on_output(void *ctx, const char *line)
{
    struct place *p = ctx;

    if (!p->owner->quiet)
        jobs_log_output(p->kind->name, line);
    if (p->watcher.ctx)
        p->watcher.output(p->watcher.ctx, line);
}

static void on_verdict(void *ctx, const struct verdict *v)
{
    struct place *p = ctx;

    if (!p->owner->quiet)
        jobs_log_verdict(v);
    for (unsigned i = 0; i < p->owner->n_observers; i++)
        if (p->owner->observers[i].verdict)
            p->owner->observers[i].verdict(p->owner->observers[i].ctx, v);
    if (p->watcher.ctx)
        p->watcher.verdict(p->watcher.ctx, v);
}

static void on_planned(void *ctx, const struct planned *planned)
{
    struct place *p = ctx;

    if (!p->owner->quiet)
        jobs_log_planned(planned);
    if (p->watcher.ctx)
        p->watcher.planned(p->watcher.ctx, planned);
}

static void on_unrotated(void *ctx, const struct unrotated *u)
{
    struct place *p = ctx;

    if (!p->owner->quiet)
        jobs_log_unrotated(u);
    if (p->watcher.ctx)
        p->watcher.unrotated(p->watcher.ctx, u);
}

static void on_finding(void *ctx, const struct finding *f)
{
    struct place *p = ctx;

    if (!p->owner->quiet)
        jobs_log_finding(f);
    if (p->watcher.ctx)
        p->watcher.finding(p->watcher.ctx, f);
}

/* Whether a failure is one of what the daemon is for. That somebody mistyped a time, or left, he knows himself. */
static bool concerns_the_service(const struct kind *kind, const struct job_result *result, const struct err *err)
{
    if (err->kind == ERR_CANCELLED || kind == &restore || kind == &look || kind == &checking)
        return false;
    if (kind == &verify)
        return err->kind == ERR_INTEGRITY;
    if (kind == &rotation)
        return result && result->rotate && (result->rotate->rotated + result->rotate->bound || result->rotate->failed);
    return true;
}

static void remember_failure(
        struct jobs *j, const struct kind *kind, const struct job_result *result, const struct err *err)
{
    if (kind == &backup && err->kind != ERR_CANCELLED)
        j->state.backup_failed = true;
    if (concerns_the_service(kind, result, err)) {
        j->state.has_failure = true;
        j->state.last_failure = *err;
        j->state.failed_job = kind->name;
        j->state.failed_at = timestamp_now();
    }
    if (!j->quiet)
        jobs_log_failure(kind->name, result, err);
}

/* Of a verification by the daemon itself the verdict says it all. */
static bool is_one_of_many(const struct place *p, const struct job_result *result)
{
    return result->verify && !p->is_somebodys;
}

static void remember_result(struct jobs *j, const struct place *p, const struct job_result *result)
{
    if (result->backup) {
        j->state.has_success = true;
        j->state.backup_failed = false;
        j->state.last_success = *result->backup;
        known_set_own_cluster(core_known(j->core), result->backup->member.cluster_id);
    } else if (result->prune && !result->prune->dry_run) {
        j->state.has_prune = true;
        j->state.last_prune = *result->prune;
        j->state.pruned_at = timestamp_now();
    }
    if (!j->quiet && !is_one_of_many(p, result))
        jobs_log_result(result);
}

/* ---- who waits for what ---- */

/* What keeps such a job from starting, somebody's before nobody's; NULL: nothing. */
static const struct place *obstacle(const struct jobs *j, const struct kind *kind)
{
    const struct place *found = NULL;

    for (unsigned i = 0; i < N_PLACES; i++) {
        const struct place *p = &j->places[i];

        if (p->kind && !(i == READING && kind == &backup) && (!found || (p->is_somebodys && !found->is_somebodys)))
            found = p;
    }
    return found;
}

void jobs_give_up_verification(struct jobs *j)
{
    struct place *p = &j->places[READING];

    if (p->job && p->kind == &verify && !p->is_somebodys)
        p->kind->cancel(p->job);
}

const char *jobs_wait(struct jobs *j, enum jobs_kind kind, const struct jobs_waiter *waiter)
{
    const struct place *p = obstacle(j, kinds[kind]);

    if (!p || p->is_somebodys || j->is_stopping || j->state.n_waiting == JOBS_WAITERS)
        return NULL;
    j->waiting[j->state.n_waiting] = (struct waiting){kinds[kind], waiter};
    j->state.waiting[j->state.n_waiting++] = kinds[kind]->name;
    if (kinds[kind] != &backup)
        jobs_give_up_verification(j); /* never calls back from here */
    return p->kind->name;
}

void jobs_wait_no_more(struct jobs *j, const struct jobs_waiter *waiter)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < j->state.n_waiting; i++) {
        if (j->waiting[i].waiter == waiter)
            continue;
        j->waiting[kept] = j->waiting[i];
        j->state.waiting[kept++] = j->waiting[i].kind->name;
    }
    j->state.n_waiting = kept;
}

/* One after the other, as far as they go beside each other: nobody is overtaken. */
static void give_turns(struct jobs *j)
{
    while (!j->is_stopping && j->state.n_waiting && !obstacle(j, j->waiting[0].kind)) {
        const struct jobs_waiter *first = j->waiting[0].waiter;

        jobs_wait_no_more(j, first);
        first->on_turn(first->ctx);
    }
}

/* ---- what comes of them ---- */

static void leave(struct place *p)
{
    p->kind = NULL;
    p->job = NULL;
    p->watcher = (struct job_sink){0};
    p->shown->name = NULL;
}

static void on_done(void *ctx, const struct job_result *result, const struct err *err)
{
    struct place *p = ctx;
    struct jobs *j = p->owner;
    struct job_sink watcher = p->watcher;
    const struct kind *kind = p->kind;
    struct err stopped;
    bool is_put_off;

    if (err && err->kind == ERR_CANCELLED && j->is_stopping) {
        stopped = *err;
        err_prepend(&stopped, "the daemon is stopping: ");
        err = &stopped;
    }
    /* Somebody waits, who comes first: no failure. */
    is_put_off = kind == &verify && !p->is_somebodys && err && err->kind == ERR_CANCELLED && !j->is_stopping;
    leave(p);
    if (err && !is_put_off)
        remember_failure(j, kind, result, err);
    else if (!err)
        remember_result(j, p, result);
    for (unsigned i = 0; i < j->n_observers; i++)
        if (j->observers[i].ended)
            j->observers[i].ended(j->observers[i].ctx, kind->name, result, err);
    if (watcher.ctx)
        watcher.done(watcher.ctx, result, err);
    give_turns(j);
    for (unsigned i = 0; i < j->n_observers; i++)
        if (j->observers[i].idle)
            j->observers[i].idle(j->observers[i].ctx);
}

/* ---- starting and ending ---- */

static int refuse(const struct place *p, const struct kind *kind, struct err *e)
{
    char since[TIMESTAMP_TEXT_MAX];

    return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "a %s is running since %s; %s", p->kind->name,
            timestamp_format(p->shown->since, since),
            kind == &rotation ? "wait for its end: no backup may be under way during a rotation"
                              : "with -c FILE etcd-backupctl works beside this daemon");
}

/* The place that it may have now, or NULL with an error. */
static struct place *enter(struct jobs *j, const struct kind *kind, const struct job_sink *watcher, struct err *e)
{
    struct place *p = &j->places[kind->only_reads ? READING : CHANGING];
    const struct place *in_the_way = obstacle(j, kind);

    if (in_the_way) {
        refuse(in_the_way, kind, e);
        return NULL;
    }
    p->kind = kind;
    p->is_somebodys = watcher && watcher->ctx;
    p->watcher = watcher ? *watcher : (struct job_sink){0};
    *p->shown = (struct jobs_running){.name = kind->name, .since = timestamp_now(), .progress = {.phase = "starting"}};
    return p;
}

static void tell_started(struct jobs *j, const struct kind *kind)
{
    for (unsigned i = 0; i < j->n_observers; i++)
        if (j->observers[i].started)
            j->observers[i].started(j->observers[i].ctx, kind->name);
}

static int start(
        struct jobs *j, const struct kind *kind, const void *request, const struct job_sink *watcher, struct err *e)
{
    struct place *p = enter(j, kind, watcher, e);
    struct job_sink sink = {
            .ctx = p,
            .progress = on_progress,
            .note = on_note,
            .output = on_output,
            .verdict = on_verdict,
            .planned = on_planned,
            .unrotated = on_unrotated,
            .finding = on_finding,
            .done = on_done,
    };

    if (!p)
        return -1;
    p->job = kind->start(j->core, request, &sink, e);
    if (p->job)
        tell_started(j, kind);
    else
        leave(p);
    return p->job ? 0 : -1;
}

int jobs_start_backup(
        struct jobs *j, const struct backup_request *request, const struct job_sink *watcher, struct err *e)
{
    return start(j, &backup, request, watcher, e);
}

int jobs_start_restore(
        struct jobs *j, const struct restore_request *request, const struct job_sink *watcher, struct err *e)
{
    return start(j, &restore, request, watcher, e);
}

int jobs_start_verify(
        struct jobs *j, const struct verify_request *request, const struct job_sink *watcher, struct err *e)
{
    return start(j, &verify, request, watcher, e);
}

int jobs_start_prune(struct jobs *j, const struct prune_request *request, const struct job_sink *watcher, struct err *e)
{
    if (j->state.backup_failed && !request->dry_run) {
        j->state.prunes_refused++;
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "nothing is deleted: the last backup failed, and old ones may be all there is");
    }
    return start(j, &prune, request, watcher, e);
}

int jobs_start_rotate(
        struct jobs *j, const struct rotate_request *request, const struct job_sink *watcher, struct err *e)
{
    return start(j, &rotation, request, watcher, e);
}

int jobs_start_look(struct jobs *j, const struct look_request *request, const struct job_sink *watcher, struct err *e)
{
    return start(j, &look, request, watcher, e);
}

int jobs_start_check(struct jobs *j, const struct check_request *request, const struct job_sink *watcher, struct err *e)
{
    return start(j, &checking, request, watcher, e);
}

void jobs_refuse_backup(struct jobs *j, const struct err *why)
{
    struct err e = *why;
    struct place *p = enter(j, &backup, NULL, &e);

    if (!p)
        return;
    tell_started(j, &backup);
    on_done(p, NULL, &e);
}

void jobs_unwatch(struct jobs *j, const void *ctx)
{
    for (unsigned i = 0; i < N_PLACES; i++)
        if (j->places[i].watcher.ctx == ctx)
            j->places[i].watcher = (struct job_sink){0};
}

void jobs_cancel(struct jobs *j, const void *ctx)
{
    for (unsigned i = 0; i < N_PLACES; i++)
        if (j->places[i].job && j->places[i].watcher.ctx == ctx)
            j->places[i].kind->cancel(j->places[i].job);
}

void jobs_give_up_backup(struct jobs *j)
{
    struct place *p = &j->places[CHANGING];

    if (p->job && p->kind == &backup)
        p->kind->cancel(p->job);
}

void jobs_stop(struct jobs *j)
{
    j->is_stopping = true;
    for (unsigned i = 0; i < N_PLACES; i++)
        if (j->places[i].job)
            j->places[i].kind->cancel(j->places[i].job);
}

const char *jobs_running(const struct jobs *j)
{
    return j->state.changing.name ? j->state.changing.name : j->state.reading.name;
}

void jobs_forget(struct jobs *j)
{
    j->state.has_success = j->state.has_failure = j->state.has_prune = j->state.backup_failed = false;
}

const struct jobs_state *jobs_state(const struct jobs *j)
{
    return &j->state;
}

void jobs_observe(struct jobs *j, const struct jobs_observer *observer)
{
    if (j->n_observers < JOBS_OBSERVERS)
        j->observers[j->n_observers++] = *observer;
}

void jobs_free(struct jobs *j)
{
    free(j);
}
