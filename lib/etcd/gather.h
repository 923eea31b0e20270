/*
 * gather.h: asks all endpoints for their Status at once, and hands over the connection to the best (choose.h).
 *
 * It is over when all have answered or failed; or half a second after the first one that is good enough, so that a dead
 * endpoint in the list costs no more than that.
 */
#pragma once

#include "etcd/member.h"

struct etcd_gather;

struct etcd_gather_best {
    struct etcd_member *member;       /* belongs to the receiver, who calls etcd_member_give */
    size_t i;                         /* number of its endpoint */
    const struct etcd_status *status; /* valid during the call */
};

struct etcd_gather_spec {
    struct etcd_client *client;
    void *ctx;
    /* Once. `best` is NULL when there is none, and err then tells of each endpoint why not. */
    void (*done)(void *ctx, const struct etcd_gather_best *best, const struct err *err);
};

/* The caller closes. Errors: as h2_conn_open. */
struct etcd_gather *etcd_gather_open(const struct etcd_gather_spec *spec, struct err *e);

/* Closes the connections that were not handed over. Never calls back. NULL is fine. */
void etcd_gather_close(struct etcd_gather *g);
