/*
 * backup_world.h: everything around one backup, for tests: etcd, the stage, S3 and the key object, which do what a
 * number generator decides, in any order that their contracts allow. They check what they are asked to do: nothing is
 * used after it was freed, nothing is freed twice or while a thread works on it, and nothing becomes visible that is
 * not whole.
 */
#pragma once

#include "expect.h"

#include <uv.h>

#include "job/backup/backup.h"

/* How one backup went, for the test to judge. */
struct world_end {
    bool told; /* `done` was called */
    bool succeeded;
    struct err err;
    bool committed;     /* a commit was sent */
    bool visible;       /* and took effect */
    bool known_visible; /* and the store said so at last */
    bool key_is_there;
    bool was_looked_at; /* key and dump, behind the commit */
    bool is_damaged;    /* the database, as it went by */
    bool accepts_damaged;
    bool is_marked;  /* as damaged: the mark was asked for, behind the commit */
    bool is_no_pair; /* dump and key were not seen to belong together */
    bool key_removed;
    bool cancelled; /* it was asked to stop */
    unsigned events;
};

/* How likely things are, of a thousand. */
struct world_odds {
    unsigned failure; /* of each call and each answer */
    unsigned cancel;  /* in each turn */
};

/* Before the first and after the last; 0 unless something is left. */
int world_open(void);
int world_close(void);

/* Runs one from beginning to end. Fails the test, with the seed, when it breaks a contract or when nothing can happen
 * any more though it has not ended. */
void world_run(uint64_t seed, bool encrypted, const struct world_odds *odds, struct world_end *end);
