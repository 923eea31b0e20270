/*
 * verification.h: the daemon verifies backups by itself: a round whenever one is due, a job for each backup of it.
 *
 * When a round is due, and that all else comes first, agenda.h decides; which backups it is about, round.h; this starts
 * the jobs, hears their verdicts, and keeps what became of it. A job that is in the way of somebody's is cancelled
 * (jobs.h), and what it looked at is begun anew.
 *
 * What is known lives as long as the daemon: after a start nobody knows when a round was last, and one is due at once,
 * or, with a cron line, at its next instant. A reload keeps it, unless the bucket is another one. A backup that was
 * found bad is marked so in the bucket (bad_mark.h), and the next daemon knows that, too.
 */
#pragma once

#include "core/core.h"
#include "jobs.h"
#include "timer/round.h"
#include "timer/schedule.h"

struct verification;

struct verification_state {
    const char *schedule; /* "every 24h: the newest, as a drill"; ""; valid until a reload */
    bool owes_proof;      /* it is scheduled, and what is made now can be opened here: nothing is sealed to people */
    struct round_result round; /* the last one, or the one under way; began 0: none yet */
    int64_t proven; /* when a backup was last found good, by whosever job; seconds since the epoch; 0: none was */
    uint64_t bad, unknown; /* verdicts by whosever job, since the start */
};

/* Whoever wants to know at once that a backup is bad, or that backups could not be looked at: once each in a round. */
struct verification_watcher {
    void *ctx;
    void (*failed)(void *ctx, const struct err *why);
};

/* Borrows both, and observes the jobs; both outlive it. The caller frees, after the jobs. Errors: ERR_RESOURCE. */
struct verification *verification_new(struct core *core, struct jobs *jobs, struct err *e);

void verification_watch(struct verification *v, const struct verification_watcher *watcher);

/* The configuration has changed, or is there: what the agenda is to know of it. A round under way is dropped. */
void verification_reload(struct verification *v);
bool verification_spec(const struct verification *v, struct schedule_spec *schedule, int64_t *verified);

/* A round begins with what the list shows, or goes on with what could not be looked at. False: out of memory. */
bool verification_begin(struct verification *v, const struct catalog_list *list, bool is_retry);

/* Starts the job for the next backup. VERIFICATION_PAUSED: some could not be looked at. */
enum verification_step { VERIFICATION_STARTED, VERIFICATION_AGAIN, VERIFICATION_DONE, VERIFICATION_PAUSED };
enum verification_step verification_next(struct verification *v);

/* Whether the verification that runs is one of ours. */
bool verification_is_ours(const struct verification *v);

/* A verification has ended; whether something was found bad that counted until now. */
bool verification_took(struct verification *v, const struct job_result *result, const struct err *err);

void verification_get_state(const struct verification *v, struct verification_state *out);

/* NULL is fine. */
void verification_free(struct verification *v);
