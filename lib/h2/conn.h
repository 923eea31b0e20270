/*
 * conn.h: one HTTP/2 connection to one endpoint: dial (libuv), TLS (mbedTLS, tls.h), session (nghttp2).
 *
 * Calls (grpc.h) are made on a connection that is open; they may be started before it is ready and wait. Flow control
 * is HTTP/2's own and the only back-pressure: `window` bytes on the stream and the connection, credited when the
 * receiver has consumed them (RFC 9113, section 6.9). While a call is open and nothing arrives for 20 s, a PING finds
 * out a dead peer: the connection ends when nothing at all arrives within the connect timeout after it. Without calls
 * there are no timers: an idle connection wakes up for nothing.
 *
 * The process must ignore SIGPIPE.
 *
 * TLS: ALPN h2 is mandatory, versions 1.2 and up, ECDHE with ChaCha20-Poly1305 first, server name or IP address SAN
 * checked (mbedTLS 2.28 does not match IP addresses: done here), certificates read anew for each connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/endpoint.h"
#include "base/err.h"
#include "net/race.h"

struct h2_conn_spec {
    const struct endpoint *endpoint; /* copied */
    union race_address *good; /* or NULL: which address of the name was good; the owner's, who keeps it for the next
                                 connection, and zero at first; it outlives the connection */
    const char *ca_cert;      /* PEM paths, read during h2_conn_open; ca_cert NULL: the system's /etc/ssl/certs */
    const char *client_cert;  /* or NULL */
    const char *client_key;
    uint64_t
            connect_timeout_ms; /* > 0: resolving, connecting (the addresses of a name race), TLS handshake and SETTINGS
                                   together; anew for the other addresses when the one that won is of no use */
    uint64_t quiet_ms;          /* without a byte while calls are open, then a PING; 0: 20 s. etcd allows one in 5 s */
    uint32_t window;            /* bytes, >= 65535 */

    void *ctx;
    /* The peer's SETTINGS have arrived. At most once. May be NULL. */
    void (*on_ready)(void *ctx);
    /* The connection is no more, and every call on it has been told before. Once, unless closed by h2_conn_close. `err`
     * says why, and begins with the address if there was one: ERR_TRANSIENT (refused, reset, timed out, GOAWAY),
     * ERR_AUTH (certificates, of either side, in words), ERR_PROTOCOL. The owner still calls h2_conn_close. */
    void (*on_closed)(void *ctx, const struct err *err);
};

struct h2_conn;

/* Starts connecting. Errors: ERR_CONFIG, ERR_NOT_FOUND (certificate files: path and what is wrong), ERR_RESOURCE. */
struct h2_conn *h2_conn_open(uv_loop_t *loop, const struct h2_conn_spec *spec, struct err *e);

/* Cancels all calls on it (RST_STREAM is sent if the connection can take it at once), closes, and frees itself with the
 * last close callback of the loop. Never calls back. NULL is fine. */
void h2_conn_close(struct h2_conn *c);

/* "TLSv1.2 TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256", or "plain"; valid until h2_conn_close. */
const char *h2_conn_cipher(const struct h2_conn *c);

/* When the server's certificate expires, seconds since the epoch; 0: it has none, or is not connected yet. */
int64_t h2_conn_expires(const struct h2_conn *c);
