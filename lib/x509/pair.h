/*
 * pair.h: the certificate that we present to etcd, and its key, from PEM files into mbedTLS, with errors that name the
 * file and what is wrong with it. Who checks a configuration and who connects load them alike.
 *
 * mbedTLS has RSA and ECDSA on named curves. What else there is (Ed25519, a curve with its parameters spelled out) is
 * refused with these words, and so is any certificate of the file that cannot be read: it would be missing from what we
 * present.
 */
#pragma once

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include "base/err.h"

/* The certificate, with its intermediates; `out` is initialised by the caller, who frees it also on errors. Errors:
 * ERR_NOT_FOUND (no such file), ERR_CONFIG (not readable, no certificate in it), ERR_RESOURCE. */
int x509_pair_load_certificate(mbedtls_x509_crt *out, const char *path, struct err *e);

/* The key, in the clear. `private_only`: others may not read the file. As above. */
int x509_pair_load_key(mbedtls_pk_context *out, const char *path, bool private_only, struct err *e);

/* Whether the two belong together. Errors: ERR_CONFIG, with the paths. */
int x509_pair_match(const mbedtls_x509_crt *certificate, const mbedtls_pk_context *key, const char *certificate_path,
        const char *key_path, struct err *e);

/* mbedTLS' source of randomness: the kernel's, without a generator of its own in between. */
int x509_pair_random(void *unused, unsigned char *out, size_t len);
