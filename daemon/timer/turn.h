/*
 * turn.h: whose turn it is, among daemons on several hosts that share one schedule.
 *
 * They know each other by the bucket alone. Who is about to make the backup that is due claims a name, as each backup
 * does (job/bucket/claim.h), looks who else has, and holds the claim until the backup has ended:
 *
 *     is it made, is anybody at it? => claim => is it made, is anybody at it? => ours, until it is given back
 *
 * Of two who claim at the same time, the one whose claim was there later sees the other's, since a listing shows what
 * was put before it (S3, "Amazon S3 data consistency model"; Ceph and MinIO do the same). Whoever sees somebody steps
 * back, and asks again later, by chance: both may step back, and never do both go on.
 *
 * Nobody's clock is compared with another's. A claim that is held is put anew all the time; one that has not changed
 * for `takeover_ms`, as we have seen ourselves, is a dead one's, or that of a backup without a turn, which is waited
 * for as long. Likewise, who cannot put theirs for most of that time has lost the turn, and is told so before anybody
 * else can take it; but not whom the store answers that nothing may be written over. Who would be kept waiting
 * TURN_PATIENCE times as long, whatever is seen, goes on: a backup too many is cheap.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"

enum { TURN_SEEN_MAX = 32, TURN_PATIENCE = 20 };

/* What one daemon remembers of the others' claims from turn to turn. A value, all zero at first; its members are for
 * turn.c alone. */
struct turn_memory {
    struct turn_claim {
        int64_t instant, last_modified; /* of its name, and by the store's clock */
        uint64_t tag;                   /* name_object_tag */
        uint64_t since_boot_ms;         /* when we saw it so first */
    } seen[TURN_SEEN_MAX];
    unsigned n_seen;
    uint64_t waits_since_boot_ms; /* 0: it does not */
};

enum turn_outcome {
    TURN_OURS,
    TURN_ANOTHERS, /* somebody is at it: to be asked again */
    TURN_NOT_DUE,  /* it has been made */
    TURN_UNKNOWN,  /* the bucket cannot be looked at or written to: the backup will tell */
};

struct turn;

struct turn_spec {
    struct turn_memory *memory; /* borrowed; outlives the turn */
    uint64_t takeover_ms;
    void *ctx;
    /* `newest`: of the backups that count, seconds since the epoch; 0: there is none. Whether one is still due. */
    bool (*is_due)(void *ctx, int64_t newest);
    /* Once, never inside the start, nor after turn_give_back; `err` with TURN_UNKNOWN. But for TURN_OURS there is no
     * claim any more. */
    void (*on_end)(void *ctx, enum turn_outcome outcome, const struct err *err);
    /* At most once, while it is ours: others will take it for theirs. It is still to be given back. */
    void (*on_lost)(void *ctx);
};

/* Asks for it. The core must be acquired, and stay so until turn_free. The caller frees. Errors: ERR_RESOURCE, those of
 * core_s3 and of a name that is too long. */
struct turn *turn_take(struct core *core, const struct turn_spec *spec, struct err *e);

/* Takes the claim away, wherever it is; best effort: the others wait for `takeover_ms` otherwise. `on_given` comes
 * once, never inside this call. */
void turn_give_back(struct turn *t, void (*on_given)(void *ctx));

/* Cancels what runs, and leaves the claim where it is. NULL is fine. */
void turn_free(struct turn *t);
