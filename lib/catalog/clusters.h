/*
 * clusters.h: backups of several etcd clusters under one prefix: which of them are ours. Pure.
 *
 * It happens by mistake: two clusters with the same configuration. And it happens after each disaster: what was
 * restored is a new cluster, whose backups follow those of the old one. Whoever made a backup knows which cluster is
 * his. Who did not takes the cluster of the newest backup for his, if all backups of all others are older than all of
 * that one; where they alternate, nobody knows.
 *
 * What is of another cluster is none of ours: it counts for nothing (CATALOG_OTHER_CLUSTER), and stays. A backup that
 * does not say (0: the Go tool's) is ours.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "catalog/list.h"

struct clusters_result {
    uint64_t own;    /* 0: no backup says */
    uint64_t other;  /* one of the others; 0: there is none */
    size_t n_other;  /* backups of others */
    bool is_unclear; /* which is ours: they alternate */
};

/* `ids` has one for each of the list, 0 where it is not known; `own` is 0 where that is not known. Doubts those of
 * others, unless it is unclear. */
struct clusters_result clusters_judge(struct catalog_list *l, const uint64_t *ids, uint64_t own);
