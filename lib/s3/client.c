#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "s3/client_inside.h"
#include "x509/trust.h"

/* S3 refuses signatures that are older than 15 minutes; a clock that is off by less than this is not the reason. */
enum { SKEW_THAT_MATTERS_S = 300 };

enum { TAGGING_MAX = 16 << 10 };

struct s3_client {
    uv_loop_t *loop;
    struct s3_conf conf; /* its strings are these */
    char *bucket, *region, *ca_cert, *shown;
    char *encryption, *kms_key_id, *storage_class; /* of what is put; or NULL */
    struct buf tagging;                            /* with a 0; empty: none */
    struct s3_url_target target;
    union race_address good, bad; /* the family 0: not known */
    struct http_multi *multi;
    struct sign_cache *sign;
    unsigned slots;
    TAILQ_HEAD(, s3_client_waiter) waiting;
    bool accepted;     /* a signature, by the store */
    int64_t skew;      /* by the last Date */
    int64_t used_skew; /* what signatures are corrected by */
    struct s3_dialect own_dialect;
};

static void release(struct s3_client *c)
{
    http_multi_free(c->multi);
    sign_cache_free(c->sign);
    s3_url_target_reset(&c->target);
    free(c->bucket);
    free(c->region);
    free(c->ca_cert);
    free(c->shown);
    free(c->encryption);
    free(c->kms_key_id);
    free(c->storage_class);
    buf_reset(&c->tagging);
    free(c);
}
CLEANUP_FUNC(struct s3_client *, release)

/* libcurl would tell at the first connection only; and never, if the file is another kind of PEM. */
static int check_ca(const char *path, struct err *e)
{
    _cleanup_x509_trust_ struct x509_trust *trust = x509_trust_load(path, e);

    if (trust)
        return 0;
    if (e->kind == ERR_NOT_FOUND)
        e->kind = ERR_CONFIG;
    return err_prepend(e, "CA file ");
}

