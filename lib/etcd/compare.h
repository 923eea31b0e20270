/*
 * compare.h: whether the members of a cluster have the same contents, by HashKV at one revision.
 *
 * Each endpoint that answers is asked, the member that a snapshot was read from first: its hash is what the snapshot
 * must have. Two hashes can be compared when they were computed with the same compaction; equal ones are equal
 * contents, and different ones a divergence: somebody's data are not what the cluster agreed on. All else is "not
 * compared".
 *
 * Those that differ are asked a second time, some seconds later, before that is said: then what they say last counts.
 * Where one that answered before does not answer again, what was seen stays, and nobody's hash is told.
 *
 * One after the other, on purpose: a member that computes the hash reads all its changes, and holds up what is written
 * to it meanwhile. All at once, they would hold up the cluster. Each connection is closed behind its answer.
 *
 * The first member is also asked how many keys there are at the revision, which the snapshot tells nobody who does not
 * read all of its values. etcd counts in its index; who does not answer that is compared all the same.
 *
 * It never fails: whoever cannot be asked is left out, with the reason, and each time all are asked ends after
 * `limit_ms`. Who has not answered Status in a few seconds counts as one that is down.
 *
 * etcd's rpc.proto: Maintenance.HashKV, KV.Range.
 */
#pragma once

#include "etcd/client.h"

struct etcd_compare;

enum { ETCD_COMPARE_WHY_MAX = 512 };

struct etcd_compare_result {
    enum etcd_compare_verdict {
        ETCD_COMPARE_NOT, /* no two members could be compared */
        ETCD_COMPARE_EQUAL,
        ETCD_COMPARE_DIVERGE,
    } verdict;
    unsigned compared;              /* members, of those that could be */
    char why[ETCD_COMPARE_WHY_MAX]; /* one line: who was left out and why; of a divergence, who has what; or "" */
    bool has_hash;                  /* of the first member, said last, with the snapshot's own compaction; then: */
    uint32_t hash;
    bool has_keys; /* it has also told how many there are at the snapshot's revision; then: */
    uint64_t keys;
};

struct etcd_compare_spec {
    struct etcd_client *client;         /* outlives it */
    const char *endpoint;               /* the member that the snapshot was read from, as configured; copied */
    uint64_t cluster_id, member_id;     /* as that one has said them */
    int64_t revision, compact_revision; /* of the snapshot; -1: never compacted */
    uint64_t limit_ms;                  /* for all of them, each time */
    void *ctx;
    /* Once, unless closed; never inside the start. */
    void (*done)(void *ctx, const struct etcd_compare_result *result);
};

/* The caller closes. Errors: ERR_RESOURCE. */
struct etcd_compare *etcd_compare_start(const struct etcd_compare_spec *spec, struct err *e);

/* "equal", "diverge", "not compared". */
const char *etcd_compare_verdict_name(enum etcd_compare_verdict verdict);

/* Ends it. Never calls back. NULL is fine. */
void etcd_compare_close(struct etcd_compare *c);
