/*
 * members.h: what etcd's members did of late, so that the next job does not ask first who has just failed.
 *
 * Kept in memory: longer than a job, not longer than the daemon, and not beyond a reload to other endpoints. A member
 * whose snapshot broke off is not asked first for a while; one whose snapshot was not what its SHA-256 says for a day,
 * and at first not even where the others' data may be old. What a member does well is believed at once. Nobody is ever
 * left out: lib/etcd's choice (etcd/choose.h) decides what a blame weighs. Pure: the caller says what time it is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "etcd/client.h"

enum {
    MEMBERS_FAILED_MS = 10 * 60 * 1000,    /* not asked first */
    MEMBERS_LIED_MS = 24 * 60 * 60 * 1000, /* the same, after wrong bytes */
    MEMBERS_LIAR_MS = 10 * 60 * 1000,      /* and so long after all others */
};

struct members;

/* The caller frees. NULL when out of memory. */
struct members *members_new(void);

/* What the member at `endpoint`, as configured, did; `why` NULL: it gave a snapshot that is right. `now`: ms of a clock
 * that only goes on. */
void members_tell(struct members *m, const char *endpoint, const struct err *why, uint64_t now);

struct etcd_blame members_blame(const struct members *m, const char *endpoint, uint64_t now);

/* Other endpoints are configured. */
void members_forget(struct members *m);

/* NULL is fine. */
void members_free(struct members *m);
