/*
 * wire.h: bytes over a connected socket, through TLS or as they are.
 *
 * One read buffer of 256 KiB a connection, filled with one system call and worked off before the next. What is written
 * gathers until h2_wire_flush, which makes one system call of it; if the socket takes less, the rest waits and the wire
 * is blocked: the owner writes nothing more until on_drained.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"
#include "h2/tls.h"

struct h2_wire_spec {
    uv_stream_t *stream; /* connected, of dial.h; from now on the wire's */
    struct h2_tls *tls;  /* or NULL; borrowed until h2_wire_close */
    void *ctx;
    /* TLS is established; without TLS it never comes. Once. */
    void (*on_secure)(void *ctx);
    /* Plaintext, valid during the call. */
    void (*on_data)(void *ctx, struct bytes data);
    /* What had been blocked is written. */
    void (*on_drained)(void *ctx);
    /* The connection is of no more use. Once; nothing comes after it. The owner still calls h2_wire_close. */
    void (*on_failed)(void *ctx, const struct err *err);
};

struct h2_wire;

/* Starts reading, and the TLS handshake. The stream is taken in any case. Errors: ERR_RESOURCE. */
struct h2_wire *h2_wire_open(const struct h2_wire_spec *spec, struct err *e);

/* Adds plaintext to what the next flush will send. Errors: ERR_RESOURCE, ERR_PROTOCOL (TLS). */
int h2_wire_write(struct h2_wire *w, struct bytes data, struct err *e);

/* Bytes gathered for the next flush. */
size_t h2_wire_gathered(const struct h2_wire *w);

/* Sends what has been gathered. Errors: ERR_TRANSIENT (the connection is gone), ERR_RESOURCE. */
int h2_wire_flush(struct h2_wire *w, struct err *e);

/* A flush has left something that the socket did not take. */
bool h2_wire_is_blocked(const struct h2_wire *w);

/* Tries once to send what has been gathered, with TLS' goodbye, and closes. May be called in a callback; nothing comes
 * after it. NULL is fine. */
void h2_wire_close(struct h2_wire *w);
