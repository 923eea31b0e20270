/*
 * certs.h: certificates and keys from PEM files into mbedTLS, with errors that name the file and what is wrong with it.
 */
#pragma once

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include "base/err.h"

/* The certification authorities that may have signed the server's certificate; NULL: those of the system. Errors:
 * ERR_NOT_FOUND (no such file), ERR_CONFIG (not readable, no certificate in it), ERR_RESOURCE. */
int h2_certs_load_ca(mbedtls_x509_crt *out, const char *path, struct err *e);

/* The certificate, with its intermediates, and its key, that we present; they are checked to belong together. Both are
 * initialised by the caller, who frees them also on errors: as above. */
int h2_certs_load_client(
        mbedtls_x509_crt *cert, mbedtls_pk_context *key, const char *cert_path, const char *key_path, struct err *e);

/* mbedTLS' source of randomness: the kernel's, without a generator of its own in between. */
int h2_certs_random(void *unused, unsigned char *out, size_t len);
