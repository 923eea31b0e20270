#include "s3/sign.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* S3 takes headers of 8 KB; more than this can only be a mistake. */
enum { CANONICAL_LIMIT = 256 << 10, HEADERS_MAX = 64 };

/* What the day key was derived from. All of it is compared before the key is used again. */
enum { KEY_LEN = crypto_auth_hmacsha256_BYTES, FINGERPRINT_LEN = 32 };

struct sign_cache {
    struct secret *key; /* the day key, then the fingerprint of its secret key, day and region */
    bool filled;
};

struct sign_cache *sign_cache_new(struct err *e)
{
    struct sign_cache *s = calloc(1, sizeof(*s));

    if (!s) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    s->key = secret_new(KEY_LEN + FINGERPRINT_LEN, e);
    if (!s->key) {
        free(s);
        return NULL;
    }
    return s;
}

void sign_cache_free(struct sign_cache *s)
{
    if (!s)
        return;
    secret_free(s->key);
    free(s);
}

static int append_text(struct buf *out, const char *text, struct err *e)
{
    return buf_append(out, text, strlen(text), e);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

int sign_encode(struct buf *out, const char *text, bool keep_slash, struct err *e)
{
    static const char hex[] = "0123456789ABCDEF";

    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        const char escaped[3] = {'%', hex[c >> 4], hex[c & 15]};
        const bool plain = is_unreserved(*text) || (*text == '/' && keep_slash);

        if (buf_append(out, plain ? text : escaped, plain ? 1 : 3, e) < 0)
            return -1;
    }
    return 0;
}

char *sign_time(int64_t instant, char out[SIGN_TIME_MAX])
{
    const time_t t = (time_t)instant;
    struct tm tm;

    /* Years of five digits would not fit, and no server would take them. */
    if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        tm = (struct tm){.tm_mday = 1};
    (void)strftime(out, SIGN_TIME_MAX, "%Y%m%dT%H%M%SZ", &tm);
    return out;
}

static void hmac(uint8_t out[KEY_LEN], const void *key, size_t key_len, const char *text)
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, key_len);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)text, strlen(text));
    crypto_auth_hmacsha256_final(&state, out);
    secret_wipe(&state, sizeof(state));
}

static const char *service_of(const struct sign_request *r)
{
    return r->service ? r->service : "s3";
}

static void fingerprint(uint8_t out[FINGERPRINT_LEN], const struct sign_request *r, const char day[9])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, FINGERPRINT_LEN);
    crypto_generichash_update(&state, (const uint8_t *)day, 9);
    crypto_generichash_update(&state, (const uint8_t *)r->region, strlen(r->region) + 1);
    crypto_generichash_update(&state, (const uint8_t *)service_of(r), strlen(service_of(r)) + 1);
    crypto_generichash_update(&state, secret_const_data(r->secret_key), secret_len(r->secret_key));
    crypto_generichash_final(&state, out, FINGERPRINT_LEN);
    secret_wipe(&state, sizeof(state));
}

/* "AWS4" and the secret key, the first key of the chain (S3 API, "Calculating a signature", step 2). */
static struct secret *chain_start(const struct secret *secret_key, struct err *e)
{
    struct secret *s = secret_new(4 + secret_len(secret_key), e);

    if (!s)
        return NULL;
    memcpy(secret_data(s), "AWS4", 4);
    memcpy(secret_data(s) + 4, secret_const_data(secret_key), secret_len(secret_key));
    return s;
}

/* Makes the day key in the cache the one for this request; the chain is walked once a day. */
static int fill_cache(struct sign_cache *cache, const struct sign_request *r, const char day[9], struct err *e)
{
    uint8_t *key = secret_data(cache->key), mark[FINGERPRINT_LEN];
    _cleanup_secret_ struct secret *start = NULL;
    bool same;

    fingerprint(mark, r, day);
    same = cache->filled && sodium_memcmp(mark, key + KEY_LEN, FINGERPRINT_LEN) == 0;
    if (!same) {
        start = chain_start(r->secret_key, e);
        if (!start)
            return -1;
        hmac(key, secret_const_data(start), secret_len(start), day);
        hmac(key, key, KEY_LEN, r->region);
        hmac(key, key, KEY_LEN, service_of(r));
        hmac(key, key, KEY_LEN, "aws4_request");
        memcpy(key + KEY_LEN, mark, FINGERPRINT_LEN);
        cache->filled = true;
    }
    secret_wipe(mark, sizeof(mark));
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct sign_header *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

/* Trimmed, and runs of spaces become one (S3 API, "Canonical Request", CanonicalHeaders). */
static int append_header_value(struct buf *out, const char *value, struct err *e)
{
    bool space = false, any = false;

    for (; *value; value++) {
        if (*value == ' ' || *value == '\t') {
            space = any;
            continue;
        }
        if (space && buf_append(out, " ", 1, e) < 0)
            return -1;
        if (buf_append(out, value, 1, e) < 0)
            return -1;
        space = false;
        any = true;
    }
    return 0;
}

static int append_headers(
        struct buf *out, struct buf *names, const struct sign_header **sorted, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (append_text(out, sorted[i]->name, e) < 0 || append_text(out, ":", e) < 0 ||
                append_header_value(out, sorted[i]->value, e) < 0 || append_text(out, "\n", e) < 0)
            return -1;
        if ((i > 0 && append_text(names, ";", e) < 0) || append_text(names, sorted[i]->name, e) < 0)
            return -1;
    }
    return 0;
}

