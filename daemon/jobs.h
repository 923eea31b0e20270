/*
 * jobs.h: which jobs run, what they are doing, and how the last ones ended.
 *
 * Whoever wants a job done starts it here and may watch it; what is kept here `status` shows, and the log gets one line
 * for each job. There are two places. What changes the bucket (backup, prune, rotate-key) runs alone, but for one
 * thing: a backup begins also beside a job that only reads (restore, verify, look, check), for that may take hours, or
 * hang, and nobody is to be without backups meanwhile. All else is refused with ERR_BUSY while anything runs.
 *
 * What runs is somebody's, if he watched it at its start, or nobody's: the timer's. Who meets what is nobody's need not
 * be refused for something that he cannot know of: he may wait for its end (jobs_wait). A verification that is nobody's
 * is cancelled for him: it can be made later.
 */
#pragma once

#include "core/core.h"
#include "job/backup/attempts.h"
#include "job/check/check.h"
#include "job/job.h"
#include "job/look/look.h"
#include "job/prune/prune.h"
#include "job/restore/restore.h"
#include "job/rotate/rotate.h"
#include "job/verify/verify.h"

struct jobs;

enum jobs_kind { JOBS_BACKUP, JOBS_RESTORE, JOBS_VERIFY, JOBS_PRUNE, JOBS_ROTATE, JOBS_LOOK, JOBS_CHECK };

enum { JOBS_WAITERS = 16 }; /* who wait at a time; more are refused */

/* A job that runs. */
struct jobs_running {
    const char *name; /* "backup", "restore", "verify", "prune", "rotate-key", "look", "check", or NULL */
    int64_t since;    /* seconds since the epoch */
    struct job_progress progress;
    char note[ERR_TEXT_MAX]; /* that it gave last: why it waits, say; "" */
};

/* What `status` shows. */
struct jobs_state {
    struct jobs_running changing;      /* the job that changes the bucket */
    struct jobs_running reading;       /* the one that only reads */
    const char *waiting[JOBS_WAITERS]; /* what those want who wait, in order */
    unsigned n_waiting;
    bool has_success;
    struct backup_result last_success; /* of a backup */
    bool has_failure;
    struct err last_failure; /* the last that says something of the service: not that somebody mistyped a restore */
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
    void (*verdict)(void *ctx, const struct verdict *v); /* of a verification */
    /* As job.h's done. */
    void (*ended)(void *ctx, const char *job, const struct job_result *result, const struct err *err);
    void (*idle)(void *ctx); /* a job has ended, and its watcher was told; another may run still */
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

int jobs_start_look(struct jobs *j, const struct look_request *request, const struct job_sink *watcher, struct err *e);
int jobs_start_check(
        struct jobs *j, const struct check_request *request, const struct job_sink *watcher, struct err *e);

/*
 * Somebody who wants a job of this kind. If one that is nobody's, and nothing of somebody's, keeps it from starting, he
 * waits from now on, and what he waits for is returned. NULL: it may be started now; or it will be refused.
 *
 * Who waits is called once, in the order of arrival, when his job can start, and before the observers are told that a
 * job has ended: neither the timer nor who comes later overtakes him. He starts it during the call, or not at all. The
 * daemon's end calls nobody. The waiter is borrowed until then, or until jobs_wait_no_more.
 */
struct jobs_waiter {
    void *ctx;
    void (*on_turn)(void *ctx);
};
const char *jobs_wait(struct jobs *j, enum jobs_kind kind, const struct jobs_waiter *waiter);

/* Also of one that does not wait. */
void jobs_wait_no_more(struct jobs *j, const struct jobs_waiter *waiter);

/* A backup that must not even begin: told, logged and counted like one that failed. Not while one runs that changes
 * something. */
void jobs_refuse_backup(struct jobs *j, const struct err *why);

/* The watcher with this ctx is told nothing more; the job goes on. */
void jobs_unwatch(struct jobs *j, const void *ctx);

/* Asks the job that the watcher with this ctx watches, if any, to stop. */
void jobs_cancel(struct jobs *j, const void *ctx);

/* Asks the backup that runs, if one does, to stop. */
void jobs_give_up_backup(struct jobs *j);

/* Likewise a verification that nobody has asked for, which can be made later. */
void jobs_give_up_verification(struct jobs *j);

/* Asks all to stop because the daemon ends, as is then told. */
void jobs_stop(struct jobs *j);

/* The name of one that runs, the one that changes something first; NULL: none. */
const char *jobs_running(const struct jobs *j);

/* How the last ones ended is of no interest any more: they were about another bucket. */
void jobs_forget(struct jobs *j);

/* Valid until the loop turns. */
const struct jobs_state *jobs_state(const struct jobs *j);

/* At most JOBS_OBSERVERS; copied, for as long as the jobs live. */
void jobs_observe(struct jobs *j, const struct jobs_observer *observer);

/* NULL is fine. */
void jobs_free(struct jobs *j);
