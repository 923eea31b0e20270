#include "s3/parts.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct parts {
    uint64_t size;
    uint64_t part_size;
    uint64_t stored_bytes;
    uint32_t count;
    uint32_t stored;
    char (*etags)[PARTS_ETAG_MAX]; /* of part number i + 1; "" until it is stored */
};

int parts_choose_size(uint64_t size, uint64_t wanted, uint64_t *part_size, struct err *e)
{
    const uint64_t mib = 1 << 20;
    uint64_t chosen = wanted ? wanted : PARTS_SIZE_DEFAULT;
    uint64_t needed = size / PARTS_MAX + (size % PARTS_MAX != 0);

    if (wanted && (wanted < PARTS_SIZE_MIN || wanted > PARTS_SIZE_MAX))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "a part size of %" PRIu64 " bytes: S3 takes parts of 5 MiB to 5 GiB", wanted);
    if (needed > PARTS_SIZE_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%" PRIu64 " bytes are more than %d parts of 5 GiB can hold",
                size, PARTS_MAX);
    if (chosen < needed)
        chosen = (needed + mib - 1) / mib * mib;
    *part_size = chosen;
    return 0;
}

struct parts *parts_new(uint64_t size, uint64_t part_size, struct err *e)
{
    uint64_t count = size / part_size + (size % part_size != 0);
    struct parts *p = calloc(1, sizeof(*p));

    if (p)
        /* Pages of the table that no part has reached yet stay untouched, and cost nothing. */
        p->etags = calloc((size_t)count, sizeof(*p->etags));
    if (!p || !p->etags) {
        free(p);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for a table of %" PRIu64 " parts", count);
        return NULL;
    }
    p->size = size;
    p->part_size = part_size;
    p->count = (uint32_t)count;
    return p;
}

void parts_free(struct parts *p)
{
    if (!p)
        return;
    free(p->etags);
    free(p);
}

uint64_t parts_size(const struct parts *p)
{
    return p->size;
}

uint64_t parts_part_size(const struct parts *p)
{
    return p->part_size;
}

void parts_shorten(struct parts *p, uint64_t size)
{
    assert(size > 0 && size <= p->size);
    p->size = size;
    p->count = (uint32_t)(size / p->part_size + (size % p->part_size != 0));
    assert(p->stored <= p->count);
}

uint32_t parts_count(const struct parts *p)
{
    return p->count;
}

size_t parts_len(const struct parts *p, uint32_t number)
{
    uint64_t start = (uint64_t)(number - 1) * p->part_size;
    uint64_t rest = p->size - start;

    return (size_t)(rest < p->part_size ? rest : p->part_size);
}

int parts_set_stored(struct parts *p, uint32_t number, const char *etag, struct err *e)
{
    char *place = p->etags[number - 1];
    size_t len = strlen(etag);

    if (len == 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "the store took the part but named no ETag");
    if (len >= PARTS_ETAG_MAX)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "an ETag of %zu characters", len);
    if (*place)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "stored twice");
    memcpy(place, etag, len + 1);
    p->stored++;
    p->stored_bytes += parts_len(p, number);
    return 0;
}

uint64_t parts_stored(const struct parts *p)
{
    return p->stored_bytes;
}

bool parts_complete(const struct parts *p)
{
    return p->stored == p->count;
}

static int append_text(struct buf *out, const char *text, struct err *e)
{
    return buf_append(out, text, strlen(text), e);
}

/* An ETag comes from the network and is quoted as such: it cannot become markup. */
static int append_escaped(struct buf *out, const char *text, struct err *e)
{
    int ret = 0;

    for (; *text && ret == 0; text++) {
        switch (*text) {
        case '"':
            ret = append_text(out, "&quot;", e);
            break;
        case '&':
            ret = append_text(out, "&amp;", e);
            break;
        case '<':
            ret = append_text(out, "&lt;", e);
            break;
        case '>':
            ret = append_text(out, "&gt;", e);
            break;
        default:
            ret = buf_append(out, text, 1, e);
        }
    }
    return ret;
}

int parts_write_xml(const struct parts *p, struct buf *out, struct err *e)
{
    char number[64];

    if (append_text(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", e) < 0)
        return -1;
    for (uint32_t i = 0; i < p->count; i++) {
        (void)snprintf(number, sizeof(number), "<Part><PartNumber>%" PRIu32 "</PartNumber><ETag>", i + 1);
        if (append_text(out, number, e) < 0 || append_escaped(out, p->etags[i], e) < 0 ||
                append_text(out, "</ETag></Part>", e) < 0)
            return -1;
    }
    return append_text(out, "</CompleteMultipartUpload>", e);
}

bool parts_match_etag(const struct parts *p, const char *etag)
{
    char suffix[16];
    size_t len = strlen(etag), suffix_len;

    (void)snprintf(suffix, sizeof(suffix), "-%" PRIu32, p->count);
    suffix_len = strlen(suffix);
    if (len && etag[len - 1] == '"')
        len--;
    return len > suffix_len && memcmp(etag + len - suffix_len, suffix, suffix_len) == 0;
}

enum { MD5_LEN = 16, MD5_HEX = 2 * MD5_LEN };

static bool add_part(EVP_MD_CTX *md5, const char *etag)
{
    size_t quote = etag[0] == '"', len;
    uint8_t digest[MD5_LEN];

    if (strlen(etag) != MD5_HEX + 2 * quote ||
            sodium_hex2bin(digest, sizeof(digest), etag + quote, MD5_HEX, NULL, &len, NULL) != 0 || len != MD5_LEN)
        return false;
    return EVP_DigestUpdate(md5, digest, sizeof(digest)) == 1;
}

bool parts_usual_etag(const struct parts *p, char out[PARTS_ETAG_MAX])
{
    EVP_MD_CTX *md5;
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[MD5_HEX + 1];
    bool is_made;

    (void)ERR_set_mark(); /* a refusal is no failure of whoever looks at OpenSSL's queue of errors next */
    md5 = EVP_MD_CTX_new();
    is_made = md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1;
    for (uint32_t i = 0; is_made && i < p->count; i++)
        is_made = add_part(md5, p->etags[i]);
    is_made = is_made && EVP_DigestFinal_ex(md5, digest, NULL) == 1;
    EVP_MD_CTX_free(md5);
    (void)ERR_pop_to_mark();
    if (is_made)
        (void)snprintf(
                out, PARTS_ETAG_MAX, "\"%s-%" PRIu32 "\"", sodium_bin2hex(hex, sizeof(hex), digest, MD5_LEN), p->count);
    return is_made;
}
