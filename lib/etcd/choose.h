/*
 * choose.h: which member to take the snapshot from. Pure.
 *
 * A snapshot costs its server a long read and the page cache, so the leader, which all writes wait for, is spared where
 * a follower will do. In this order:
 *
 *     1. a healthy follower: it knows a leader, has no alarm of its own, has applied nearly all that anybody has
 *     2. the leader
 *     3. a follower out of space: it serves snapshots all the same
 *     4. a follower that is far behind: what it has is whole, but old
 *     5. one that knows no leader: cut off, and nobody knows for how long
 *     6. one whose data etcd itself calls corrupt
 *     7. one whose last snapshot was not what its SHA-256 says, a moment ago
 *
 * Of the first three, those that failed of late come after the others, the last one to fail last. From 4 on what is
 * there may be old or damaged: that weighs more than a failure, which the next attempt may not see again. A learner is
 * never taken. Among equals the order of the configuration decides. Somebody who answers is always taken, for an old
 * backup is better than none; etcd_choose_doubt then says what is wrong with it.
 *
 * Members are compared within one cluster: the indices of two have nothing to do with each other, and an old member
 * that is still listed after a restore knows the higher one. Of several clusters it is the one that knows a leader,
 * then the one of which more members answer, then the one that is listed first; the others' members are strangers,
 * which are not taken.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "etcd/client.h"

/* Entries of the raft log that a follower may be behind and still count as healthy. */
enum { ETCD_CHOOSE_LAG_MAX = 1000 };

struct etcd_choose_candidate {
    const struct etcd_status *status; /* NULL: does not answer (yet) */
    struct etcd_blame blame;
};

enum { ETCD_CHOOSE_NONE = -1 };

/* The index of the best, or ETCD_CHOOSE_NONE. */
int etcd_choose_best(const struct etcd_choose_candidate *candidates, size_t n);

/* Whether waiting for more answers is hardly worth it: candidate `i` is a healthy follower or the leader without an
 * alarm, and not blamed. */
bool etcd_choose_is_good(const struct etcd_choose_candidate *candidates, size_t n, size_t i);

/* Whether candidate `i` has answered and is of another cluster than the one that etcd_choose_best takes from. */
bool etcd_choose_is_stranger(const struct etcd_choose_candidate *candidates, size_t n, size_t i);

/* How many entries of the log the database of candidate `i`, who has answered, lacks of the most that anybody of its
 * cluster knows. */
uint64_t etcd_choose_behind(const struct etcd_choose_candidate *candidates, size_t n, size_t i);

enum { ETCD_CHOOSE_DOUBT_MAX = 1024 };

/* Whether a backup taken from this member may be old or damaged, and then one line for a person that says why. */
bool etcd_choose_doubt(const struct etcd_status *s, char text[ETCD_CHOOSE_DOUBT_MAX]);

/* The same for one whose configuration mixes clusters: it may be of the wrong one. */
bool etcd_choose_mixture(const struct etcd_status *s, char text[ETCD_CHOOSE_DOUBT_MAX]);

/* The same for a cluster that is being downgraded: etcd changes its storage to the older release's at some moment that
 * nobody is told, so a snapshot may be of either. */
bool etcd_choose_downgrade(const struct etcd_status *s, char text[ETCD_CHOOSE_DOUBT_MAX]);
