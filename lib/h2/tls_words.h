/*
 * tls_words.h: why TLS failed, in words that say which side must do what. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <mbedtls/x509_crt.h>

#include "base/err.h"
#include "h2/san.h"

/* What was found wrong with the server's certificates. Zero-initialised: nothing. */
struct h2_tls_verdict {
    uint32_t flags;              /* MBEDTLS_X509_BADCERT_..., of the whole chain */
    char names[H2_SAN_TEXT_MAX]; /* of the server's certificate, if it is for another host */
    char when[40];               /* "2024-02-01 00:00:00 UTC", when one expired or becomes valid */
    char issuer[160];            /* of the one that nobody known has signed */
};

/* Adds mbedTLS' findings on one certificate: depth 0 is the server's own. */
void h2_tls_words_note(struct h2_tls_verdict *v, const mbedtls_x509_crt *crt, int depth, uint32_t flags);

struct h2_tls_failure {
    int rc;        /* mbedTLS' number, negative */
    uint8_t alert; /* by the server, if rc says that there was one */
    const struct h2_tls_verdict *verdict;
    const char *host; /* that was asked for */
    bool own_ca;      /* ca_cert is configured */
    bool has_client;  /* we have a certificate to present */
    bool hello_seen;  /* the server has answered in TLS */
    bool established; /* after the handshake */
};

/* Returns -1. ERR_AUTH: certificates; ERR_TRANSIENT: it went away; ERR_PROTOCOL, ERR_CONFIG, ERR_RESOURCE: the rest. */
int h2_tls_words_failure(const struct h2_tls_failure *f, struct err *e);
