/*
 * world_inside.h: what the files of backup_world share.
 *
 *     backup_world.c   chance, the core, and one backup from beginning to end
 *     world_etcd.c     the session, the snapshot, and the stage that reads it
 *     world_s3.c       the claim, the predecessor, the upload and the key object
 */
#pragma once

#include "backup_world.h"

#include "core/leftovers.h"
#include "etcd/snapshot.h"
#include "job/backup/comparison.h"
#include "job/backup/damage_mark.h"
#include "job/backup/dump_object.h"
#include "job/backup/key_object.h"
#include "job/backup/predecessor.h"
#include "job/backup/seal_worker.h"
#include "job/bucket/claim.h"
#include "job/keys/keyring.h"
#include "seal/seal.h"

/* What a thing is: it may be used while it is ALIVE, and is freed once. */
enum life { NONE, ALIVE, FREED };

enum { CHUNKS_MAX = 5 };

#define UPLOAD_ETAG "\"6805f2cfc46c0f04559748bb039d69ae-3\""

struct world {
    uint64_t random, seed;
    struct world_odds odds;
    struct world_end *end;
    struct conf conf;
    int core_users;
    bool cancel_has_come; /* it was asked for, and a turn of the loop has passed since */
    bool cancel_is_known; /* and nothing is committed */
};
extern struct world w;

extern uv_loop_t loop; /* of all worlds: making one takes longer than a backup does here */

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            fail_msg("seed %llu, event %u: %s", (unsigned long long)w.seed, w.end->events, #cond);                     \
    } while (0)

/* Less than n. */
uint64_t chance(uint64_t n);
bool happens(unsigned of_a_thousand);

/* An error of some kind, now and then. */
bool goes_wrong(struct err *e, const char *what);

struct world_session {
    enum life life;
    enum { OPENING, READY, LOST } state;
    struct etcd_session_spec spec;
    void *status_ctx; /* asked for, and not answered yet */
    void (*on_status)(void *ctx, const struct etcd_status *status, const struct err *err);
};
extern struct world_session session;

struct world_snapshot {
    enum life life;
    struct etcd_snapshot_spec spec;
    unsigned chunks, arrived, consumed;
    size_t last_len;
    bool begun, over, ended, readable_told;
};
extern struct world_snapshot snapshot;

struct world_stage {
    enum life life;
    bool works, verdict_is_good, is_damaged;
    struct bytes in;
    uint8_t *into;
    unsigned done;
    unsigned more; /* runs until all has come out, of what is compressed */
    void *ctx;
    void (*ready)(void *ctx, struct bytes out, const struct err *err);
};
extern struct world_stage stage;

struct world_claim {
    enum life life;
    struct claim_spec spec;
    bool claiming, is_owned, may_be_there;
    void *release_ctx;
    void (*on_released)(void *ctx);
};
extern struct world_claim claim;

struct world_comparison {
    enum life life;
    struct comparison_spec spec;
    bool has_told;
};
extern struct world_comparison comparison;

struct world_predecessor {
    enum life life;
    struct predecessor_spec spec;
    bool has_told;
};
extern struct world_predecessor predecessor;

struct world_upload {
    enum life life;
    struct dump_object_events events;
    uint64_t size, written, room, want;
    uint8_t place, *lent; /* where the next bytes may be made, and whether that was said */
    bool ended, failed, flushed, commit, commit_over, aborting, aborted;
    bool taken; /* the store has taken the commit: the object is visible, or will be */
    enum s3_outcome outcome;
};
extern struct world_upload upload;

struct world_mark {
    enum life life;
    bool is_hurried;
    void *ctx;
    void (*on_done)(void *ctx, const struct err *err);
};
extern struct world_mark mark;

struct world_key {
    enum life life;
    struct key_object_spec spec;
    bool storing, is_stored, is_hurried;
    void *check_ctx;
    void (*on_checked)(void *ctx, struct bytes found, const struct err *err);
    void *remove_ctx;
    void (*on_removed)(void *ctx);
};
extern struct world_key key;

/* What can happen next; each looks for itself whether it can. */
void world_on_session(void);
void world_on_session_lost(void);
void world_on_predecessor(void);
void world_on_comparison(void);
void world_on_status(void);
void world_on_chunk(void);
void world_on_snapshot_end(void);
void world_on_stage(void);
void world_on_room(void);
void world_on_upload(void);
void world_on_commit(void);
void world_on_abort(void);
void world_on_key(void);
void world_on_mark(void);
void world_on_claim(void);
