#include "s3/url.h"

#include <string.h>

#include "s3/sign.h"

enum { HOST_LEN_MAX = 255, PARAMS_MAX = 16 };

static const char digits[] = "0123456789";
static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

/* The parts of an endpoint, pointing into it. */
struct endpoint {
    bool tls;
    struct bytes host; /* with its brackets, if it is an IPv6 address */
    unsigned port;     /* 0: the scheme's own */
};

static int bad_endpoint(struct err *e)
{
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "the S3 endpoint is not HOST[:PORT], https://HOST[:PORT] or http://HOST[:PORT]");
}

/* Length of the host at `s`, 0 if there is none. */
static size_t host_len(const char *s)
{
    size_t len;

    if (*s != '[')
        return strspn(s, host_characters);
    len = strspn(s + 1, "0123456789abcdefABCDEF:.");
    return s[1 + len] == ']' && len > 1 ? len + 2 : 0;
}

static int parse_port(const char *s, unsigned *port, struct err *e)
{
    const size_t len = strspn(s, digits);
    unsigned n = 0;

    if (len == 0 || len > 5 || s[len])
        return bad_endpoint(e);
    for (; *s; s++)
        n = n * 10 + (unsigned)(*s - '0');
    if (n == 0 || n > 65535)
        return bad_endpoint(e);
    *port = n;
    return 0;
}

static int parse_endpoint(struct endpoint *out, const char *text, struct err *e)
{
    const char *s = text, *end;
    size_t len;

    out->tls = true;
    if (strncmp(s, "https://", 8) == 0) {
        s += 8;
    } else if (strncmp(s, "http://", 7) == 0) {
        out->tls = false;
        s += 7;
    }
    len = host_len(s);
    if (len == 0 || len > HOST_LEN_MAX)
        return bad_endpoint(e);
    out->host = (struct bytes){.data = (const uint8_t *)s, .len = len};
    out->port = 0;
    end = s + len;
    if (*end == '\0')
        return 0;
    return *end == ':' ? parse_port(end + 1, &out->port, e) : bad_endpoint(e);
}

/* One label of the DNS, so that it can stand before the host and below a wildcard certificate. */
static bool is_label(const char *bucket)
{
    const size_t len = strlen(bucket);

    return len <= 63 && strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && bucket[0] != '-' &&
           bucket[len - 1] != '-';
}

static bool ends_with(struct bytes host, const char *suffix)
{
    const size_t len = strlen(suffix);

    return host.len >= len && memcmp(host.data + host.len - len, suffix, len) == 0;
}

static bool is_address(struct bytes host)
{
    if (host.data[0] == '[')
        return true;
    for (size_t i = 0; i < host.len; i++)
        if (host.data[i] != '.' && (host.data[i] < '0' || host.data[i] > '9'))
            return false;
    return true;
}

static int check_bucket(const char *bucket, struct err *e)
{
    const size_t len = strlen(bucket);

    if (len < 3 || len > 255 || strspn(bucket, host_characters) != len || strspn(bucket, ".") == len)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "\"%.80s\" cannot be the name of a bucket", bucket);
    return 0;
}

/* Whether the bucket goes into the host's name. */
static int choose_addressing(bool *is_virtual, const struct s3_conf *conf, const struct endpoint *at, struct err *e)
{
    const bool possible = !is_address(at->host);

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

static char *join_host(const struct endpoint *at, const char *bucket)
{
    const bool own = at->port == 0 || at->port == (at->tls ? 443U : 80U);
    char port[8] = "", *host;

    if (!own)
        (void)snprintf(port, sizeof(port), ":%u", at->port);
    if (asprintf(&host, "%s%s%.*s%s", bucket ? bucket : "", bucket ? "." : "", (int)at->host.len,
                (const char *)at->host.data, port) < 0)
        return NULL;
    return host;
}

int s3_url_target(struct s3_url_target *out, const struct s3_conf *conf, struct err *e)
{
    struct endpoint at = {0};
    bool is_virtual = false;

    *out = (struct s3_url_target){0};
    if (parse_endpoint(&at, conf->endpoint, e) < 0 || check_bucket(conf->bucket, e) < 0 ||
            choose_addressing(&is_virtual, conf, &at, e) < 0)
        return -1;
    out->tls = at.tls;
    out->host = join_host(&at, is_virtual ? conf->bucket : NULL);
    if (!out->host || asprintf(&out->base, "%s://%s", at.tls ? "https" : "http", out->host) < 0)
        out->base = NULL;
    if (!out->base || asprintf(&out->root, "%s%s", is_virtual ? "" : "/", is_virtual ? "" : conf->bucket) < 0)
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
