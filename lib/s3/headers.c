/* What is sent in the head of an attempt, and its signature. */
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "s3/request_state.h"

enum { HEADERS_MAX = 48, LINE_MAX_LEN = 16 << 10, PREFIX_SHOWN = 12 };

/* The headers of one attempt while they are gathered, all of them to be signed. */
struct gathered {
    struct sign_header list[HEADERS_MAX];
    size_t n;
    int64_t instant;
    char time[SIGN_TIME_MAX];
    char range[64];
    struct secret *token; /* with a 0 */
};

const char *s3_headers_method(enum s3_method method)
{
    static const char *const names[] = {
            [S3_GET] = "GET", [S3_PUT] = "PUT", [S3_POST] = "POST", [S3_HEAD] = "HEAD", [S3_DELETE] = "DELETE"};

    return names[method];
}

/* A value that broke out of its line could add headers of its own. */
static bool fits_in_a_header(const char *value)
{
    for (; *value; value++)
        if ((unsigned char)*value < 0x20 || *value == 0x7f)
            return false;
    return true;
}

static bool is_token(const char *name)
{
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name);
}

static int add(struct gathered *g, const char *name, const char *value, struct err *e)
{
    if (!is_token(name) || !fits_in_a_header(value))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the value of %.80s cannot be sent in a header", name);
    if (g->n == HEADERS_MAX)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "more than %d headers in a request", HEADERS_MAX);
    g->list[g->n++] = (struct sign_header){.name = name, .value = value};
    return 0;
}

static int hash_payload(struct s3_request *r, struct err *e)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (r->payload_hash[0])
        return 0;
    /* TLS protects the bytes already. Of an empty body the hash costs nothing, and all stores know it. */
    if (s3_dialect_lacks(s3_client_dialect(r->client), S3_UNSIGNED_BODY))
        r->signs_payload = true;
    if (r->body.len > 0 && s3_client_is_tls(r->client) && !r->signs_payload) {
        memcpy(r->payload_hash, S3_UNSIGNED_PAYLOAD, sizeof(S3_UNSIGNED_PAYLOAD));
        return 0;
    }
    if (EVP_Digest(r->body.len ? (const void *)r->body.data : "", r->body.len, hash, &len, EVP_sha256(), NULL) != 1)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcrypto cannot make a SHA-256");
    (void)sodium_bin2hex(r->payload_hash, sizeof(r->payload_hash), hash, len);
    return 0;
}

static int add_token(struct gathered *g, const struct s3_credentials *credentials, struct err *e)
{
    const struct secret *token = credentials->session_token;

    if (!token || secret_len(token) == 0)
        return 0;
    g->token = secret_new(secret_len(token) + 1, e);
    if (!g->token)
        return -1;
    memcpy(secret_data(g->token), secret_const_data(token), secret_len(token));
    return add(g, "x-amz-security-token", (const char *)secret_const_data(g->token), e);
}

static int add_range(struct s3_request *r, struct gathered *g, struct err *e)
{
    const char *if_match = r->if_match;

    if (r->into) {
        (void)snprintf(g->range, sizeof(g->range), "bytes=%llu-%llu",
                (unsigned long long)(r->range_start + r->into_done),
                (unsigned long long)(r->range_start + r->into_len - 1));
        if (add(g, "range", g->range, e) < 0)
            return -1;
        /* What is there already and what comes must be of one version. */
        if (r->into_done > 0)
            if_match = r->into_etag;
    }
    return if_match ? add(g, "if-match", if_match, e) : 0;
}

static int add_md5(struct s3_request *r, struct gathered *g, struct err *e)
{
    if (r->method != S3_PUT || !(r->with_md5 || s3_dialect_lacks(s3_client_dialect(r->client), S3_BODY_WITHOUT_MD5)))
        return 0;
    if (!r->md5[0] && !body_digest(r->body, EVP_md5(), r->md5))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0,
                "the store wants Content-MD5 (object lock), and libcrypto makes no MD5");
    return add(g, "content-md5", r->md5, e);
}

