#include "job/bucket/claim.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "s3/dialect.h"
#include "s3/object.h"

enum {
    TOKEN_LEN = 32, /* hexadecimal digits */
    LOOK_LIMIT = 4096,
    SETTLE = 3, /* times the time from the look to the answer to the put */
    SETTLE_MIN_MS = 200,
    SETTLE_MAX_MS = 30000,
    HTTP_TAKEN = 412,
};

struct claim {
    struct claim_spec spec;
    struct s3_client *s3;
    struct s3_request *request;
    uv_timer_t settle;
    char name[NAME_TEXT_MAX], dump[NAME_TEXT_MAX];
    char token[TOKEN_LEN + 1];
    char renewed[TOKEN_LEN + 24]; /* the token, and how often */
    unsigned renewals;
    bool is_renewed, is_denied; /* the last renewal */
    uint64_t began_ms;
    bool is_put;     /* it may be there */
    bool is_owned;   /* on_claimed has said so */
    bool is_refused; /* something was there, ours or not */
    void *release_ctx;
    void (*on_released)(void *ctx); /* not NULL: it is being released */
};

static void read_back(struct claim *c);

/* Nothing may be touched after it. */
static void end(struct claim *c, const struct err *err)
{
    if (c->on_released) {
        c->on_released(c->release_ctx);
        return;
    }
    c->is_owned = !err;
    c->spec.on_claimed(c->spec.ctx, err);
}

static void end_with_taken(struct claim *c)
{
    struct err e = ERR_INIT;

    c->is_put = false;
    err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_HTTP, HTTP_TAKEN,
            "%s exists already: another backup began in the same second", c->dump);
    end(c, &e);
}

bool claim_is_taken(const struct err *err)
{
    return err->kind == ERR_TRANSIENT && err->domain == ERR_DOMAIN_HTTP && err->code == HTTP_TAKEN;
}

static void fail(struct claim *c, const struct err *err)
{
    struct err e = *err;

    err_prepend(&e, "claiming the name: ");
    end(c, &e);
}

/* ---- taking it away ---- */

static void on_removed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct claim *c = ctx;

    (void)res;
    (void)err; /* prune takes it away */
    c->request = NULL;
    end(c, NULL);
}

static void take_away(struct claim *c)
{
    struct err e = ERR_INIT;

    c->is_put = false;
    c->request = s3_delete(c->s3, c->name, c, on_removed, &e);
    if (!c->request)
        end(c, NULL);
}

/* ---- what stands ---- */

static void on_read_back(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct claim *c = ctx;
    bool is_ours = res && res->body.len == TOKEN_LEN && memcmp(res->body.data, c->token, TOKEN_LEN) == 0;

    c->request = NULL;
    if (c->on_released && is_ours)
        take_away(c);
    else if (c->on_released || is_ours || (err && err->kind == ERR_AUTH && !c->is_refused))
        end(c, NULL);
    else if (res || err->kind == ERR_NOT_FOUND || err->kind == ERR_AUTH)
        end_with_taken(c);
    else
        fail(c, err);
}

static void read_back(struct claim *c)
{
    struct s3_get_spec spec = {.key = c->name, .limit = LOOK_LIMIT, .ctx = c, .on_done = on_read_back};
    struct err e = ERR_INIT;

    c->request = s3_get(c->s3, &spec, &e);
    if (!c->request)
        fail(c, &e);
}

static void on_settled(uv_timer_t *timer)
{
    read_back(CONTAINER_OF(timer, struct claim, settle));
}

/* ---- putting it ---- */

static void put(struct claim *c);

static void settle(struct claim *c)
{
    uint64_t wait = SETTLE * (uv_now(c->spec.loop) - c->began_ms);

    if (wait < SETTLE_MIN_MS)
        wait = SETTLE_MIN_MS;
    if (wait > SETTLE_MAX_MS)
        wait = SETTLE_MAX_MS;
    (void)uv_timer_start(&c->settle, on_settled, wait, 0);
}

static void on_put(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct claim *c = ctx;

    (void)res;
    c->request = NULL;
    c->is_refused = err && err->domain == ERR_DOMAIN_HTTP && err->code == HTTP_TAKEN;
    if (c->on_released || c->is_refused) /* our own, if it was the answer to our put that got lost */
        read_back(c);
    else if (err && s3_dialect_hears(s3_client_dialect(c->s3), S3_IF_NONE_MATCH, err))
        put(c);
    else if (err)
        fail(c, err);
    else
        settle(c);
}

