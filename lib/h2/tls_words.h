/*
 * tls_words.h: why TLS failed, in words that say what was seen, and then what it may mean and which side can do what.
 * Pure. About the server's certificates see x509/words.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* How far the handshake had come. */
enum h2_tls_doing {
    H2_TLS_DOING_HELLO, /* the server has not answered in TLS */
    H2_TLS_DOING_CERTIFICATE,
    H2_TLS_DOING_CERTIFICATE_REQUEST,
    H2_TLS_DOING_REST,
};

struct h2_tls_failure {
    int rc;           /* mbedTLS' number, negative */
    uint8_t alert;    /* by the server, if rc says that there was one */
    const char *host; /* that was asked for */
    bool has_client;  /* we have a certificate to present */
    bool established; /* after the handshake */
    enum h2_tls_doing doing;
};

/* Returns -1. ERR_TRANSIENT: it went away; ERR_PROTOCOL: it may be another time; ERR_AUTH (certificates) and ERR_CONFIG
 * (what this handshake cannot do): it will not; ERR_RESOURCE. */
int h2_tls_words_failure(const struct h2_tls_failure *f, struct err *e);

/* mbedTLS cannot read the server's certificate; `rc` is its number, or 0. Returns -1, ERR_CONFIG. */
int h2_tls_words_unreadable(int rc, struct err *e);
