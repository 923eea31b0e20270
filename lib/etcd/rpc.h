/*
 * rpc.h: etcd's unary calls with their answers decoded.
 *
 * Each start returns a handle to cancel it by; `done` comes once, never inside the start, and then the handle is gone.
 * Errors are refined (errors.h). An answer whose status is not OK, or which cannot be decoded, is no answer.
 */
#pragma once

#include "etcd/client.h"
#include "etcd/errors.h"
#include "etcd/messages.h"
#include "h2/grpc.h"

/* What came back; valid during the call of `done`. Only what was asked for is filled. */
struct etcd_rpc_answer {
    struct etcd_status status;
    struct etcd_messages_member member;
    struct etcd_messages_hash hash;
    uint64_t keys;
    struct secret *token; /* TAKE_PTR it, or it is wiped */
};

struct etcd_rpc_spec {
    struct h2_conn *conn;
    const struct secret *token; /* or NULL; copied */
    uint64_t timeout_ms;
    void *ctx;
    /* err is NULL when there is an answer. `next` is what may be tried about the error. */
    void (*done)(void *ctx, struct etcd_rpc_answer *answer, enum etcd_errors_next next, const struct err *err);
};

struct etcd_rpc;

/* Maintenance/Status. Errors of the starts: ERR_RESOURCE, ERR_TRANSIENT (the connection is closed). */
struct etcd_rpc *etcd_rpc_status(const struct etcd_rpc_spec *spec, struct err *e);

/* Auth/Authenticate. Errors also: ERR_CONFIG. */
struct etcd_rpc *etcd_rpc_authenticate(
        const struct etcd_rpc_spec *spec, const char *username, const struct secret *password, struct err *e);

/* Cluster/MemberList, what the member itself knows: name and kind of member `id`. */
struct etcd_rpc *etcd_rpc_member(const struct etcd_rpc_spec *spec, uint64_t id, struct err *e);

/* Maintenance/HashKV, up to a revision. */
struct etcd_rpc *etcd_rpc_hash(const struct etcd_rpc_spec *spec, int64_t revision, struct err *e);

/* KV/Range, at a revision, serializable: how many keys there are. etcd counts in its index, and reads no value. */
struct etcd_rpc *etcd_rpc_count(const struct etcd_rpc_spec *spec, int64_t revision, struct err *e);

/* Never calls back. NULL is fine. */
void etcd_rpc_cancel(struct etcd_rpc *r);
