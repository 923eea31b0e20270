/*
 * cycle.h: a backup whenever one is due, a prune after each, verifications in between, and what is known of the bucket.
 *
 * State lives in the bucket alone: at the start the newest backup is looked up, and the schedule (schedule.h, pure)
 * begins from it. What is next, and what of it waits for what, agenda.h decides (pure, too); this does it.
 *
 * A cycle begins with a look at the bucket: what is there, and whether the master key still opens it (key_check.h). A
 * key that does not is told, again and again, and nothing is pruned; the backup is made all the same, for one that can
 * be read is better than none. A key that was rotated away makes no backup any more. A backup that somebody asks for
 * looks for itself (attempts.h), and behind it, or behind its refusal, there is such a look, too; and behind each job
 * and each list while there is trouble with the key.
 *
 * A schedule may be shared with daemons elsewhere (schedule.shared): each backup that is due is made by one of them
 * (shared.h).
 *
 * Without a schedule it only looks the bucket up; and without metrics, too, once and quietly, for `status`.
 */
#pragma once

#include "core/core.h"
#include "jobs.h"
#include "timer/verification.h"

struct cycle;

/* What `status` and the metrics show. */
struct cycle_state {
    bool is_known;          /* the bucket has been looked at */
    int64_t newest;         /* complete backup that is not of the future, seconds since the epoch; 0: none. While the
                             * bucket is not known: that was made meanwhile */
    uint64_t backups;       /* complete ones */
    uint64_t bytes;         /* of them */
    int64_t next;           /* backup, is or was due, seconds since the epoch; 0: none is scheduled, or not known yet */
    const char *schedule;   /* "every 6h", "cron 0 * * * *", ""; valid until cycle_free or cycle_reload */
    unsigned failures;      /* of cycles, in a row */
    struct err lookup;      /* why the bucket could not be looked at last, while !is_known */
    bool key_is_checked;    /* the master key has been tried */
    struct err key_trouble; /* why it is not the right one; kind ERR_NONE: nothing is known against it */
    struct err
            bad_newest; /* there is a newer backup than `newest`, which was read and is bad; ERR_NONE: there is none */
    struct verification_state verify;
    int64_t next_verify; /* as `next`, of a round of verifications */
    bool needs_previous; /* a backup is opened by one of previous_key_paths alone */
};

/* Borrows both, and observes the jobs; both outlive it. The caller frees. Errors: ERR_RESOURCE. */
struct cycle *cycle_new(struct core *core, struct jobs *jobs, struct err *e);

/* The configuration has changed (core_reload): begins anew. Not while anything has the core. */
void cycle_reload(struct cycle *c);

/* Who is told of verifications by the daemon itself that fail; copied. */
void cycle_watch_verification(struct cycle *c, const struct verification_watcher *watcher);

/* Whether the master key that is configured now was rotated away, as of the last look: no backup that somebody asks for
 * may use it. Then why; and there will be another look, since a rotation may have brought it back meanwhile. */
bool cycle_refuses_backup(struct cycle *c, struct err *why);

/* Somebody has seen the list of the backups: if the last look found trouble with the key, there will be another, so
 * that `status` and the list do not differ. */
void cycle_was_listed(struct cycle *c);

void cycle_get_state(const struct cycle *c, struct cycle_state *out);

/* Starts nothing more and closes its handles, so that the loop can end. A turn that it has is given back: others wait
 * for `schedule.takeover` otherwise. So the store's clients are needed while cycle_is_leaving, after which `on_left`,
 * which may be NULL, comes once; never inside the call. NULL is fine. */
void cycle_stop(struct cycle *c, void *ctx, void (*on_left)(void *ctx));
bool cycle_is_leaving(const struct cycle *c);

/* After cycle_stop: what is still on its way is left, and on_left does not come. NULL is fine. */
void cycle_close(struct cycle *c);

/* After the jobs are gone, which it observes. NULL is fine. */
void cycle_free(struct cycle *c);
