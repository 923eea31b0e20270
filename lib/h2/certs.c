#include "h2/certs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/version.h>

#include "base/bytes.h"
#include "base/secret.h"

static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";

enum { CERT_FILE_MAX = 4 << 20, KEY_FILE_MAX = 64 << 10 };

int h2_certs_random(void *unused, unsigned char *out, size_t len)
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

/* The whole file and a NUL byte behind it, by which mbedTLS knows PEM from DER. */
static int read_pem(const char *path, struct buf *out, struct err *e)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: not a regular file", path);
    do {
        struct err full = ERR_INIT;

        if (buf_reserve(out, 16384, &full) < 0) {
            *e = full;
            e->kind = full.kind == ERR_PROTOCOL ? ERR_CONFIG : full.kind; /* too long */
            return err_prepend(e, "%s: ", path);
        }
        n = read(fd, out->data + out->len, 16384);
        if (n < 0 && errno != EINTR)
            return err_errno(e, errno, "%s", path);
        if (n > 0)
            out->len += (size_t)n;
    } while (n != 0);
    out->data[out->len++] = '\0'; /* the last reservation was not used */
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

static int load_certs(mbedtls_x509_crt *out, const char *path, struct err *e)
{
    _cleanup_buf_ struct buf pem = BUF_INIT(CERT_FILE_MAX);
    int rc;

    if (read_pem(path, &pem, e) < 0)
        return -1;
    /* Positive: so many of them could not be read. A bundle may well have some that are too exotic for mbedTLS. */
    rc = mbedtls_x509_crt_parse(out, pem.data, pem.len);
    if (rc < 0 || out->version == 0)
        return bad_file(path, "no certificate in PEM format", rc < 0 ? rc : 0, e);
    return 0;
}

int h2_certs_load_ca(mbedtls_x509_crt *out, const char *path, struct err *e)
{
    return load_certs(out, path ? path : system_ca, e);
}

static int parse_key(mbedtls_pk_context *key, const struct secret *pem)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(key, secret_const_data(pem), secret_len(pem), NULL, 0, h2_certs_random, NULL);
#else
    return mbedtls_pk_parse_key(key, secret_const_data(pem), secret_len(pem), NULL, 0);
#endif
}

static int check_pair(const mbedtls_x509_crt *cert, const mbedtls_pk_context *key)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(&cert->pk, key, h2_certs_random, NULL);
#else
    return mbedtls_pk_check_pair(&cert->pk, key);
#endif
}

static int load_key(mbedtls_pk_context *key, const char *path, struct err *e)
{
    _cleanup_secret_ struct secret *file = secret_read_file(path, KEY_FILE_MAX, false, e);
    _cleanup_secret_ struct secret *pem = file ? secret_new(secret_len(file) + 1, e) : NULL; /* and a NUL */
    int rc;

    if (!pem)
        return -1;
    memcpy(secret_data(pem), secret_const_data(file), secret_len(file));
    rc = parse_key(key, pem);
    if (rc == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        return bad_file(path, "the key is protected by a password, which is not supported", 0, e);
    return rc == 0 ? 0 : bad_file(path, "no private key in PEM format", rc, e);
}

int h2_certs_load_client(
        mbedtls_x509_crt *cert, mbedtls_pk_context *key, const char *cert_path, const char *key_path, struct err *e)
{
    if (load_certs(cert, cert_path, e) < 0 || load_key(key, key_path, e) < 0)
        return -1;
    if (check_pair(cert, key) != 0)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: this key does not belong to the certificate %s",
                key_path, cert_path);
    return 0;
}
