/*
 * jobs.h: one job at a time, what it is doing, and how the last ones ended.
 *
 * Whoever wants a job done starts it here and may watch it; the slot also keeps what `status` shows and writes the one
 * line that the log gets for each job. A second job is refused with ERR_BUSY while one runs.
 */
#pragma once

#include "core/core.h"
#include "job/backup/attempts.h"
#include "job/job.h"
#include "job/prune/prune.h"
#include "job/restore/restore.h"
#include "job/rotate/rotate.h"
#include "job/verify/verify.h"

struct jobs;

/* What `status` shows. */
struct jobs_state {
    const char *running;          /* "backup", "restore", "verify", "prune", "rotate-key", or NULL */
    int64_t running_since;        /* seconds since the epoch */
    struct job_progress progress; /* of the running one */
    char last_note[ERR_TEXT_MAX]; /* that the running one gave: why it waits, say; "" */
    bool has_success;
    struct backup_result last_success; /* of a backup */
    bool has_failure;
    struct err last_failure; /* of the last job that failed */
    const char *failed_job;
    int64_t failed_at;  /* seconds since the epoch */
    bool backup_failed; /* the last backup did */
    bool has_prune;
    struct prune_result last_prune;
    int64_t pruned_at;       /* seconds since the epoch */
    uint64_t prunes_refused; /* by us, before they began */
};

/*
 * Who wants to know what happens, whoever asked for it. Each may be NULL; all are called on the loop, in the order of
 * jobs_observe, and may start a job in `idle` alone.
 */
struct jobs_observer {
    void *ctx;
    void (*started)(void *ctx, const char *job);
    /* As job.h's done. */
    void (*ended)(void *ctx, const char *job, const struct job_result *result, const struct err *err);
    void (*idle)(void *ctx); /* a job has ended, and its watcher was told */
};

enum { JOBS_OBSERVERS = 8 };

/* Borrows the core. With `quiet` the log keeps silent about outcomes: the one client of a private daemon is told them.
 * The caller frees when no job runs. Errors: ERR_RESOURCE. */
struct jobs *jobs_new(struct core *core, bool quiet, struct err *e);

/* Start a job. `watcher` is told as in job.h; copied; NULL for nobody. Errors: ERR_BUSY naming the running job, and
 * those of the job's start. */
int jobs_start_backup(
        struct jobs *j, const struct backup_request *request, const struct job_sink *watcher, struct err *e);
int jobs_start_restore(
        struct jobs *j, const struct restore_request *request, const struct job_sink *watcher, struct err *e);
int jobs_start_verify(
        struct jobs *j, const struct verify_request *request, const struct job_sink *watcher, struct err *e);
/* Also refused, with ERR_CONFIG, after a backup that failed, unless it only looks. */
int jobs_start_prune(
        struct jobs *j, const struct prune_request *request, const struct job_sink *watcher, struct err *e);

int jobs_start_rotate(
        struct jobs *j, const struct rotate_request *request, const struct job_sink *watcher, struct err *e);

/* A backup that must not even begin: told, logged and counted like one that failed. Not while a job runs. */
void jobs_refuse_backup(struct jobs *j, const struct err *why);

/* The watcher with this ctx is told nothing more; the job goes on. */
void jobs_unwatch(struct jobs *j, const void *ctx);

/* Asks the running job, if any, to stop. */
void jobs_cancel(struct jobs *j);

/* The same because the daemon ends, as is then told. */
void jobs_stop(struct jobs *j);

/* Valid until the loop turns. */
const struct jobs_state *jobs_state(const struct jobs *j);

/* At most JOBS_OBSERVERS; copied, for as long as the jobs live. */
void jobs_observe(struct jobs *j, const struct jobs_observer *observer);

/* NULL is fine. */
void jobs_free(struct jobs *j);
