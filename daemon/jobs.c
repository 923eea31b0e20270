#include "jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "base/timestamp.h"
#include "core/log.h"

enum { KEPT_TOLD = 100 }; /* of a prune, at level info; the others at debug */

struct jobs {
    struct core *core;
    bool quiet;
    struct attempts *backup; /* at most one of these */
    struct restore *restore;
    struct verify *verify;
    struct prune *prune;
    struct rotate *rotate;
    bool is_stopping;        /* with the daemon */
    struct job_sink watcher; /* ctx NULL: nobody */
    struct jobs_state state;
    unsigned kept; /* what the running prune has told that it keeps */
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
    return j;
}

static double mib_per_second(uint64_t bytes, uint64_t ms)
{
    return (double)bytes * 1000 / (1 << 20) / (double)(ms ? ms : 1);
}

static void log_backup(const struct backup_result *r)
{
    char size[SIZE_TEXT_MAX];

    log_info("backup done: %s, %s in %.1f s, %.0f MiB/s, %s, from %s%s%s (etcd %s), revision %" PRId64 " to %" PRId64
             ", attempt %u",
            r->name, size_format(r->snapshot_size, size), (double)r->elapsed_ms / 1000,
            mib_per_second(r->snapshot_size, r->elapsed_ms), r->encrypted ? "encrypted" : "NOT ENCRYPTED",
            r->member.endpoint, r->member.name[0] ? " " : "", r->member.name, r->member.version, r->member.revision,
            r->revision_after, r->attempts);
}

static void log_restore(const struct restore_result *r)
{
    char size[SIZE_TEXT_MAX];

    if (r->dry_run)
        log_info("restore could be done: %s to %s", r->name, r->data_dir ? r->data_dir : r->output);
    else
        log_info("restore done: %s to %s, %s in %.1f s, %.0f MiB/s%s", r->name, r->data_dir ? r->data_dir : r->output,
                size_format(r->snapshot_size, size), (double)r->elapsed_ms / 1000,
                mib_per_second(r->snapshot_size, r->elapsed_ms),
                r->hash_checked ? "" : ", SHA-256 NOT CHECKED as was asked");
}

static void log_verify(const struct verify_result *r)
{
    log_info("verify done: %u good, in %.1f s%s%s", r->good, (double)r->elapsed_ms / 1000,
            r->tool ? ", unpacked by " : "", r->tool ? r->tool : "");
}

static void log_prune(const struct prune_result *r)
{
    char size[SIZE_TEXT_MAX];

    log_info("prune %s: %u kept, %u deleted (%s), %u lone keys, %u unfinished uploads, %u locked, in %.1f s",
            r->dry_run ? "would do" : "done", r->kept, r->deleted, size_format(r->deleted_bytes, size), r->lone_keys,
            r->uploads, r->locked, (double)r->elapsed_ms / 1000);
}

static void log_rotate(const struct rotate_result *r)
{
    log_info("rotate-key %s: from %s to %s: %u rotated, %u already, %u failed, %u old versions purged, %u kept, in "
             "%.1f s",
            r->dry_run ? "would do" : "ended", r->previous, r->next, r->rotated, r->already, r->failed, r->purged,
            r->old_versions, (double)r->elapsed_ms / 1000);
}

static void log_result(const struct job_result *result)
{
    if (result->backup)
        log_backup(result->backup);
    else if (result->restore)
        log_restore(result->restore);
    else if (result->verify)
        log_verify(result->verify);
    else if (result->prune)
        log_prune(result->prune);
    else
        log_rotate(result->rotate);
}

static void on_progress(void *ctx, const struct job_progress *p)
{
    struct jobs *j = ctx;

    j->state.progress = *p;
    if (j->watcher.ctx)
        j->watcher.progress(j->watcher.ctx, p);
}

static void on_note(void *ctx, const char *text)
{
    struct jobs *j = ctx;

    (void)snprintf(j->state.last_note, sizeof(j->state.last_note), "%s", text);
    if (!j->quiet)
        log_warning("%s: %s", j->state.running, text);
    if (j->watcher.ctx)
        j->watcher.note(j->watcher.ctx, text);
}