static void put(struct claim *c)
{
    struct s3_put_spec spec = {
            .key = c->name,
            .body = {.data = (const uint8_t *)c->token, .len = TOKEN_LEN},
            .if_none_match = !s3_dialect_lacks(s3_client_dialect(c->s3), S3_IF_NONE_MATCH),
            .ctx = c,
            .on_done = on_put,
    };
    struct err e = ERR_INIT;

    c->request = s3_put(c->s3, &spec, &e);
    c->is_put = c->request != NULL;
    if (!c->request)
        fail(c, &e);
}

/* ---- keeping it ---- */

static void on_renewed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct claim *c = ctx;

    (void)res;
    c->request = NULL;
    c->is_renewed = !err;
    c->is_denied = err && (err->kind == ERR_AUTH || err->kind == ERR_CONFIG);
    if (c->on_released)
        take_away(c);
}

bool claim_is_renewed(const struct claim *c)
{
    return c->is_renewed;
}

bool claim_is_refused(const struct claim *c)
{
    return c->is_denied;
}

bool claim_renew(struct claim *c)
{
    struct s3_put_spec spec = {.key = c->name, .ctx = c, .on_done = on_renewed};
    struct err e = ERR_INIT;

    if (!c->is_owned || c->request || c->on_released)
        return false;
    c->is_renewed = false;
    (void)snprintf(c->renewed, sizeof(c->renewed), "%s %u", c->token, ++c->renewals);
    spec.body = (struct bytes){.data = (const uint8_t *)c->renewed, .len = strlen(c->renewed)};
    c->request = s3_put(c->s3, &spec, &e);
    return c->request != NULL;
}

/* ---- looking ---- */

/* A store says 403 of what is not there to whom it does not list it (S3 API, HeadObject). */
static bool is_nothing_seen(const struct err *err)
{
    return err && (err->kind == ERR_NOT_FOUND || err->kind == ERR_AUTH);
}

static void on_looked_at_dump(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct claim *c = ctx;

    c->request = NULL;
    if (c->on_released)
        end(c, NULL);
    else if (res)
        end_with_taken(c);
    else if (is_nothing_seen(err))
        put(c);
    else
        fail(c, err);
}

static void on_looked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct claim *c = ctx;
    struct err e = ERR_INIT;

    c->request = NULL;
    if (c->on_released) {
        end(c, NULL);
    } else if (res) {
        end_with_taken(c);
    } else if (!is_nothing_seen(err)) {
        fail(c, err);
    } else {
        c->request = s3_head(c->s3, c->dump, c, on_looked_at_dump, &e);
        if (!c->request)
            fail(c, &e);
    }
}

struct claim *claim_start(struct s3_client *s3, const struct claim_spec *spec, struct err *e)
{
    struct claim *c = calloc(1, sizeof(*c));
    uint8_t random[TOKEN_LEN / 2];

    if (!c) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    c->spec = *spec;
    c->s3 = s3;
    (void)snprintf(c->dump, sizeof(c->dump), "%s", spec->dump);
    name_claim_of_dump(c->name, spec->dump);
    randombytes_buf(random, sizeof(random));
    (void)sodium_bin2hex(c->token, sizeof(c->token), random, sizeof(random));
    c->began_ms = uv_now(spec->loop);
    c->request = s3_head(s3, c->name, c, on_looked, e);
    if (!c->request) {
        free(c);
        return NULL;
    }
    (void)uv_timer_init(spec->loop, &c->settle);
    return c;
}

bool claim_release(struct claim *c, void *ctx, void (*on_released)(void *ctx))
{
    struct err e = ERR_INIT;

    if (!c->request && !c->is_put)
        return false;
    c->release_ctx = ctx;
    c->on_released = on_released;
    if (c->request) /* its end goes on from here */
        return true;
    if (c->is_owned) {
        c->is_put = false;
        c->request = s3_delete(c->s3, c->name, c, on_removed, &e);
        return c->request != NULL;
    }
    (void)uv_timer_start(&c->settle, on_settled, 0, 0);
    return true;
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(CONTAINER_OF(timer, struct claim, settle));
}

void claim_free(struct claim *c)
{
    if (!c)
        return;
    if (c->request)
        s3_request_cancel(c->request);
    uv_close((uv_handle_t *)&c->settle, on_timer_closed);
}
