#include "s3/url.h"

#include <string.h>

#include "base/endpoint.h"
#include "s3/sign.h"

enum { PARAMS_MAX = 16 };

static const char bucket_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

/* One label of the DNS, so that it can stand before the host and below a wildcard certificate. */
static bool is_label(const char *bucket)
{
    const size_t len = strlen(bucket);

    return len <= 63 && strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && bucket[0] != '-' &&
           bucket[len - 1] != '-';
}

static bool ends_with(const char *host, const char *suffix)
{
    const size_t host_len = strlen(host), len = strlen(suffix);

    return host_len >= len && strcmp(host + host_len - len, suffix) == 0;
}

static int check_bucket(const char *bucket, struct err *e)
{
    const size_t len = strlen(bucket);

    if (len < 3 || len > 255 || strspn(bucket, bucket_characters) != len || strspn(bucket, ".") == len)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "\"%.80s\" cannot be the name of a bucket", bucket);
    return 0;
}

/* Whether the bucket goes into the host's name. */
static int choose_addressing(bool *is_virtual, const struct s3_conf *conf, const struct endpoint *at, struct err *e)
{
    const bool possible = !at->is_address;

    if (conf->addressing == S3_ADDRESSING_VIRTUAL && !possible)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "addressing \"virtual\" needs a host name in the endpoint");
    *is_virtual = conf->addressing == S3_ADDRESSING_VIRTUAL ||
                  (conf->addressing == S3_ADDRESSING_AUTO && possible && is_label(conf->bucket) &&
                          (ends_with(at->host, ".amazonaws.com") || ends_with(at->host, ".amazonaws.com.cn")));
    return 0;
}

static int no_memory(struct err *e)
{
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

/* A final dot of the name is for the resolver alone: it stands in the URL, and in no request, certificate or signature.
 */
static int join(struct s3_url_target *out, const struct endpoint *at, const char *bucket)
{
    const size_t len = strlen(at->is_rooted ? at->host : at->authority);
    const char *dot = bucket ? "." : "";

    bucket = bucket ? bucket : "";
    if (asprintf(&out->host, "%s%s%s", bucket, dot, at->authority) < 0) {
        out->host = NULL;
        return -1;
    }
    if (asprintf(&out->base, "%s://%s%s%.*s%s%s", at->tls ? "https" : "http", bucket, dot, (int)len, at->authority,
                at->is_rooted ? "." : "", at->authority + len) < 0) {
        out->base = NULL;
        return -1;
    }
    return 0;
}

int s3_url_target(struct s3_url_target *out, const struct s3_conf *conf, struct err *e)
{
    struct endpoint at;
    bool is_virtual = false;

    *out = (struct s3_url_target){0};
    if (endpoint_parse(conf->endpoint, ENDPOINT_S3, &at, e) < 0 || check_bucket(conf->bucket, e) < 0 ||
            choose_addressing(&is_virtual, conf, &at, e) < 0)
        return -1;
    out->tls = at.tls;
    if (join(out, &at, is_virtual ? conf->bucket : NULL) < 0 ||
            asprintf(&out->root, "%s%s", is_virtual ? "" : "/", is_virtual ? "" : conf->bucket) < 0)
        out->root = NULL;
    if (out->root)
        return 0;
    s3_url_target_reset(out);
    return no_memory(e);
}

void s3_url_target_reset(struct s3_url_target *t)
{
    free(t->host);
    free(t->base);
    free(t->root);
    *t = (struct s3_url_target){0};
}

int s3_url_path(struct buf *out, const struct s3_url_target *t, const char *key, struct err *e)
{
    const size_t len = key ? strlen(key) : 0;

    if (key && (len == 0 || len > S3_URL_KEY_MAX))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "a name of %zu bytes; S3 takes 1 to %d", len, S3_URL_KEY_MAX);
    if (buf_append(out, t->root, strlen(t->root), e) < 0)
        return -1;
    if ((key || !t->root[0]) && buf_append(out, "/", 1, e) < 0)
        return -1;
    if (key && sign_encode(out, key, true, e) < 0)
        return -1;
    return buf_append(out, "", 1, e);
}

/* By the encoded name; ours never occur twice. Encoding does not change the order of what we use, but that is S3's rule
 * and costs nothing here. */
static int by_encoded(const void *a, const void *b)
{
    const struct buf *x = a, *y = b;

    return strcmp((const char *)x->data, (const char *)y->data);
}

static int encode_param(struct buf *out, const struct s3_param *p, struct err *e)
{
    if (sign_encode(out, p->name, false, e) < 0 || buf_append(out, "=", 1, e) < 0 ||
            sign_encode(out, p->value, false, e) < 0)
        return -1;
    return buf_append(out, "", 1, e);
}

int s3_url_query(struct buf *out, const struct s3_param *params, size_t n, struct err *e)
{
    struct buf encoded[PARAMS_MAX];
    int result = 0;

    if (n > PARAMS_MAX)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "more than %d parameters in a query", PARAMS_MAX);
    for (size_t i = 0; i < n; i++)
        encoded[i] = BUF_INIT(out->limit);
    for (size_t i = 0; i < n && result == 0; i++)
        result = encode_param(&encoded[i], &params[i], e);
    if (result == 0)
        qsort(encoded, n, sizeof(encoded[0]), by_encoded);
    for (size_t i = 0; i < n && result == 0; i++)
        if ((i > 0 && buf_append(out, "&", 1, e) < 0) || buf_append(out, encoded[i].data, encoded[i].len - 1, e) < 0)
            result = -1;
    if (result == 0)
        result = buf_append(out, "", 1, e);
    for (size_t i = 0; i < n; i++)
        buf_reset(&encoded[i]);
    return result;
}
