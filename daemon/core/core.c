#include "core/core.h"

#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"
#include "core/credentials.h"
#include "core/leftovers.h"
#include "core/members.h"
#include "core/memory.h"
#include "core/s3_keys.h"
#include "s3/dialect.h"

enum { S3_ATTEMPTS = 5, SMALL_REQUESTS = 16, NS_PER_MS = 1000000 };

struct core {
    uv_loop_t *loop;
    struct conf *conf;
    struct conf *next; /* waits for the jobs to end; or NULL */
    void *reload_ctx;
    void (*on_taken)(void *ctx, struct conf *unused);
    struct s3_keys *s3_keys;
    struct credentials *etcd_password;
    struct s3_client *s3;
    struct etcd_client *etcd;
    struct members *members;
    struct leftovers *leftovers;
    char *bucket_url;
    struct known *known;
    bool is_service, is_stopping;
    struct s3_dialect dialect;
    unsigned users;       /* jobs between core_acquire and core_release */
    int64_t last_instant; /* of the newest backup begun here */
};

/* The caller frees; NULL without memory. */
static char *url_of(const struct conf *conf)
{
    bool scheme = strstr(conf->s3.endpoint, "://") != NULL;
    char *url;

    return asprintf(&url, "%s%s/%s/%s-", scheme ? "" : "https://", conf->s3.endpoint, conf->s3.bucket,
                   conf->s3.objects_prefix) < 0
                   ? NULL
                   : url;
}

struct core *core_new(uv_loop_t *loop, struct conf *conf, bool is_service, struct err *e)
{
    _cleanup_(cleanup_core_free) struct core *c = calloc(1, sizeof(*c));

    if (!c || !(c->bucket_url = url_of(conf)) || !(c->members = members_new()) || !(c->leftovers = leftovers_new()) ||
            !(c->known = known_new())) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    c->loop = loop;
    c->conf = conf;
    c->is_service = is_service;
    c->s3_keys = s3_keys_new(loop, conf, is_service, e);
    return c->s3_keys ? TAKE_PTR(c) : NULL;
}

uv_loop_t *core_loop(const struct core *c)
{
    return c->loop;
}

const struct conf *core_conf(const struct core *c)
{
    return c->conf;
}

const char *core_bucket_url(const struct core *c)
{
    return c->bucket_url;
}

static int etcd_password(void *ctx, const char **username, const struct secret **password, struct err *e)
{
    struct core *c = ctx;
    const struct conf_credentials *got = credentials_get(c->etcd_password, e);

    if (!got)
        return -1;
    *username = got->id;
    *password = got->secret;
    return 0;
}

static struct etcd_blame blame_of(void *ctx, const char *endpoint)
{
    const struct core *c = ctx;

    return members_blame(c->members, endpoint, uv_hrtime() / NS_PER_MS);
}

static void remember(void *ctx, const char *endpoint, const struct err *why)
{
    struct core *c = ctx;

    members_tell(c->members, endpoint, why, uv_hrtime() / NS_PER_MS);
}

static enum s3_addressing addressing_of(enum conf_addressing a)
{
    switch (a) {
    case CONF_ADDRESSING_PATH:
        return S3_ADDRESSING_PATH;
    case CONF_ADDRESSING_VIRTUAL:
        return S3_ADDRESSING_VIRTUAL;
    case CONF_ADDRESSING_AUTO:
        break;
    }
    return S3_ADDRESSING_AUTO;
}

struct s3_client *core_s3(struct core *c, struct err *e)
{
    static const char *const encryptions[] = {
            [CONF_ENCRYPTION_NONE] = NULL, [CONF_ENCRYPTION_S3] = "AES256", [CONF_ENCRYPTION_KMS] = "aws:kms"};
    const struct conf_s3 *s3 = &c->conf->s3;
    struct s3_conf conf = {
            .endpoint = s3->endpoint,
            .bucket = s3->bucket,
            .region = s3->region,
            .ca_cert = s3->ca_cert,
            .addressing = addressing_of(s3->addressing),
            .connect_timeout_ms = s3->connection_timeout_ms,
            .stall_timeout_ms = s3->request_timeout_ms,
            .max_attempts = S3_ATTEMPTS,
            .dialect = &c->dialect,
            /* Beside the parts: the key, a listing. A rotation makes many small requests and no parts. */
            .max_connections = s3->parts_in_flight + 2 > SMALL_REQUESTS ? s3->parts_in_flight + 2 : SMALL_REQUESTS,
    };

    if (c->s3)
        return c->s3;
    conf.encryption = encryptions[s3->server_side_encryption];
    conf.kms_key_id = s3->server_side_encryption == CONF_ENCRYPTION_KMS ? s3->kms_key_id : NULL;
    conf.storage_class = strcmp(s3->storage_class, "STANDARD") == 0 ? NULL : s3->storage_class;
    conf.tags = (const char *const *)s3->tags;
    conf.n_tags = s3->n_tags;
    if (s3_keys_use(c->s3_keys, &conf, e) < 0)
        return NULL;
    c->s3 = s3_client_new(c->loop, &conf, e);
    return c->s3;
}

