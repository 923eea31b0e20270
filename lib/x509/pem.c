#include "x509/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/cleanup.h"

enum { READ_SIZE = 16384, TAG_SEQUENCE = 0x30 };

int x509_pem_read(const char *path, struct buf *out, struct err *e)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: is a directory, not a file", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: not a regular file", path);
    *out = BUF_INIT(X509_PEM_LEN_MAX);
    do {
        struct err full = ERR_INIT;

        if (buf_reserve(out, READ_SIZE, &full) < 0) {
            *e = full;
            e->kind = full.kind == ERR_PROTOCOL ? ERR_CONFIG : full.kind; /* too long */
            return err_prepend(e, "%s: ", path);
        }
        n = read(fd, out->data + out->len, READ_SIZE);
        if (n < 0 && errno != EINTR)
            return err_errno(e, errno, "%s", path);
        if (n > 0)
            out->len += (size_t)n;
    } while (n != 0);
    out->data[out->len++] = '\0'; /* the last reservation was not used */
    return 0;
}

/* Of the first beginning of a block at or behind `from`; of the last line if there is none. */
static unsigned line_of_block(struct bytes text, size_t from)
{
    static const char begin[] = "-----BEGIN ";
    const uint8_t *at = memmem(text.data + from, text.len - from, begin, strlen(begin));
    const uint8_t *end = at ? at : text.data + text.len;
    unsigned line = 1;

    for (const uint8_t *p = text.data; p < end; p++)
        line += *p == '\n';
    return line;
}

/* OpenSSL's first word, which is the nearest to the cause. */
static int damaged(const char *path, unsigned line, struct err *e)
{
    unsigned long code = ERR_peek_error();
    const char *why = ERR_reason_error_string(code);

    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "%s: out of memory", path);
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s:%u: the certificate that begins here cannot be read: %s",
            path, line, why ? why : "damaged");
}

static int none(const char *path, struct bytes text, struct err *e)
{
    if (text.len > 0 && text.data[0] == TAG_SEQUENCE && memchr(text.data, '\0', text.len))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: is not PEM, and looks like DER: openssl x509 -inform DER -in %s -out NEW makes it PEM", path,
                path);
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "%s:%u: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", path, line_of_block(text, 0));
}

static bool is_certificate(const char *name)
{
    return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0 ||
           strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
}

struct block {
    char *name, *header;
    unsigned char *data;
    long len;
};

static void block_clear(struct block *b)
{
    OPENSSL_free(b->name);
    OPENSSL_free(b->header);
    OPENSSL_clear_free(b->data, b->data ? (size_t)b->len : 0); /* it may have been a key */
}

static X509 *certificate_of(const struct block *b)
{
    const unsigned char *p = b->data;
    X509 *x =
            strcmp(b->name, PEM_STRING_X509_TRUSTED) == 0 ? d2i_X509_AUX(NULL, &p, b->len) : d2i_X509(NULL, &p, b->len);

    if (x && p == b->data + b->len)
        return x;
    X509_free(x);
    return NULL;
}

/* Returns 1 if it was a certificate, 0 if it was something else. */
static int take_block(const char *path, unsigned line, const struct block *b,
        int (*each)(void *ctx, X509 *certificate, struct err *e), void *ctx, struct err *e)
{
    X509 *x;
    int rc;

    if (!is_certificate(b->name))
        return 0;
    x = certificate_of(b);
    if (!x)
        return damaged(path, line, e);
    rc = each(ctx, x, e);
    X509_free(x);
    return rc < 0 ? -1 : 1;
}

static int walk(const char *path, struct bytes text, BIO *bio, int (*each)(void *ctx, X509 *certificate, struct err *e),
        void *ctx, struct err *e)
{
    size_t n = 0;
    int rc = 0;

    while (rc >= 0) {
        unsigned line = line_of_block(text, text.len - BIO_ctrl_pending(bio));
        struct block b = {.name = NULL};

        ERR_clear_error();
        if (PEM_read_bio(bio, &b.name, &b.header, &b.data, &b.len) != 1) {
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return damaged(path, line, e);
            return n ? 0 : none(path, text, e);
        }
        rc = take_block(path, line, &b, each, ctx, e);
        n += rc > 0;
        block_clear(&b);
    }
    return -1;
}

int x509_pem_each(const char *path, int (*each)(void *ctx, X509 *certificate, struct err *e), void *ctx, struct err *e)
{
    _cleanup_buf_ struct buf file = BUF_INIT(X509_PEM_LEN_MAX);
    struct bytes text;
    BIO *bio;
    int rc;

    if (x509_pem_read(path, &file, e) < 0)
        return -1;
    text = (struct bytes){.data = file.data, .len = file.len - 1};
    bio = BIO_new_mem_buf(text.data, (int)text.len);
    if (!bio)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for certificates");
    rc = walk(path, text, bio, each, ctx, e);
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}
