#include "job/prune/locks.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "s3/object.h"

enum { LANES = 8, CONFIGURATION_LIMIT = 64 << 10 };

struct lane {
    struct locks *owner;
    struct s3_request *request; /* NULL: free */
    size_t index;
};

struct locks {
    struct core *core;
    struct locks_spec spec;
    struct s3_request *configuration;
    struct lane lanes[LANES];
    size_t next;
};

CLEANUP_FUNC(struct locks *, locks_free)

static void look_at_more(struct locks *l);

static void tell_if_locked(struct locks *l, size_t index, const struct s3_response *res)
{
    struct err e = ERR_INIT;
    char text[TIMESTAMP_TEXT_MAX];

    if (res->legal_hold)
        err_set(&e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "the store keeps it under a legal hold");
    else if (res->retain_until == INT64_MAX)
        err_set(&e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "the store keeps it under a retention whose end is not understood");
    else if (res->retain_until > timestamp_now() + s3_client_clock_skew(core_s3(l->core, &e)))
        err_set(&e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "the store keeps it until %s",
                timestamp_format(res->retain_until, text));
    else
        return;
    l->spec.on_locked(l->spec.ctx, index, &e);
}

static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct lane *lane = ctx;
    struct locks *l = lane->owner;

    lane->request = NULL;
    if (!err)
        tell_if_locked(l, lane->index, res);
    else if (err->kind != ERR_NOT_FOUND) /* that has gone meanwhile */
        l->spec.on_unknown(l->spec.ctx, lane->index, err);
    look_at_more(l);
}

static void look_at_more(struct locks *l)
{
    struct err e = ERR_INIT;
    struct s3_client *s3 = core_s3(l->core, &e);
    bool is_at_work = false;

    for (unsigned i = 0; i < LANES; i++) {
        struct lane *lane = &l->lanes[i];

        while (!lane->request && l->next < l->spec.n) {
            lane->owner = l;
            lane->index = l->next++;
            lane->request = s3 ? s3_head(s3, l->spec.name(l->spec.ctx, lane->index), lane, on_headed, &e) : NULL;
            if (!lane->request)
                l->spec.on_unknown(l->spec.ctx, lane->index, &e);
        }
        is_at_work = is_at_work || lane->request;
    }
    if (!is_at_work)
        l->spec.on_done(l->spec.ctx, NULL);
}

/* 404 ObjectLockConfigurationNotFoundError, 409 InvalidBucketState; the others are of stores that do not know the
 * question. Not so 400 ExpiredToken, of which we know more than the status. */
static bool knows_no_locks(const struct err *e)
{
    return e->domain == ERR_DOMAIN_HTTP && (e->kind == ERR_NOT_FOUND || e->kind == ERR_CONFIG) &&
           (e->code == 400 || e->code == 404 || e->code == 405 || e->code == 409 || e->code == 501);
}

static void on_configuration(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct locks *l = ctx;

    (void)res;
    l->configuration = NULL;
    if (!err)
        look_at_more(l);
    else
        l->spec.on_done(l->spec.ctx, knows_no_locks(err) ? NULL : err);
}

struct locks *locks_start(struct core *core, const struct locks_spec *spec, struct err *e)
{
    _cleanup_(cleanup_locks_free) struct locks *l = calloc(1, sizeof(*l));
    const struct s3_param query = {.name = "object-lock", .value = ""};
    struct s3_request_spec request = {
            .method = S3_GET,
            .query = &query,
            .n_query = 1,
            .body_limit = CONFIGURATION_LIMIT,
            .on_done = on_configuration,
    };
    struct s3_client *s3;

    if (!l) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    l->core = core;
    l->spec = *spec;
    request.ctx = l;
    s3 = core_s3(core, e);
    l->configuration = s3 ? s3_request_start(s3, &request, e) : NULL;
    return l->configuration ? TAKE_PTR(l) : NULL;
}

void locks_free(struct locks *l)
{
    if (!l)
        return;
    if (l->configuration)
        s3_request_cancel(l->configuration);
    for (unsigned i = 0; i < LANES; i++)
        if (l->lanes[i].request)
            s3_request_cancel(l->lanes[i].request);
    free(l);
}
