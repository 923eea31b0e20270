#include "s3/remove_batch.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "s3/url.h"
#include "s3/verdict.h"
#include "s3/xml.h"

static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                           "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
static const char before_key[] = "<Object><Key>", after_key[] = "</Key></Object>";
/* Not quiet: a key that is gone is said to be, so that silence is noticed. */
static const char tail[] = "<Quiet>false</Quiet></Delete>";

/* How long the UTF-8 character at `s` is if XML 1.0 allows it (section 2.2, Char; RFC 3629), or 0. */
static size_t character(const unsigned char *s)
{
    const size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = s[0] < 0x80 ? s[0] : s[0] & (0x7fU >> len);

    if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fU);
    }
    if (c < 0x20 || c < least[len] || (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff || c > 0x10ffff)
        return 0;
    return len;
}

bool remove_batch_carries(const char *key)
{
    const size_t len = strlen(key);

    if (len == 0 || len > S3_URL_KEY_MAX || key[0] == ' ' || key[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len;) {
        const size_t one = character((const unsigned char *)key + i);

        if (one == 0)
            return false;
        i += one;
    }
    return true;
}

void remove_batch_reset(struct remove_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->keys[i].err);
    buf_reset(&b->body);
    b->body.limit = REMOVE_BATCH_BODY_MAX;
    b->n = 0;
}

static int append(struct buf *out, const char *text, struct err *e)
{
    return buf_append(out, text, strlen(text), e);
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&apos;";
    default:
        return NULL;
    }
}

static int append_key(struct buf *out, const char *key, struct err *e)
{
    if (append(out, before_key, e) < 0)
        return -1;
    for (; *key; key++) {
        const char *escaped = entity(*key);

        if (buf_append(out, escaped ? escaped : key, escaped ? strlen(escaped) : 1, e) < 0)
            return -1;
    }
    return append(out, after_key, e);
}

/* Bytes that a key takes in the body. */
static size_t key_size(const char *key)
{
    size_t size = strlen(before_key) + strlen(after_key);

    for (; *key; key++) {
        const char *escaped = entity(*key);

        size += escaped ? strlen(escaped) : 1;
    }
    return size;
}

int remove_batch_add(struct remove_batch *b, const char *key, size_t index, enum remove_batch_fit *fit, struct err *e)
{
    if (!remove_batch_carries(key)) {
        *fit = REMOVE_BATCH_UNFIT;
        return 0;
    }
    if (b->n == REMOVE_BATCH_MAX || b->body.len + key_size(key) > REMOVE_BATCH_BODY_MAX - strlen(tail)) {
        *fit = REMOVE_BATCH_FULL;
        return 0;
    }
    if ((b->n == 0 && append(&b->body, head, e) < 0) || append_key(&b->body, key, e) < 0)
        return -1;
    b->keys[b->n++] = (struct remove_batch_key){.key = key, .index = index};
    *fit = REMOVE_BATCH_TAKEN;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct remove_batch_key *x = a, *y = b;

    return strcmp(x->key, y->key);
}

int remove_batch_close(struct remove_batch *b, struct err *e)
{
    qsort(b->keys, b->n, sizeof(b->keys[0]), by_key);
    return append(&b->body, tail, e);
}

int remove_batch_digest(const struct remove_batch *b, const char **name, char value[BODY_DIGEST_MAX], struct err *e)
{
    *name = "content-md5";
    if (body_digest(buf_bytes(&b->body), EVP_md5(), value))
        return 0;
    *name = "x-amz-checksum-sha256";
    if (body_digest(buf_bytes(&b->body), EVP_sha256(), value))
        return 0;
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcrypto makes neither an MD5 nor a SHA-256");
}

/* An answer while it is read: the item that is open. */
struct reader {
    struct remove_batch *batch;
    bool has_key;
    char key[S3_URL_KEY_MAX + 1]; /* "" for one that is too long to be ours */
    struct xml_error error;
    char error_code[64]; /* of an <Error> in place of all */
};

static void cut(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text);
}

static int set_error(struct remove_batch_key *k, const struct xml_error *error, struct err *e)
{
    struct err why = ERR_INIT;
    const bool again = s3_verdict_code(error, &why);

    if (!k->err)
        k->err = malloc(sizeof(*k->err));
    if (!k->err)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    *k->err = why;
    k->answer = again && k->answer != REMOVE_BATCH_REFUSED ? REMOVE_BATCH_AGAIN : REMOVE_BATCH_REFUSED;
    return 0;
}

static int take(struct remove_batch_key *k, const struct xml_error *error, struct err *e)
{
    /* That there is no such object is what was wanted. */
    if (error && strcmp(error->code, "NoSuchKey") != 0)
        return set_error(k, error, e);
    if (k->answer == REMOVE_BATCH_SILENT)
        k->answer = REMOVE_BATCH_GONE;
    return 0;
}

/* To all keys that are this one; the caller may have asked for it twice. */
static int end_item(struct reader *r, const struct xml_error *error, struct err *e)
{
    struct remove_batch *b = r->batch;
    const struct remove_batch_key wanted = {.key = r->key};
    struct remove_batch_key *found;

    if (!r->has_key)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "an item of <DeleteResult> without <Key>");
    found = bsearch(&wanted, b->keys, b->n, sizeof(b->keys[0]), by_key);
    while (found && found > b->keys && by_key(found - 1, &wanted) == 0)
        found--;
    for (; found && found < b->keys + b->n && by_key(found, &wanted) == 0; found++)
        if (take(found, error, e) < 0)
            return -1;
    r->has_key = false;
    r->key[0] = '\0';
    r->error = (struct xml_error){0};
    return 0;
}

static int check_root(const struct reader *r, const char *path, struct err *e)
{
    if (strchr(path, '/') || strcmp(path, "DeleteResult") == 0)
        return 0;
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "<%.64s>%s%s in place of <DeleteResult>", path,
            r->error_code[0] ? " " : "", r->error_code);
}

static int on_end(void *ctx, const char *path, struct err *e)
{
    struct reader *r = ctx;

    if (strcmp(path, "DeleteResult/Deleted") == 0)
        return end_item(r, NULL, e);
    if (strcmp(path, "DeleteResult/Error") == 0)
        return end_item(r, &r->error, e);
    return check_root(r, path, e);
}

static int on_text(void *ctx, const char *path, const char *text, struct err *e)
{
    struct reader *r = ctx;

    if (strcmp(path, "DeleteResult/Deleted/Key") == 0 || strcmp(path, "DeleteResult/Error/Key") == 0) {
        r->has_key = true;
        cut(r->key, sizeof(r->key), strlen(text) < sizeof(r->key) ? text : "");
    } else if (strcmp(path, "DeleteResult/Error/Code") == 0) {
        cut(r->error.code, sizeof(r->error.code), text);
    } else if (strcmp(path, "DeleteResult/Error/Message") == 0) {
        cut(r->error.message, sizeof(r->error.message), text);
    } else if (strcmp(path, "Error/Code") == 0) {
        cut(r->error_code, sizeof(r->error_code), text);
    } else {
        /* Also an item with nothing in it. */
        return on_end(r, path, e);
    }
    return 0;
}

int remove_batch_read(struct remove_batch *b, struct bytes doc, struct err *e)
{
    struct reader r = {.batch = b};
    const struct xml_visitor v = {.ctx = &r, .on_text = on_text, .on_end = on_end};

    return xml_visit(doc, &v, e);
}
