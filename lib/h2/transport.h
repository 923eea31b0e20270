/*
 * transport.h: a way for bytes to an endpoint: its addresses (dial.h), one connected socket (wire.h), TLS on it
 * (tls.h).
 *
 * The owner has the clock and the say: it asks for the first address when they are known, and for another one when the
 * one before was of no use, which may show itself only after bytes have gone to and fro.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/err.h"
#include "h2/wire.h"
#include "net/race.h"

struct h2_transport_spec {
    uv_loop_t *loop;
    const struct endpoint *endpoint; /* outlives the transport */
    union race_address *good;        /* as in dial.h */
    const char *ca_cert;             /* as in conn.h; read during h2_transport_new */
    const char *client_cert;
    const char *client_key;

    void *ctx;
    /* The addresses are known, or `err` says why not. Once. */
    void (*on_resolved)(void *ctx, const struct err *err);
    /* Connected, and secure if that is asked for: h2_transport_wire may be written to. Once for each address. */
    void (*on_open)(void *ctx);
    void (*on_data)(void *ctx, struct bytes data);
    void (*on_drained)(void *ctx);
    /* This address failed. */
    void (*on_failed)(void *ctx, const struct err *err);
};

struct h2_transport;

/* Starts resolving. Errors: as h2_conn_open. */
struct h2_transport *h2_transport_new(const struct h2_transport_spec *spec, struct err *e);

bool h2_transport_has_next(const struct h2_transport *t);

/* What is open is of use: the next time its address is the first. */
void h2_transport_praise(struct h2_transport *t);

/* Drops what there is and tries the addresses that are left. Errors: ERR_TRANSIENT, ERR_RESOURCE, ERR_CONFIG: it cannot
 * be tried.
 */
int h2_transport_next(struct h2_transport *t, struct err *e);

/* The open wire, or NULL. */
struct h2_wire *h2_transport_wire(const struct h2_transport *t);

/* Closes the connection, after trying once to send what has been gathered, and forgets the other addresses. */
void h2_transport_drop(struct h2_transport *t);

/* For people: the address being used, "127.0.0.1:2379", "" while there is none or are several; "plain" or version and
 * cipher suite; and what takes so long. Valid until h2_transport_free. */
const char *h2_transport_address(const struct h2_transport *t);
const char *h2_transport_cipher(const struct h2_transport *t);
const char *h2_transport_doing(const struct h2_transport *t);

/* As h2_tls_expires; 0 without TLS. */
int64_t h2_transport_expires(const struct h2_transport *t);

/* Never calls back. May be called in a callback. NULL is fine. */
void h2_transport_free(struct h2_transport *t);
