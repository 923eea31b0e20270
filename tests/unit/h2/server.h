/*
 * server.h: the other end of an HTTP/2 session, in memory, by nghttp2 as a server. Its allocations never fail.
 *
 * It answers each request, when it is complete, with `answer` as the body and `trailers` (grpc-status: 0) behind it; it
 * sends as the client's windows allow, and counts what a test wants to know.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct server;

struct server_counts {
    size_t requests;
    size_t request_bytes; /* of bodies */
    size_t resets;        /* RST_STREAM from the client */
    uint32_t reset_code;  /* of the last */
    size_t window_updates;
    size_t pings;
    size_t goaways;
};

/* `answer` outlives it. `hold`: requests are not answered. The caller frees. */
struct server *server_new(struct bytes answer, bool hold);
void server_free(struct server *s);

/* What the client sent. False when it has broken the protocol. */
bool server_recv(struct server *s, struct bytes data);

/* What is to be sent, at most a few frames; empty when there is nothing. Valid until the next call. */
struct bytes server_send(struct server *s);

struct server_counts server_counts(const struct server *s);

/* Bytes of answers that the client's windows have let through so far. */
size_t server_sent(const struct server *s);

/* GOAWAY: streams above `last` have not been looked at. */
void server_goaway(struct server *s, int32_t last);
