/*
 * words.h: what is wrong with a server's certificates, in words that say which certificate and what to do. Pure.
 */
#pragma once

#include <stdbool.h>

#include <openssl/x509.h>

#include "base/err.h"

/* What X509_verify_cert found. */
struct x509_words_finding {
    int reason; /* X509_V_ERR_... */
    int depth;  /* 0: the server's own certificate; 1: of the authority that signed it, and so on */
    X509 *certificate;
    bool is_system; /* the system's authorities were asked, none are configured */
};

/* Returns -1, ERR_AUTH. */
int x509_words_chain(const struct x509_words_finding *found, struct err *e);

/* The certificate is not for `host`. Returns -1, ERR_AUTH. */
int x509_words_name(X509 *own, const char *host, struct err *e);