static int no_memory(struct err *e)
{
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

static int copy_text(char **out, const char *text, struct err *e)
{
    if (!text)
        return 0;
    *out = strdup(text);
    return *out ? 0 : no_memory(e);
}

/* "a=b&c=d", each encoded (S3 API, x-amz-tagging), and a 0. */
static int make_tagging(struct s3_client *c, const struct s3_conf *conf, struct err *e)
{
    c->tagging = BUF_INIT(TAGGING_MAX);
    for (size_t i = 0; i < conf->n_tags; i++) {
        const char *equals = strchr(conf->tags[i], '=');
        _cleanup_free_ char *key = equals ? strndup(conf->tags[i], (size_t)(equals - conf->tags[i])) : NULL;

        if (!key)
            return no_memory(e);
        if ((i && buf_append(&c->tagging, "&", 1, e) < 0) || sign_encode(&c->tagging, key, false, e) < 0 ||
                buf_append(&c->tagging, "=", 1, e) < 0 || sign_encode(&c->tagging, equals + 1, false, e) < 0)
            return -1;
    }
    return conf->n_tags ? buf_append(&c->tagging, "", 1, e) : 0;
}

static int copy_put_conf(struct s3_client *c, const struct s3_conf *conf, struct err *e)
{
    if (copy_text(&c->encryption, conf->encryption, e) < 0 || copy_text(&c->kms_key_id, conf->kms_key_id, e) < 0 ||
            copy_text(&c->storage_class, conf->storage_class, e) < 0)
        return -1;
    return make_tagging(c, conf, e);
}

size_t s3_client_put_headers(const struct s3_client *c, bool upload, struct s3_param out[S3_PUT_HEADERS_MAX])
{
    size_t n = 0;

    if (c->encryption)
        out[n++] = (struct s3_param){"x-amz-server-side-encryption", c->encryption};
    if (c->encryption && c->kms_key_id)
        out[n++] = (struct s3_param){"x-amz-server-side-encryption-aws-kms-key-id", c->kms_key_id};
    if (upload && c->storage_class)
        out[n++] = (struct s3_param){"x-amz-storage-class", c->storage_class};
    if (c->tagging.len)
        out[n++] = (struct s3_param){"x-amz-tagging", (const char *)c->tagging.data};
    return n;
}

static int copy_conf(struct s3_client *c, const struct s3_conf *conf, struct err *e)
{
    const char *proxy = conf->proxy ? conf->proxy->name : NULL;

    c->bucket = strdup(conf->bucket);
    c->region = strdup(conf->region && conf->region[0] ? conf->region : "us-east-1");
    c->ca_cert = conf->ca_cert ? strdup(conf->ca_cert) : NULL;
    if (!c->bucket || !c->region || (conf->ca_cert && !c->ca_cert))
        return no_memory(e);
    if (s3_url_target(&c->target, conf, e) < 0)
        return -1;
    if (asprintf(&c->shown, "%s%s%s", c->target.host, proxy ? " through the proxy " : "", proxy ? proxy : "") < 0)
        c->shown = NULL;
    if (!c->shown)
        return no_memory(e);
    if (copy_put_conf(c, conf, e) < 0)
        return -1;
    c->conf = *conf;
    c->conf.endpoint = c->target.host;
    c->conf.bucket = c->bucket;
    c->conf.region = c->region;
    c->conf.ca_cert = c->ca_cert;
    if (!c->conf.dialect)
        c->conf.dialect = &c->own_dialect;
    s3_dialect_begin(c->conf.dialect);
    if (c->conf.max_attempts == 0)
        c->conf.max_attempts = 1;
    if (c->conf.retry_min_ms == 0)
        c->conf.retry_min_ms = 500;
    if (c->conf.retry_max_ms == 0)
        c->conf.retry_max_ms = 20000;
    if (c->conf.retry_max_ms < c->conf.retry_min_ms)
        c->conf.retry_max_ms = c->conf.retry_min_ms;
    c->slots = conf->max_connections ? conf->max_connections : 1;
    return 0;
}

struct s3_client *s3_client_new(uv_loop_t *loop, const struct s3_conf *conf, struct err *e)
{
    _cleanup_(cleanup_release) struct s3_client *c = calloc(1, sizeof(*c));

    if (!c) {
        (void)no_memory(e);
        return NULL;
    }
    c->loop = loop;
    TAILQ_INIT(&c->waiting);
    if (copy_conf(c, conf, e) < 0)
        return NULL;
    if (c->conf.ca_cert && check_ca(c->conf.ca_cert, e) < 0)
        return NULL;
    c->sign = sign_cache_new(e);
    if (!c->sign)
        return NULL;
    c->multi = http_multi_new(loop, c->slots, e);
    if (!c->multi)
        return NULL;
    return TAKE_PTR(c);
}

void s3_client_free(struct s3_client *c)
{
    if (c)
        release(c);
}

bool s3_client_is_tls(const struct s3_client *c)
{
    return c->target.tls;
}

int64_t s3_client_clock_skew(const struct s3_client *c)
{
    return c->skew;
}

void s3_client_close_idle(struct s3_client *c)
{
    http_multi_close_idle(c->multi);
}

uv_loop_t *s3_client_loop(struct s3_client *c)
{
    return c->loop;
}

const struct s3_conf *s3_client_conf(const struct s3_client *c)
{
    return &c->conf;
}

struct http_multi *s3_client_multi(struct s3_client *c)
{
    return c->multi;
}

const struct s3_url_target *s3_client_target(const struct s3_client *c)
{
    return &c->target;
}

const struct http_proxy *s3_client_proxy(const struct s3_client *c)
{
    static const struct http_proxy none = {0};

    return c->conf.proxy ? c->conf.proxy : &none;
}

const char *s3_client_shown(const struct s3_client *c)
{
    return c->shown;
}

void s3_client_saw_address(struct s3_client *c, const union race_address *a, bool answered)
{
    union race_address *known = answered ? &c->good : &c->bad, *other = answered ? &c->bad : &c->good;

    *known = *a;
    if (race_address_is(known, other))
        other->sa.sa_family = AF_UNSPEC;
}

void s3_client_sort_addresses(const struct s3_client *c, struct race_addresses *a)
{
    race_addresses_sort(a, &c->good, &c->bad);
}

bool s3_client_take_slot(struct s3_client *c, struct s3_client_waiter *w)
{
    if (c->slots > 0) {
        c->slots--;
        return true;
    }
    w->waiting = true;
    TAILQ_INSERT_TAIL(&c->waiting, w, link);
    return false;
}

void s3_client_give_slot(struct s3_client *c)
{
    struct s3_client_waiter *w = TAILQ_FIRST(&c->waiting);

    if (!w) {
        c->slots++;
        return;
    }
    s3_client_leave(c, w);
    w->on_slot(w);
}

void s3_client_leave(struct s3_client *c, struct s3_client_waiter *w)
{
    if (!w->waiting)
        return;
    w->waiting = false;
    TAILQ_REMOVE(&c->waiting, w, link);
}

int s3_client_credentials(struct s3_client *c, struct s3_credentials *out, struct err *e)
{
    *out = (struct s3_credentials){0};
    return c->conf.credentials(c->conf.credentials_ctx, out, e);
}

bool s3_client_wait_for_credentials(struct s3_client *c, struct wait_link *w)
{
    return c->conf.credentials_wait && c->conf.credentials_wait(c->conf.credentials_ctx, w);
}

void s3_client_leave_credentials(struct s3_client *c, struct wait_link *w)
{
    if (c->conf.credentials_leave)
        c->conf.credentials_leave(c->conf.credentials_ctx, w);
}

bool s3_client_refuse_credentials(struct s3_client *c, const char *access_key)
{
    return c->conf.credentials_refused && c->conf.credentials_refused(c->conf.credentials_ctx, access_key);
}

int s3_client_sign(struct s3_client *c, struct sign_request *r, struct buf *out, struct err *e)
{
    r->region = c->conf.region;
    return sign_authorization(c->sign, r, out, e);
}

int64_t s3_client_now(const struct s3_client *c)
{
    return timestamp_now() + c->used_skew;
}

void s3_client_saw_date(struct s3_client *c, int64_t server)
{
    c->skew = server - timestamp_now();
}

void s3_client_saw_accepted(struct s3_client *c)
{
    c->accepted = true;
}

bool s3_client_was_accepted(const struct s3_client *c)
{
    return c->accepted;
}

struct s3_dialect *s3_client_dialect(struct s3_client *c)
{
    return c->conf.dialect;
}

int64_t s3_client_used_skew(const struct s3_client *c)
{
    return c->used_skew;
}

bool s3_client_correct_clock(struct s3_client *c, int64_t used, bool certain)
{
    const int64_t news = c->skew - used, matters = certain ? 1 : SKEW_THAT_MATTERS_S;

    if (news > -matters && news < matters)
        return false;
    c->used_skew = c->skew;
    return true;
}
