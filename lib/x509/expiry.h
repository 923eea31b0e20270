/*
 * expiry.h: until when the certificates of a file are good. libcrypto.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

enum x509_expiry {
    X509_EXPIRY_FIRST, /* of the file's first: what is presented, before its intermediates */
    X509_EXPIRY_LAST,  /* the latest of all: while an authority is replaced the old one stands beside it */
};

/* Seconds since the epoch into *out. Errors: those of x509_pem_each; ERR_CONFIG, a certificate with no such time. */
int x509_expiry_of(const char *path, enum x509_expiry which, int64_t *out, struct err *e);
