#include "job/prune/locks.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/lanes.h"
#include "base/timestamp.h"
#include "s3/dialect.h"
#include "s3/object.h"

enum { AT_A_TIME = 8, CONFIGURATION_LIMIT = 64 << 10 };

struct locks {
    struct core *core;
    struct locks_spec spec;
    struct s3_request *question; /* about the bucket, or by name about one object */
    bool is_configured;          /* the bucket says that it has locks; else it may not be asked */
    size_t sample;               /* the object that is asked by name */
    bool has_retention;          /* it has answered for its retention; its hold is next */
    struct lanes lanes;
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

    (void)lane_end(lane);
    if (!err)
        tell_if_locked(l, lane->index, res);
    else if (err->kind != ERR_NOT_FOUND) /* that has gone meanwhile */
        l->spec.on_unknown(l->spec.ctx, lane->index, err);
    look_at_more(l);
}

static int head(struct lane *lane, struct err *e)
{
    struct locks *l = lane->owner;
    struct s3_client *s3 = core_s3(l->core, e);

    lane->work = s3 ? s3_head(s3, l->spec.name(l->spec.ctx, lane->index), lane, on_headed, e) : NULL;
    if (!lane->work)
        l->spec.on_unknown(l->spec.ctx, lane->index, e);
    return 0;
}

static void look_at_more(struct locks *l)
{
    struct err ignored = ERR_INIT;

    if (lanes_go_on(&l->lanes, &ignored) == 0)
        l->spec.on_done(l->spec.ctx, NULL);
}

static bool knows_no_locks(struct locks *l, const struct err *err)
{
    struct err ignored;
    struct s3_client *s3 = core_s3(l->core, &ignored);

    return s3 && s3_dialect_hears(s3_client_dialect(s3), S3_OBJECT_LOCK, err);
}

static bool is_refused(const struct err *e)
{
    return e->domain == ERR_DOMAIN_HTTP && e->code == 403;
}

static int ask(struct locks *l, const char *object, const char *what,
        void (*on_done)(void *, const struct s3_response *, const struct err *), struct err *e)
{
    const struct s3_param query = {.name = what, .value = ""};
    const struct s3_request_spec request = {
            .method = S3_GET,
            .key = object,
            .query = &query,
            .n_query = 1,
            .body_limit = CONFIGURATION_LIMIT,
            .fine_code = object ? "NoSuchObjectLockConfiguration ObjectLockConfigurationNotFoundError" : NULL,
            .ctx = l,
            .on_done = on_done,
    };
    struct s3_client *s3 = core_s3(l->core, e);

    l->question = s3 ? s3_request_start(s3, &request, e) : NULL;
    return l->question ? 0 : -1;
}

/* ---- may we see locks? ---- */

static void end_with(struct locks *l, const struct err *err)
{
    l->spec.on_done(l->spec.ctx, err);
}

static void on_sampled(void *ctx, const struct s3_response *res, const struct err *err);

/* Asks the object for its retention, or its legal hold; when there is none left to ask, none is there to be locked. */
static void sample(struct locks *l)
{
    struct err e = ERR_INIT;

    if (l->sample >= l->spec.n)
        look_at_more(l);
    else if (ask(l, l->spec.name(l->spec.ctx, l->sample), l->has_retention ? "legal-hold" : "retention", on_sampled,
                     &e) < 0)
        end_with(l, &e);
}

static void on_sampled(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct locks *l = ctx;

    (void)res;
    l->question = NULL;
    if (!err && l->has_retention) {
        look_at_more(l);
    } else if (!err) {
        l->has_retention = true;
        sample(l);
    } else if (err->kind == ERR_NOT_FOUND) { /* that object has gone meanwhile */
        l->sample++;
        l->has_retention = false;
        sample(l);
    } else if (knows_no_locks(l, err) && !l->is_configured) {
        end_with(l, NULL);
    } else if (knows_no_locks(l, err)) { /* then a HEAD is all there is */
        look_at_more(l);
    } else {
        end_with(l, err);
    }
}

static void on_configuration(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct locks *l = ctx;

    (void)res;
    l->question = NULL;
    l->is_configured = !err;
    if (!err || is_refused(err))
        sample(l);
    else
        end_with(l, knows_no_locks(l, err) ? NULL : err);
}

struct locks *locks_start(struct core *core, const struct locks_spec *spec, struct err *e)
{
    _cleanup_(cleanup_locks_free) struct locks *l = calloc(1, sizeof(*l));

    if (!l) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    l->core = core;
    l->spec = *spec;
    l->lanes = (struct lanes){.owner = l, .width = AT_A_TIME, .start = head, .cancel = s3_request_cancel_work};
    lanes_begin(&l->lanes, spec->n);
    return ask(l, NULL, "object-lock", on_configuration, e) < 0 ? NULL : TAKE_PTR(l);
}

void locks_free(struct locks *l)
{
    if (!l)
        return;
    if (l->question)
        s3_request_cancel(l->question);
    lanes_cancel(&l->lanes);
    free(l);
}