static void on_output(void *ctx, const char *line)
{
    struct jobs *j = ctx;

    if (!j->quiet)
        log_debug("%s: %s", j->state.running, line);
    if (j->watcher.ctx)
        j->watcher.output(j->watcher.ctx, line);
}

static void on_verdict(void *ctx, const struct verdict *v)
{
    struct jobs *j = ctx;

    if (!j->quiet && v->err)
        log_error("verify: %s", v->err->text);
    else if (!j->quiet)
        log_info("verify: %s is good", v->name);
    if (j->watcher.ctx)
        j->watcher.verdict(j->watcher.ctx, v);
}

static void on_planned(void *ctx, const struct planned *p)
{
    struct jobs *j = ctx;

    if (p->err && p->dry_run && !j->quiet)
        log_info("prune: would stay: %s: %s", p->name, p->err->text);
    else if (p->err && !j->quiet)
        log_warning("prune: %s stays: %s", p->name, p->err->text);
    else if (!j->quiet)
        log_write(p->goes || j->kept++ < KEPT_TOLD ? LOG_INFO : LOG_DEBUG, "prune: %s: %s: %s",
                !p->goes     ? "keep"
                : p->dry_run ? "would delete"
                             : "delete",
                p->name, p->reason);
    if (j->watcher.ctx)
        j->watcher.planned(j->watcher.ctx, p);
}

static void on_unrotated(void *ctx, const struct unrotated *u)
{
    struct jobs *j = ctx;

    if (!j->quiet)
        log_warning("rotate-key: %s: %s", u->name, u->err->text);
    if (j->watcher.ctx)
        j->watcher.unrotated(j->watcher.ctx, u);
}

static void remember_failure(struct jobs *j, const struct err *err)
{
    j->state.has_failure = true;
    j->state.last_failure = *err;
    j->state.failed_job = j->state.running;
    j->state.failed_at = timestamp_now();
    if (!j->quiet)
        log_write(err->kind == ERR_CANCELLED ? LOG_WARNING : LOG_ERROR, "%s failed: %s", j->state.running, err->text);
}

static void remember_result(struct jobs *j, const struct job_result *result)
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
    if (!j->quiet)
        log_result(result);
}

static void on_done(void *ctx, const struct job_result *result, const struct err *err)
{
    struct jobs *j = ctx;
    struct job_sink watcher = j->watcher;
    const char *job = j->state.running;
    struct err stopped;

    if (err && err->kind == ERR_CANCELLED && j->is_stopping) {
        stopped = *err;
        err_prepend(&stopped, "the daemon is stopping: ");
        err = &stopped;
    }
    j->state.backup_failed =
            j->state.backup_failed || (err && strcmp(job, "backup") == 0 && err->kind != ERR_CANCELLED);
    j->watcher = (struct job_sink){0};
    j->backup = NULL;
    j->restore = NULL;
    j->verify = NULL;
    j->prune = NULL;
    j->rotate = NULL;
    if (err && result && result->rotate && result->rotate->rotated && !j->quiet)
        log_rotate(result->rotate);
    if (j->kept > KEPT_TOLD)
        log_info("prune: %u more are kept for such reasons; at log_level debug each is told", j->kept - KEPT_TOLD);
    j->kept = 0;
    if (err)
        remember_failure(j, err);
    else
        remember_result(j, result);
    j->state.running = NULL;
    for (unsigned i = 0; i < j->n_observers; i++)
        if (j->observers[i].ended)
            j->observers[i].ended(j->observers[i].ctx, job, result, err);
    if (watcher.ctx)
        watcher.done(watcher.ctx, result, err);
    for (unsigned i = 0; i < j->n_observers; i++)
        if (j->observers[i].idle)
            j->observers[i].idle(j->observers[i].ctx);
}

static struct job_sink sink_of(struct jobs *j)
{
    return (struct job_sink){
            .ctx = j,
            .progress = on_progress,
            .note = on_note,
            .output = on_output,
            .verdict = on_verdict,
            .planned = on_planned,
            .unrotated = on_unrotated,
            .done = on_done,
    };
}