static int gather(struct s3_request *r, struct gathered *g, const struct s3_credentials *credentials, struct err *e)
{
    if (hash_payload(r, e) < 0 || add(g, "host", s3_client_target(r->client)->host, e) < 0 ||
            add(g, "x-amz-content-sha256", r->payload_hash, e) < 0 || add(g, "x-amz-date", g->time, e) < 0 ||
            add_token(g, credentials, e) < 0 || add_range(r, g, e) < 0 || add_md5(r, g, e) < 0)
        return -1;
    for (size_t i = 0; i < r->n_headers; i++)
        if (add(g, r->headers[i].name, r->headers[i].value, e) < 0)
            return -1;
    return 0;
}

static int append_line(struct s3_request *r, const char *line, struct err *e)
{
    struct curl_slist *longer = curl_slist_append(r->lines, line);

    if (!longer)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    r->lines = longer;
    return 0;
}

/* "name: value", or "name;" which is curl's way to say that the value is empty. */
static int append_header(struct s3_request *r, const char *name, const char *value, struct err *e)
{
    _cleanup_buf_ struct buf line = BUF_INIT(LINE_MAX_LEN);

    if (buf_append(&line, name, strlen(name), e) < 0 || buf_append(&line, *value ? ": " : ";", *value ? 2 : 1, e) < 0 ||
            buf_append(&line, value, strlen(value) + 1, e) < 0)
        return -1;
    return append_line(r, (const char *)line.data, e);
}

static int sign(struct s3_request *r, const struct gathered *g, const struct s3_credentials *credentials, struct err *e)
{
    struct sign_request s = {
            .method = s3_headers_method(r->method),
            .path = (const char *)r->path.data,
            .query = (const char *)r->query.data,
            .headers = g->list,
            .n_headers = g->n,
            .payload_hash = r->payload_hash,
            .access_key = credentials->access_key,
            .secret_key = credentials->secret_key,
            .instant = g->instant,
    };
    _cleanup_buf_ struct buf value = BUF_INIT(LINE_MAX_LEN);

    if (s3_client_sign(r->client, &s, &value, e) < 0 || buf_append(&value, "", 1, e) < 0)
        return -1;
    return append_header(r, "Authorization", (const char *)value.data, e);
}

static int make(struct s3_request *r, struct gathered *g, struct err *e)
{
    struct s3_credentials credentials;

    if (s3_client_credentials(r->client, &credentials, e) < 0)
        return -1;
    if (!credentials.access_key[0] || !fits_in_a_header(credentials.access_key) ||
            strpbrk(credentials.access_key, "/, "))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the access key has characters that no access key has");
    (void)snprintf(r->used_key, sizeof(r->used_key), "%s", credentials.access_key);
    g->instant = s3_client_now(r->client);
    (void)sign_time(g->instant, g->time);
    if (gather(r, g, &credentials, e) < 0)
        return -1;
    for (size_t i = 0; i < g->n; i++)
        if (append_header(r, g->list[i].name, g->list[i].value, e) < 0)
            return -1;
    /* curl would wait for "100 Continue" before it sends a body. */
    if (append_line(r, "Expect:", e) < 0)
        return -1;
    return sign(r, g, &credentials, e);
}

int s3_headers_make(struct s3_request *r, struct err *e)
{
    struct gathered g = {.n = 0};
    int result;

    s3_headers_free(r);
    result = make(r, &g, e);
    secret_free(g.token);
    return result;
}

void s3_headers_free(struct s3_request *r)
{
    for (struct curl_slist *l = r->lines; l; l = l->next)
        secret_wipe(l->data, strlen(l->data));
    curl_slist_free_all(r->lines);
    r->lines = NULL;
}

/* The first characters are enough to know it by. */
static bool quotes(const char *text, const char *secret)
{
    char start[PREFIX_SHOWN + 1];

    (void)snprintf(start, sizeof(start), "%s", secret);
    return start[0] && strstr(text, start);
}

void s3_headers_redact(const struct s3_request *r, char *text)
{
    static const char *const before[] = {"x-amz-security-token: ", ",Signature="};

    for (const struct curl_slist *l = r->lines; l; l = l->next)
        for (size_t i = 0; i < ARRAY_LEN(before); i++) {
            const char *at = strstr(l->data, before[i]);

            if (at && quotes(text, at + strlen(before[i])))
                text[0] = '\0';
        }
}
