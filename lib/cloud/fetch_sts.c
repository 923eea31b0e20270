/* The two ways through the Security Token Service: a token from a file, unsigned; other credentials, signed by them. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/timestamp.h"
#include "cloud/fetch_state.h"
#include "cloud/sts.h"
#include "s3/sign.h"

enum { CONNECT_MS = 10000, TOTAL_MS = 20000, SHOWN_MAX = 360, AUTHORIZATION_MAX = 4096, SKEW_THAT_MATTERS_S = 300 };

static const char form[] = "application/x-www-form-urlencoded; charset=utf-8";

/* An exchange that is being put together. */
struct question {
    struct buf body;
    char url[CLOUD_STS_URL_MAX], host[CLOUD_STS_HOST_MAX], name[SHOWN_MAX], session[CLOUD_STS_SESSION_MAX];
    struct cloud_sts_request request;
    struct http_header headers[6];
    size_t n_headers;
    /* Of a signed one. */
    char time[SIGN_TIME_MAX], hash[2 * crypto_hash_sha256_BYTES + 1];
    struct secret *token;
    struct buf authorization;
};

static void forget(struct question *q)
{
    buf_reset(&q->body);
    buf_reset(&q->authorization);
    secret_free(q->token);
}

static void add(struct question *q, const char *name, const char *value)
{
    q->headers[q->n_headers++] = (struct http_header){name, value};
}

/* Where, who, and the body. */
static int make(const struct cloud_fetch *f, struct question *q, const char *session_name, struct err *e)
{
    char host[256] = "";

    (void)gethostname(host, sizeof(host) - 1);
    q->request.session_name = session_name ? session_name : cloud_sts_session_name(host, q->session);
    if (cloud_sts_place(f->conf->sts_endpoint, f->conf->region, q->url, q->host, e) < 0)
        return -1;
    (void)snprintf(q->name, sizeof(q->name), "STS at %s", q->host);
    add(q, "Content-Type", form);
    return cloud_sts_body(&q->body, &q->request, e);
}

static void ask(struct cloud_fetch *f, const struct question *q, cloud_fetch_answer *on_answer,
        void (*again)(struct cloud_fetch *f))
{
    struct http_exchange_spec spec = {
            .method = "POST",
            .url = q->url,
            .name = q->name,
            .headers = q->headers,
            .n_headers = q->n_headers,
            .body = buf_bytes(&q->body),
            .proxy = f->conf->proxy,
            .ca_cert = f->conf->sts_endpoint ? f->conf->ca_cert : NULL,
            .connect_ms = CONNECT_MS,
            .total_ms = TOTAL_MS,
    };

    cloud_fetch_ask(f, &spec, on_answer, again);
}

static void take(struct cloud_fetch *f, const struct http_exchange_answer *answer, const struct secret *sent)
{
    struct cloud_credentials got = {0};
    struct err e = ERR_INIT;

    if (cloud_sts_parse(answer->body, answer->status, sent, &got, &e) < 0) {
        (void)err_prepend(&e, "STS: ");
        cloud_fetch_end(f, &e);
        return;
    }
    cloud_credentials_clear(&f->got);
    f->got = got;
    cloud_fetch_end(f, NULL);
}

/* ---- web identity ---- */

static void on_exchanged(struct cloud_fetch *f, const struct http_exchange_answer *answer)
{
    take(f, answer, f->token);
}

static int missing(struct err *e, const char *key, const char *variable)
{
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "neither s3_client.auth.%s nor %s is set", key, variable);
}

