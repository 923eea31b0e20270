/*
 * pem.h: the certificates of a file in PEM (RFC 7468), read whole, with errors that name path and line. libcrypto.
 */
#pragma once

#include <openssl/x509.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * The whole of a file of certificates and a NUL behind it, which out->len counts (mbedTLS knows PEM by it). Errors:
 * ERR_NOT_FOUND, ERR_CONFIG (no regular file, not allowed, too long), ERR_RESOURCE.
 */
int x509_pem_read(const char *path, struct buf *out, struct err *e);

/* The most that x509_pem_read takes: all authorities of the world are half a megabyte. */
enum { X509_PEM_LEN_MAX = 8 << 20 };

/*
 * Calls `each` with each certificate, which stays ours, as long as it returns 0. Other blocks are passed over. One that
 * cannot be read is an error, and so is a file without any. Errors: as above, and those of `each`.
 */
int x509_pem_each(const char *path, int (*each)(void *ctx, X509 *certificate, struct err *e), void *ctx, struct err *e);
