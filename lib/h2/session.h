/*
 * session.h: one HTTP/2 session as a client (RFC 9113), by nghttp2, and the streams on it. Bytes in, bytes out: no
 * socket and no loop; conn.c moves the bytes, grpc.c uses the streams.
 *
 * Streams can be opened before the session has begun, and are kept until the server's SETTINGS have arrived: nothing is
 * asked of a server that may turn out not to speak HTTP/2, and the session can be begun again on another connection.
 *
 * Callbacks come out of h2_session_recv, h2_session_send, h2_session_fail and h2_session_expire, never out of what
 * opens, credits or resets a stream. They may do all of that, and h2_session_shut.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <nghttp2/nghttp2.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

enum {
    H2_FIELDS_MAX = 12,             /* of a request */
    H2_FIELD_BYTES_MAX = 32 * 1024, /* of one block of header fields from the server, as RFC 9113 counts, 6.5.2 */
    H2_FRAME_MAX = 1 << 20,         /* bytes of a frame that we let the server send */
};

struct h2_session_spec {
    uint32_t window; /* bytes, of each stream and of all together; >= 65535 */
    void *ctx;
    uint64_t (*now)(void *ctx); /* milliseconds, monotonic */
    void (*wake)(void *ctx);    /* there is something to send, or a deadline: call h2_session_send soon. No more than a
                                   mark: must not call back into the session */
};

struct h2_session;

/* The caller frees. Errors: ERR_RESOURCE. */
struct h2_session *h2_session_new(const struct h2_session_spec *spec, struct err *e);

/* Begins, or begins again, on a new connection: the preface and our SETTINGS are next to be sent. Errors: ERR_RESOURCE.
 */
int h2_session_begin(struct h2_session *s, struct err *e);

/* What the server sent. Errors: ERR_PROTOCOL, ERR_RESOURCE: the session can do no more. */
int h2_session_recv(struct h2_session *s, struct bytes data, struct err *e);

/* The next bytes to send, at most a few frames; they stay valid until the next call on the session. Returns their
 * number, 0 when there are none, -1: ERR_RESOURCE. */
ssize_t h2_session_send(struct h2_session *s, const uint8_t **data, struct err *e);

/* The server's SETTINGS have arrived. */
bool h2_session_is_ready(const struct h2_session *s);

/* Returns -1 and says why, when the session takes and needs nothing more: the server said GOAWAY and no stream is left
 * (ERR_TRANSIENT), or it broke the protocol and has been told (ERR_PROTOCOL). Else 0. */
int h2_session_check(const struct h2_session *s, struct err *e);

/* Asks the server for a sign of life. */
int h2_session_ping(struct h2_session *s, struct err *e);

/* The earliest time at which a stream's patience ends, 0 when there is none. */
uint64_t h2_session_deadline(const struct h2_session *s);

/* Ends the streams whose time is over. */
void h2_session_expire(struct h2_session *s);

bool h2_session_has_streams(const struct h2_session *s);

/* Ends all streams with this error; no more can be opened. */
void h2_session_fail(struct h2_session *s, const struct err *err);

/* Resets all streams, which drops them, and says GOAWAY, as far as that can still be sent; no more callbacks. */
void h2_session_shut(struct h2_session *s);

/* Not from within a callback. NULL is fine. */
void h2_session_free(struct h2_session *s);

CLEANUP_FUNC(struct h2_session *, h2_session_free)
#define _cleanup_session_ _cleanup_(cleanup_h2_session_free)

struct h2_stream_spec {
    struct bytes body;   /* of the request; stays valid until the end or the reset */
    uint64_t timeout_ms; /* without h2_stream_touch, from when the request is sent; 0: none */
    void *ctx;
    /* Fills in the request's header fields, when it is sent; returns their number. The strings need to stay only until
     * it returns; nghttp2 copies them. */
    size_t (*fields)(void *ctx, nghttp2_nv out[H2_FIELDS_MAX]);
    /* A header field; `last`: it is in the block that ends the stream. */
    void (*on_field)(void *ctx, bool last, struct bytes name, struct bytes value);
    /* Bytes of the body; they count against the window until h2_stream_credit. */
    void (*on_data)(void *ctx, struct bytes piece);
    /* The end, once unless reset; the stream is gone. NULL: the server ended it in good order. ERR_DOMAIN_HTTP2: it was
     * reset; else what happened to the connection, or ERR_TRANSIENT for the time-out. */
    void (*on_end)(void *ctx, const struct err *err);
    /* Instead of the end: the session was shut or freed, and the stream is gone. Only to release what `ctx` holds. */
    void (*on_dropped)(void *ctx);
};

struct h2_stream;

/* Errors: ERR_RESOURCE, ERR_TRANSIENT (the session has ended, or the server is going away). */
struct h2_stream *h2_stream_open(struct h2_session *s, const struct h2_stream_spec *spec, struct err *e);

/* Bytes of the body have been dealt with. At the end of a stream the rest is credited by itself. */
void h2_stream_credit(struct h2_stream *st, size_t bytes);

/* There was progress: the time-out begins anew. */
void h2_stream_touch(struct h2_stream *st);

/* RST_STREAM(CANCEL); the stream is gone. Never calls back. */
void h2_stream_reset(struct h2_stream *st);
