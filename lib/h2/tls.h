/*
 * tls.h: the TLS client, by mbedTLS, on memory: ciphertext in, ciphertext out, no socket and no loop.
 *
 * What arrives is given with h2_tls_input, then the handshake or read is called until it wants more. What is to be sent
 * gathers in the buffer given to h2_tls_begin. mbedTLS 2.28 (TLS 1.2) and 3.6 (also 1.3).
 *
 * mbedTLS speaks, and proves that the server has the key to its certificate; whose certificate it is OpenSSL judges
 * (x509/trust.h), in each handshake and before we answer: nothing of ours reaches a server that has not passed.
 * Sessions are not resumed, and nothing is negotiated anew. ALPN must end in h2. Why it failed is said in words: an
 * operator who set up certificates wants to know which of them is wrong.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/endpoint.h"
#include "base/err.h"

struct h2_tls_spec {
    const char *ca_cert; /* as in conn.h; read during h2_tls_new */
    const char *client_cert;
    const char *client_key;
    const char *host; /* name or IP address that the certificate must be for; copied */
    bool is_address;  /* it is an address */
};

struct h2_tls;

/* The caller frees. Errors: ERR_NOT_FOUND, ERR_CONFIG (files), ERR_RESOURCE. */
struct h2_tls *h2_tls_new(const struct h2_tls_spec *spec, struct err *e);

/* Begins, or begins again, on a new connection. What is to be sent will be appended to `out`, which the caller owns and
 * keeps until the next begin or the end. Errors: ERR_RESOURCE. */
int h2_tls_begin(struct h2_tls *t, struct buf *out, struct err *e);

/* Ciphertext that arrived; it stays where it is until the calls below have used it up, that is: want more. */
void h2_tls_input(struct h2_tls *t, struct bytes ciphertext);

/* Returns 1 when the connection is established, 0 when it wants more input. Errors: ERR_AUTH, ERR_PROTOCOL, and
 * ERR_TRANSIENT when the server went away. */
int h2_tls_handshake(struct h2_tls *t, struct err *e);

/* At most one record of plaintext. Returns its bytes, 0 when it wants more input. Errors: as above; ERR_TRANSIENT when
 * the server has closed the connection in good order. */
ssize_t h2_tls_read(struct h2_tls *t, uint8_t *to, size_t size, struct err *e);

/* Encrypts all of it. Errors: ERR_RESOURCE, ERR_PROTOCOL. */
int h2_tls_write(struct h2_tls *t, struct bytes plaintext, struct err *e);

/* Says goodbye (close_notify), as far as that is possible. */
void h2_tls_bye(struct h2_tls *t);

/* "TLSv1.2 TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256"; valid until the next call on `t`. */
const char *h2_tls_cipher(struct h2_tls *t);

/* When the certificate expires that the server has presented, seconds since the epoch; 0: none has yet. */
int64_t h2_tls_expires(const struct h2_tls *t);

/* NULL is fine. */
void h2_tls_free(struct h2_tls *t);

CLEANUP_FUNC(struct h2_tls *, h2_tls_free)
#define _cleanup_tls_ _cleanup_(cleanup_h2_tls_free)
