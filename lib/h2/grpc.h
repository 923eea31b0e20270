/*
 * grpc.h: one gRPC call on a connection (gRPC over HTTP/2, grpc/doc/PROTOCOL-HTTP2.md).
 *
 * One request message, then any number of response messages, then a status. Whole messages are handed up; the framing
 * (a flag byte and a 32-bit length) is a pure parser in framing.h. Never offers compression and refuses it.
 *
 * Credit: framing and unary answers are credited by the call itself. With `manual_credit` the receiver gives each
 * message back with grpc_call_credit once it has done with it; until then the bytes count against the window and the
 * server stalls when it is used up. Nothing else is needed to pause a stream. A message must then fit into the window.
 *
 * The status becomes an error: OK is none; UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, UNKNOWN,
 * INTERNAL, DATA_LOSS, and CANCELLED (by the server: who cancels here hears no more) ERR_TRANSIENT; UNAUTHENTICATED,
 * PERMISSION_DENIED ERR_AUTH; UNIMPLEMENTED, INVALID_ARGUMENT, FAILED_PRECONDITION, ... ERR_CONFIG; domain
 * ERR_DOMAIN_GRPC, code the grpc-status, text "grpc-status 14 UNAVAILABLE: <grpc-message, percent-decoded>". A stream
 * that was reset is ERR_DOMAIN_HTTP2 with that code: ERR_TRANSIENT (REFUSED_STREAM, CANCEL, ...), ERR_PROTOCOL,
 * ERR_CONFIG. etcd/client.c refines etcd's dialects.
 */
#pragma once

#include "base/bytes.h"
#include "base/secret.h"
#include "h2/conn.h"
#include "h2/framing.h"

enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

struct grpc_call_spec {
    const char *method;         /* "/etcdserverpb.Maintenance/Status", static */
    struct bytes request;       /* the encoded message; copied */
    const struct secret *token; /* metadata `token`, never indexed by HPACK; copied; or NULL */
    uint64_t timeout_ms;  /* without a message or the end arriving; also sent as grpc-timeout if it is a unary call;
                             0: none, the receiver watches progress itself */
    uint64_t deadline_ms; /* when the server may end a call that is not unary, whoever is left to read: its
                             grpc-timeout, and not watched here; 0: never */
    bool unary;           /* exactly one message is expected, or a status that is not OK */
    bool manual_credit;
    size_t message_limit; /* bytes of one message; a longer one is ERR_PROTOCOL */

    void *ctx;
    /* A message, valid during the call. Its credit is message.len + 5 bytes. */
    void (*on_message)(void *ctx, struct bytes message);
    /* Instead of it, if not NULL: a message as it comes, part by part, not gathered. */
    void (*on_part)(void *ctx, const struct grpc_part *part);
    /* The end, once unless cancelled: NULL for status OK. The call is gone when this returns. */
    void (*on_done)(void *ctx, const struct err *err);
};

struct grpc_call;

/* Starts it, or queues it until the connection is ready. Errors: ERR_RESOURCE, ERR_TRANSIENT (connection is closed). */
struct grpc_call *grpc_call_start(struct h2_conn *c, const struct grpc_call_spec *spec, struct err *e);

/* Gives back `bytes` of credit; WINDOW_UPDATEs are sent in batches of half a window. For manual_credit. */
void grpc_call_credit(struct grpc_call *call, size_t bytes);

/* Sends RST_STREAM(CANCEL), which frees etcd's read transaction at once. Never calls back; the call is gone. NULL is
 * fine. */
void grpc_call_cancel(struct grpc_call *call);
