#include "conf/pem.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* The labels that we know by name; all others (parameters of a curve, a public key) are passed over. */
enum label { LABEL_NONE, LABEL_CERTIFICATE, LABEL_KEY, LABEL_ENCRYPTED_KEY, LABEL_OTHER };

struct block {
    enum label label;
    struct bytes body; /* between the two lines of the armour */
    unsigned line;     /* of the first of them */
};

struct reader {
    const char *path;
    struct bytes rest;
    unsigned line;
    struct err *e;
};

static int refuse(struct reader *r, unsigned line, const char *why)
{
    return err_set(r->e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s:%u: %s", r->path, line, why);
}

/* The next line without its end. False at the end of the text. */
static bool next_line(struct reader *r, struct bytes *line)
{
    const uint8_t *end = r->rest.len ? memchr(r->rest.data, '\n', r->rest.len) : NULL;
    size_t len = end ? (size_t)(end - r->rest.data) : r->rest.len, all = end ? len + 1 : len;

    if (r->rest.len == 0)
        return false;
    *line = (struct bytes){.data = r->rest.data, .len = len};
    while (line->len > 0 && isspace(line->data[line->len - 1]))
        line->len--;
    r->rest = (struct bytes){.data = r->rest.data + all, .len = r->rest.len - all};
    r->line++;
    return true;
}

/* What stands between `before` and five dashes; data is NULL if it is another kind of line. */
static struct bytes armour(struct bytes line, const char *before)
{
    static const char dashes[] = "-----";
    size_t skip = strlen(before), end = sizeof(dashes) - 1;

    if (line.len < skip + end || memcmp(line.data, before, skip) != 0 ||
            memcmp(line.data + line.len - end, dashes, end) != 0)
        return (struct bytes){.data = NULL};
    return (struct bytes){.data = line.data + skip, .len = line.len - skip - end};
}

static bool is(struct bytes text, const char *s)
{
    return text.len == strlen(s) && memcmp(text.data, s, text.len) == 0;
}

static enum label label_of(struct bytes text)
{
    if (is(text, "CERTIFICATE"))
        return LABEL_CERTIFICATE;
    if (is(text, "PRIVATE KEY") || is(text, "RSA PRIVATE KEY") || is(text, "EC PRIVATE KEY"))
        return LABEL_KEY;
    return is(text, "ENCRYPTED PRIVATE KEY") ? LABEL_ENCRYPTED_KEY : LABEL_OTHER;
}

/* Letters of base64, white space, and at most two `=` at the end: RFC 7468, section 3. */
static bool is_base64(struct bytes body)
{
    size_t n = 0, padding = 0;

    for (size_t i = 0; i < body.len; i++) {
        uint8_t c = body.data[i];

        if (isspace(c))
            continue;
        if (c == '=')
            padding++;
        else if (padding || !(isalnum(c) || c == '+' || c == '/'))
            return false;
        n++;
    }
    return n > 0 && n % 4 == 0 && padding <= 2;
}

/* The next block; label LABEL_NONE if there is none. What stands between blocks is comment. */
static int next_block(struct reader *r, struct block *b)
{
    struct bytes line, label = {.data = NULL}, end;

    *b = (struct block){.label = LABEL_NONE};
    while (!label.data && next_line(r, &line))
        label = armour(line, "-----BEGIN ");
    if (!label.data)
        return 0;
    b->line = r->line;
    b->body.data = r->rest.data;
    while (next_line(r, &line)) {
        end = armour(line, "-----END ");
        if (!end.data)
            continue;
        if (end.len != label.len || memcmp(end.data, label.data, end.len) != 0)
            return refuse(r, r->line, "the END line does not belong to the BEGIN line");
        b->label = label_of(label);
        b->body.len = (size_t)(line.data - b->body.data);
        return 0;
    }
    return refuse(r, b->line, "the END line is missing: the file is cut off");
}

int conf_pem_check_certificates(const char *path, struct bytes text, struct err *e)
{
    struct reader r = {.path = path, .rest = text, .e = e};
    struct block b;
    unsigned n = 0, other_line = 0;

    do {
        if (next_block(&r, &b) < 0)
            return -1;
        if (b.label == LABEL_CERTIFICATE && !is_base64(b.body))
            return refuse(&r, b.line, "the certificate is damaged: not base64");
        n += b.label == LABEL_CERTIFICATE;
        if (b.label != LABEL_NONE && other_line == 0)
            other_line = b.line;
    } while (b.label != LABEL_NONE);
    if (n == 0)
        return refuse(&r, other_line ? other_line : 1, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    return 0;
}

/* The old way to encrypt a key puts headers into its body: RFC 1421, section 4.6. */
static bool has_headers(struct bytes body)
{
    return body.data && memmem(body.data, body.len, "Proc-Type:", strlen("Proc-Type:"));
}

int conf_pem_check_private_key(const char *path, struct bytes text, struct err *e)
{
    struct reader r = {.path = path, .rest = text, .e = e};
    struct block b;
    unsigned n = 0;

    do {
        if (next_block(&r, &b) < 0)
            return -1;
        if (b.label == LABEL_ENCRYPTED_KEY || (b.label == LABEL_KEY && has_headers(b.body)))
            return refuse(&r, b.line, "the key has a pass phrase, which nobody can type in here; store it without");
        if (b.label == LABEL_KEY && !is_base64(b.body))
            return refuse(&r, b.line, "the key is damaged: not base64");
        if (b.label == LABEL_KEY && ++n > 1)
            return refuse(&r, b.line, "a second private key");
    } while (b.label != LABEL_NONE);
    return n == 1 ? 0 : refuse(&r, 1, "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)");
}