static int take_slot(struct jobs *j, const char *name, const struct job_sink *watcher, struct err *e)
{
    char since[TIMESTAMP_TEXT_MAX];

    if (j->state.running)
        return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "a %s is running since %s; %s", j->state.running,
                timestamp_format(j->state.running_since, since),
                strcmp(name, "rotate-key") == 0 ? "wait for its end: no backup may be under way during a rotation"
                                                : "with -c FILE etcd-backupctl works beside this daemon");
    j->state.running = name;
    j->state.running_since = timestamp_now();
    j->state.progress = (struct job_progress){.phase = "starting"};
    j->state.last_note[0] = '\0';
    j->watcher = watcher ? *watcher : (struct job_sink){0};
    return 0;
}

static int begun(struct jobs *j)
{
    for (unsigned i = 0; i < j->n_observers; i++)
        if (j->observers[i].started)
            j->observers[i].started(j->observers[i].ctx, j->state.running);
    return 0;
}

static int give_slot_back(struct jobs *j)
{
    j->state.running = NULL;
    j->watcher = (struct job_sink){0};
    return -1;
}

int jobs_start_backup(
        struct jobs *j, const struct backup_request *request, const struct job_sink *watcher, struct err *e)
{
    struct job_sink sink = sink_of(j);

    if (take_slot(j, "backup", watcher, e) < 0)
        return -1;
    j->backup = attempts_start(j->core, request, &sink, e);
    return j->backup ? begun(j) : give_slot_back(j);
}

int jobs_start_restore(
        struct jobs *j, const struct restore_request *request, const struct job_sink *watcher, struct err *e)
{
    struct job_sink sink = sink_of(j);

    if (take_slot(j, "restore", watcher, e) < 0)
        return -1;
    j->restore = restore_start(j->core, request, &sink, e);
    return j->restore ? begun(j) : give_slot_back(j);
}

int jobs_start_verify(
        struct jobs *j, const struct verify_request *request, const struct job_sink *watcher, struct err *e)
{
    struct job_sink sink = sink_of(j);

    if (take_slot(j, "verify", watcher, e) < 0)
        return -1;
    j->verify = verify_start(j->core, request, &sink, e);
    return j->verify ? begun(j) : give_slot_back(j);
}

int jobs_start_prune(struct jobs *j, const struct prune_request *request, const struct job_sink *watcher, struct err *e)
{
    struct job_sink sink = sink_of(j);

    if (j->state.backup_failed && !request->dry_run) {
        j->state.prunes_refused++;
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "nothing is deleted: the last backup failed, and old ones may be all there is");
    }
    if (take_slot(j, "prune", watcher, e) < 0)
        return -1;
    j->prune = prune_start(j->core, request, &sink, e);
    return j->prune ? begun(j) : give_slot_back(j);
}

int jobs_start_rotate(
        struct jobs *j, const struct rotate_request *request, const struct job_sink *watcher, struct err *e)
{
    struct job_sink sink = sink_of(j);

    if (take_slot(j, "rotate-key", watcher, e) < 0)
        return -1;
    j->rotate = rotate_start(j->core, request, &sink, e);
    return j->rotate ? begun(j) : give_slot_back(j);
}

void jobs_refuse_backup(struct jobs *j, const struct err *why)
{
    struct err e = *why;

    if (take_slot(j, "backup", NULL, &e) < 0)
        return;
    (void)begun(j);
    on_done(j, NULL, &e);
}

void jobs_unwatch(struct jobs *j, const void *ctx)
{
    if (j->watcher.ctx == ctx)
        j->watcher = (struct job_sink){0};
}

void jobs_cancel(struct jobs *j)
{
    if (j->backup)
        attempts_cancel(j->backup);
    if (j->restore)
        restore_cancel(j->restore);
    if (j->verify)
        verify_cancel(j->verify);
    if (j->prune)
        prune_cancel(j->prune);
    if (j->rotate)
        rotate_cancel(j->rotate);
}

void jobs_stop(struct jobs *j)
{
    j->is_stopping = true;
    jobs_cancel(j);
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
