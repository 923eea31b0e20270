#include "x509/pair.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/version.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "x509/pem.h"

enum { KEY_FILE_MAX = 64 << 10 };

int x509_pair_random(void *unused, unsigned char *out, size_t len)
{
    (void)unused;
    while (len > 0) {
        ssize_t n = getrandom(out, len, 0);

        if (n < 0 && errno != EINTR)
            return MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
        if (n > 0) {
            out += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int bad_file(const char *path, const char *what, int rc, struct err *e)
{
    char detail[128] = "";

    if (rc == MBEDTLS_ERR_X509_ALLOC_FAILED || rc == MBEDTLS_ERR_PK_ALLOC_FAILED)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_TLS, rc, "%s: out of memory", path);
    if (rc < 0)
        mbedtls_strerror(rc, detail, sizeof(detail));
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, rc, "%s: %s%s%s", path, what, detail[0] ? ": " : "", detail);
}

/* OpenSSL reads nearly everything, so what it cannot read is damaged. */
static int ignore(void *ctx, X509 *certificate, struct err *e)
{
    (void)ctx;
    (void)certificate;
    (void)e;
    return 0;
}

int x509_pair_load_certificate(mbedtls_x509_crt *out, const char *path, struct err *e)
{
    _cleanup_buf_ struct buf pem = BUF_INIT(X509_PEM_LEN_MAX);
    int rc;

    if (x509_pem_each(path, ignore, NULL, e) < 0 || x509_pem_read(path, &pem, e) < 0)
        return -1;
    rc = mbedtls_x509_crt_parse(out, pem.data, pem.len);
    if (rc > 0)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, rc,
                "%s: %d of its certificates are none that mbedTLS can present (it has RSA and ECDSA on named curves)",
                path, rc);
    if (rc < 0 || out->version == 0)
        return bad_file(
                path, "is no certificate that mbedTLS can present (it has RSA and ECDSA on named curves)", rc, e);
    return 0;
}

static int parse_key(mbedtls_pk_context *key, const struct secret *pem)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(key, secret_const_data(pem), secret_len(pem), NULL, 0, x509_pair_random, NULL);
#else
    return mbedtls_pk_parse_key(key, secret_const_data(pem), secret_len(pem), NULL, 0);
#endif
}

static bool has_block(const struct secret *pem)
{
    static const char end[] = "PRIVATE KEY-----";

    return memmem(secret_const_data(pem), secret_len(pem), end, strlen(end)) != NULL;
}

int x509_pair_load_key(mbedtls_pk_context *out, const char *path, bool private_only, struct err *e)
{
    _cleanup_secret_ struct secret *file = secret_read_file(path, KEY_FILE_MAX, private_only, e);
    _cleanup_secret_ struct secret *pem = file ? secret_new(secret_len(file) + 1, e) : NULL; /* and a NUL */
    int rc;

    if (!pem)
        return -1;
    memcpy(secret_data(pem), secret_const_data(file), secret_len(file));
    if (!has_block(pem))
        return bad_file(path, "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)", 0, e);
    rc = parse_key(out, pem);
    if (rc == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || rc == MBEDTLS_ERR_PK_PASSWORD_MISMATCH)
        return bad_file(path, "the key has a pass phrase, which nobody can type in here; store it without", 0, e);
    return rc == 0 ? 0
                   : bad_file(path,
                             "the private key is damaged, or none that mbedTLS can use (it has RSA and ECDSA on named "
                             "curves)",
                             rc, e);
}

int x509_pair_match(const mbedtls_x509_crt *certificate, const mbedtls_pk_context *key, const char *certificate_path,
        const char *key_path, struct err *e)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    int rc = mbedtls_pk_check_pair(&certificate->pk, key, x509_pair_random, NULL);
#else
    int rc = mbedtls_pk_check_pair(&certificate->pk, key);
#endif

    if (rc == 0)
        return 0;
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: this key does not belong to the certificate %s", key_path,
            certificate_path);
}
