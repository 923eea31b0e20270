/*
 * prune.h: what is too old goes, and everybody can read why.
 *
 *     list => evidence (evidence.h) => plan (catalog/retain.h, pure) => unfinished uploads => what is to go goes
 * (deletion.h)
 *
 * It refuses to begin when what it would decide by cannot be trusted: the listing did not complete, our clock is more
 * than PRUNE_SKEW_MAX off the store's, a backup is there that no configured master key opens, backups of several etcd
 * clusters take turns (evidence.h), or what is locked cannot be found out (locks.h). What is in doubt for another
 * reason (it was verified bad, is renamed, not encrypted, of the future, of another cluster, its key is gone or cannot
 * be read) stays, does not count and takes no other's place, and that is said.
 * What the store keeps under lock is skipped and said; what it refuses to delete is a failure. A dry run ends as its
 * run would, but that nothing is deleted.
 */
#pragma once

#include "catalog/retain.h"
#include "job/bucket/listing.h"
#include "job/job.h"

enum { PRUNE_SKEW_MAX = CLOCK_SKEW_MAX, PRUNE_MAX_AGE = 15 * 24 * 3600 }; /* seconds */

struct prune;

struct prune_request {
    struct retain_policy policy;
    bool dry_run;          /* decide, tell, and delete nothing */
    bool allow_other_keys; /* also if there are backups that no configured master key opens */
};

/* What the configuration says, with the Go tool's 15 days where it says nothing of the age. */
struct retain_policy prune_policy(const struct conf *conf);

/* Starts one. Errors: ERR_RESOURCE; all else comes through `done`, with a failure, too, what went before it. Frees
 * itself after `done`. The sink gets `planned`
 * for everything that stays and for each that is gone, or could not be deleted; of a dry run, at its end, for all in
 * the order of the plan. */
struct prune *prune_start(
        struct core *core, const struct prune_request *request, const struct job_sink *sink, struct err *e);

/* Asks it to stop: what is gone is gone; `done` says ERR_CANCELLED. */
void prune_cancel(struct prune *p);