/* A client of `n` of the endpoints, from the first on. */
static struct etcd_client *make_etcd(struct core *c, size_t first, size_t n, struct err *e)
{
    const struct conf_etcd *etcd = &c->conf->etcd;
    struct etcd_conf conf = {
            .endpoints = (const char *const *)etcd->endpoints + first,
            .n_endpoints = n,
            .connect_timeout_ms = etcd->connection_timeout_ms,
            .request_timeout_ms = etcd->request_timeout_ms,
            .ca_cert = etcd->ca_cert,
            .client_cert = conf_uses_client_cert(c->conf) ? etcd->client_cert : NULL,
            .client_key = conf_uses_client_cert(c->conf) ? etcd->client_key : NULL,
            .password_ctx = c,
            .password = etcd->password_auth ? etcd_password : NULL,
            .memory_ctx = c,
            .blame = blame_of,
            .remember = remember,
    };

    if (!etcd->n_endpoints) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: etcd_client.endpoints is missing: nothing says where etcd is",
                c->conf->file);
        return NULL;
    }
    if (etcd->password_auth) {
        if (!c->etcd_password && !(c->etcd_password = credentials_new(etcd->password_auth, CONF_CREDENTIALS_ETCD, e)))
            return NULL;
        if (!credentials_get(c->etcd_password, e))
            return NULL;
    }
    return etcd_client_new(c->loop, &conf, e);
}

struct etcd_client *core_etcd(struct core *c, struct err *e)
{
    if (!c->etcd)
        c->etcd = make_etcd(c, 0, c->conf->etcd.n_endpoints, e);
    return c->etcd;
}

struct etcd_client *core_etcd_of(struct core *c, size_t i, struct err *e)
{
    return make_etcd(c, i, 1, e);
}

/* No job needs the clients any more. */
static void rest(struct core *c)
{
    s3_client_free(TAKE_PTR(c->s3));
    etcd_client_free(TAKE_PTR(c->etcd));
    if (c->s3_keys)
        s3_keys_rest(c->s3_keys);
    credentials_free(TAKE_PTR(c->etcd_password));
    memory_give_back();
}

void core_acquire(struct core *c)
{
    c->users++;
}

static bool has_same_endpoints(const struct conf_etcd *a, const struct conf_etcd *b)
{
    if (a->n_endpoints != b->n_endpoints)
        return false;
    for (size_t i = 0; i < a->n_endpoints; i++)
        if (strcmp(a->endpoints[i], b->endpoints[i]) != 0)
            return false;
    return true;
}

/* What of it may not hold any more: all, where it is another bucket or may be another cluster. */
static void forget(struct core *c, const char *url)
{
    if (strcmp(url, c->bucket_url) != 0)
        known_forget_all(c->known);
    known_forget_keys(c->known);
    known_set_own_cluster(c->known, 0);
}

static void take_next(struct core *c)
{
    struct conf *unused = c->conf;
    struct err e = ERR_INIT;
    _cleanup_free_ char *url = url_of(c->next);
    struct s3_keys *s3_keys = s3_keys_new(c->loop, c->next, c->is_service, &e);

    if (url && s3_keys) {
        s3_keys_inherit(s3_keys, c->s3_keys);
        s3_keys_free(c->s3_keys);
        c->s3_keys = s3_keys;
        if (strcmp(url, c->bucket_url) != 0)
            leftovers_forget(c->leftovers);
        forget(c, url);
        free(c->bucket_url);
        c->bucket_url = TAKE_PTR(url);
        if (!has_same_endpoints(&c->conf->etcd, &c->next->etcd))
            members_forget(c->members);
        c->conf = TAKE_PTR(c->next);
        c->dialect = (struct s3_dialect){0}; /* it may be another store */
    } else {
        s3_keys_free(s3_keys);
        unused = TAKE_PTR(c->next);
    }
    c->on_taken(c->reload_ctx, unused);
}

void core_release(struct core *c)
{
    if (--c->users)
        return;
    rest(c);
    if (c->is_stopping)
        core_stop(c);
    else if (c->next)
        take_next(c);
}

void core_reload(struct core *c, struct conf *conf, void *ctx, void (*on_taken)(void *ctx, struct conf *unused))
{
    struct conf *waiting = TAKE_PTR(c->next);

    c->next = conf;
    c->reload_ctx = ctx;
    c->on_taken = on_taken;
    if (waiting)
        on_taken(ctx, waiting);
    else if (c->users == 0)
        take_next(c);
}

bool core_credentials_state(const struct core *c, struct cloud_state *out)
{
    return c->s3_keys && s3_keys_state(c->s3_keys, out);
}

bool core_is_waiting(const struct core *c)
{
    return c->next != NULL;
}

struct known *core_known(const struct core *c)
{
    return c->known;
}

struct leftovers *core_leftovers(const struct core *c)
{
    return c->leftovers;
}

int64_t core_new_instant(struct core *c)
{
    int64_t now = timestamp_now();

    if (now == c->last_instant)
        return 0;
    c->last_instant = now;
    return now;
}

/* A job may have ended and not given back the clients yet. */
void core_stop(struct core *c)
{
    if (!c)
        return;
    c->is_stopping = true;
    if (c->users == 0)
        s3_keys_free(TAKE_PTR(c->s3_keys));
}

void core_free(struct core *c)
{
    if (!c)
        return;
    rest(c);
    s3_keys_free(c->s3_keys);
    if (c->next)
        c->on_taken(c->reload_ctx, TAKE_PTR(c->next));
    members_free(c->members);
    leftovers_free(c->leftovers);
    free(c->bucket_url);
    known_free(c->known);
    free(c);
}
