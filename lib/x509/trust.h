/*
 * trust.h: whom we believe, and the judgement on the certificates of a server. libcrypto.
 *
 * mbedTLS speaks TLS to etcd, but it does not judge (it ignores name constraints, does not know all critical
 * extensions, and passes a name by the common name): that is done here, by the library that judges S3's certificates
 * for libcurl, with the same rules: RFC 5280 with OpenSSL's security level 2 (no SHA-1, 2048 bits of RSA), the purpose
 * of a TLS server, and any certificate of the file as an anchor, an intermediate or the server's own among them. A name
 * is one of the subject alternative names (RFC 6125, RFC 9525), never the common name.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

/* Some certification authorities. */
struct x509_trust;

/*
 * Reads all certificates of a file in PEM; NULL: those of the system. Strict: what is damaged is refused, and not
 * passed over, since it may be the one that is needed. Blocks of other kinds are. The caller frees. Errors, with path
 * and line: ERR_NOT_FOUND, ERR_CONFIG, ERR_RESOURCE.
 */
struct x509_trust *x509_trust_load(const char *path, struct err *e);

/* NULL is fine. */
void x509_trust_free(struct x509_trust *t);
CLEANUP_FUNC(struct x509_trust *, x509_trust_free)
#define _cleanup_x509_trust_ _cleanup_(cleanup_x509_trust_free)

struct x509_peer {
    const struct bytes *certificates; /* DER, as it sent them: the first is its own */
    size_t n;
    const char
            *host; /* name or IP address that it was reached by; the interface of an address (%eth0) is passed over */
};

/*
 * Whether this is the server that we wanted to reach. On failure *alert is what TLS tells such a server (RFC 8446,
 * section 6.2). Errors: ERR_AUTH, in words that name the certificate and what is wrong; ERR_RESOURCE.
 */
int x509_trust_judge(const struct x509_trust *t, const struct x509_peer *peer, uint8_t *alert, struct err *e);