void cloud_fetch_begin_web_identity(struct cloud_fetch *f)
{
    const char *path = f->conf->token_file, *session = f->conf->role_session_name;
    struct question q = {.body = BUF_INIT(CLOUD_STS_BODY_MAX), .request.role_arn = f->conf->role_arn};
    struct err e = ERR_INIT;

    if (!path)
        path = cloud_fetch_variable(f, "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (!q.request.role_arn)
        q.request.role_arn = cloud_fetch_variable(f, "AWS_ROLE_ARN");
    if (!session)
        session = cloud_fetch_variable(f, "AWS_ROLE_SESSION_NAME");
    if (!path || !q.request.role_arn) {
        (void)(path ? missing(&e, "role_arn", "AWS_ROLE_ARN")
                    : missing(&e, "token_file", "AWS_WEB_IDENTITY_TOKEN_FILE"));
        cloud_fetch_end(f, &e);
        return;
    }
    secret_free(f->token);
    f->token = cloud_fetch_read_token(f, path);
    if (!f->token)
        return;
    q.request.web_identity = f->token;
    if (make(f, &q, session, &e) < 0)
        cloud_fetch_end(f, &e);
    else
        ask(f, &q, on_exchanged, cloud_fetch_begin_web_identity);
    forget(&q);
}

/* ---- another role ---- */

static int sign(const struct cloud_fetch *f, struct question *q, struct err *e)
{
    struct sign_cache *cache;
    struct sign_header headers[4] = {{"content-type", form}, {"host", q->host}, {"x-amz-date", q->time}};
    struct sign_request r = {.method = "POST", .path = "/", .query = "", .headers = headers, .n_headers = 3};
    uint8_t hash[crypto_hash_sha256_BYTES];
    int result;

    r.service = "sts";
    r.region = f->conf->region;
    r.access_key = f->got.access_key;
    r.secret_key = f->got.secret_key;
    r.instant = timestamp_now() + f->clock_skew;
    (void)sign_time(r.instant, q->time);
    crypto_hash_sha256(hash, q->body.data, q->body.len);
    (void)sodium_bin2hex(q->hash, sizeof(q->hash), hash, sizeof(hash));
    r.payload_hash = q->hash;
    if (f->got.token) {
        q->token = secret_new(secret_len(f->got.token) + 1, e);
        if (!q->token)
            return -1;
        memcpy(secret_data(q->token), secret_const_data(f->got.token), secret_len(f->got.token));
        headers[r.n_headers++] =
                (struct sign_header){"x-amz-security-token", (const char *)secret_const_data(q->token)};
        add(q, "X-Amz-Security-Token", (const char *)secret_const_data(q->token));
    }
    cache = sign_cache_new(e);
    if (!cache)
        return -1;
    result = sign_authorization(cache, &r, &q->authorization, e);
    sign_cache_free(cache);
    if (result < 0 || buf_append(&q->authorization, "", 1, e) < 0)
        return -1;
    add(q, "X-Amz-Date", q->time);
    add(q, "Authorization", (const char *)q->authorization.data);
    return 0;
}

/* A signature is good for minutes, so a clock that is off by more spoils it: the server says what time it is. */
static void on_assumed(struct cloud_fetch *f, const struct http_exchange_answer *answer)
{
    const int64_t skew = answer->date ? answer->date - timestamp_now() : 0;

    if ((answer->status == 403 || answer->status == 400) && !f->has_corrected_clock &&
            (skew > SKEW_THAT_MATTERS_S || skew < -SKEW_THAT_MATTERS_S)) {
        f->has_corrected_clock = true;
        f->clock_skew = skew;
        cloud_fetch_begin_assume(f);
        return;
    }
    take(f, answer, f->got.token);
}

void cloud_fetch_begin_assume(struct cloud_fetch *f)
{
    struct question q = {
            .body = BUF_INIT(CLOUD_STS_BODY_MAX),
            .authorization = BUF_INIT(AUTHORIZATION_MAX),
            .request = {.role_arn = f->conf->role_arn, .external_id = f->conf->external_id},
    };
    struct err e = ERR_INIT;

    if (make(f, &q, f->conf->role_session_name, &e) < 0 || sign(f, &q, &e) < 0)
        cloud_fetch_end(f, &e);
    else
        ask(f, &q, on_assumed, cloud_fetch_begin_assume);
    forget(&q);
}