static void to_hex(char out[2 * KEY_LEN + 1], const uint8_t in[KEY_LEN])
{
    (void)sodium_bin2hex(out, 2 * KEY_LEN + 1, in, KEY_LEN);
}

/* The hash of the canonical request in hexadecimal; the names of the signed headers go to *names. */
static int hash_canonical(const struct sign_request *r, struct buf *names, char hex[2 * KEY_LEN + 1], struct err *e)
{
    const struct sign_header *sorted[HEADERS_MAX];
    _cleanup_buf_ struct buf text = BUF_INIT(CANONICAL_LIMIT);
    uint8_t hash[crypto_hash_sha256_BYTES];

    if (r->n_headers > HEADERS_MAX)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "more than %d headers in a request", HEADERS_MAX);
    for (size_t i = 0; i < r->n_headers; i++)
        sorted[i] = &r->headers[i];
    qsort(sorted, r->n_headers, sizeof(sorted[0]), by_name);

    if (append_text(&text, r->method, e) < 0 || append_text(&text, "\n", e) < 0 || append_text(&text, r->path, e) < 0 ||
            append_text(&text, "\n", e) < 0 || append_text(&text, r->query, e) < 0 || append_text(&text, "\n", e) < 0 ||
            append_headers(&text, names, sorted, r->n_headers, e) < 0 || append_text(&text, "\n", e) < 0 ||
            buf_append(&text, names->data, names->len, e) < 0 || append_text(&text, "\n", e) < 0 ||
            append_text(&text, r->payload_hash, e) < 0)
        return -1;
    crypto_hash_sha256(hash, text.data, text.len);
    to_hex(hex, hash);
    return 0;
}

static int append_all(struct buf *out, const char *const *parts, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (append_text(out, parts[i], e) < 0)
            return -1;
    return 0;
}

int sign_authorization(struct sign_cache *cache, const struct sign_request *r, struct buf *out, struct err *e)
{
    char time_text[SIGN_TIME_MAX], day[9], hash[2 * KEY_LEN + 1], signature[2 * KEY_LEN + 1];
    _cleanup_buf_ struct buf names = BUF_INIT(CANONICAL_LIMIT), to_sign = BUF_INIT(CANONICAL_LIMIT);
    uint8_t mac[KEY_LEN];

    (void)sign_time(r->instant, time_text);
    memcpy(day, time_text, 8);
    day[8] = '\0';
    if (fill_cache(cache, r, day, e) < 0 || hash_canonical(r, &names, hash, e) < 0)
        return -1;

    const char *const string[] = {
            "AWS4-HMAC-SHA256\n", time_text, "\n", day, "/", r->region, "/", service_of(r), "/aws4_request\n", hash};
    if (append_all(&to_sign, string, ARRAY_LEN(string), e) < 0 || buf_append(&to_sign, "", 1, e) < 0)
        return -1;
    hmac(mac, secret_const_data(cache->key), KEY_LEN, (const char *)to_sign.data);
    to_hex(signature, mac);

    const char *const value[] = {"AWS4-HMAC-SHA256 Credential=", r->access_key, "/", day, "/", r->region, "/",
            service_of(r), "/aws4_request,SignedHeaders="};
    if (append_all(out, value, ARRAY_LEN(value), e) < 0 || buf_append(out, names.data, names.len, e) < 0 ||
            append_text(out, ",Signature=", e) < 0 || append_text(out, signature, e) < 0)
        return -1;
    return 0;
}
