#include "job/rotate/old_version.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "s3/object.h"
#include "seal/key.h"

enum { TRIES_MAX = 6, FIRST_WAIT = 100 }; /* ms, doubled with each */

struct old_version {
    struct core *core;
    struct old_version_spec spec;
    struct s3_request *request;
    uv_timer_t timer; /* before it is asked again */
    unsigned tries;
    bool is_read;                 /* the old version; then it is the current one that is asked for */
    struct err why;               /* it was not deleted */
    uint8_t old[KEY_WRAPPED_LEN]; /* as the old version holds it. No secret waits here: locked memory is scarce. */
};

static void end_with(struct old_version *v, enum old_version_outcome outcome, const struct err *err)
{
    v->spec.on_done(v->spec.ctx, outcome, 0, err);
}

static void stays(struct old_version *v, const struct err *err, const char *doing)
{
    struct err e = *err;

    err_prepend(&e, "%s: ", doing);
    end_with(v, OLD_VERSION_STAYS, &e);
}

/* ---- deleting ---- */

/* Whether it was refused because of a lock. What may not be asked for is not seen (HeadObject). */
static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct old_version *v = ctx;
    int64_t until = err ? 0 : res->legal_hold ? INT64_MAX : res->retain_until;

    v->request = NULL;
    if (until > timestamp_now())
        v->spec.on_done(v->spec.ctx, OLD_VERSION_LOCKED, until, NULL);
    else
        stays(v, &v->why, "deleting it");
}

static void look_for_lock(struct old_version *v, const struct err *why)
{
    const struct s3_param query = {.name = "versionId", .value = v->spec.version_id};
    const struct s3_request_spec spec = {
            .method = S3_HEAD, .key = v->spec.name, .query = &query, .n_query = 1, .ctx = v, .on_done = on_headed};
    struct err ignored = ERR_INIT;
    struct s3_client *s3 = core_s3(v->core, &ignored);

    v->why = *why;
    v->request = s3 ? s3_request_start(s3, &spec, &ignored) : NULL;
    if (!v->request)
        stays(v, &v->why, "deleting it");
}

static void on_deleted(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct old_version *v = ctx;

    (void)res;
    v->request = NULL;
    if (err && err->kind == ERR_AUTH)
        look_for_lock(v, err);
    else if (err)
        stays(v, err, "deleting it");
    else
        end_with(v, OLD_VERSION_PURGED, NULL);
}

/* ---- reading ---- */

static void on_read(void *ctx, const struct s3_response *res, const struct err *err);

static void get(uv_timer_t *timer)
{
    struct old_version *v = CONTAINER_OF(timer, struct old_version, timer);
    struct s3_get_spec spec = {.key = v->spec.name,
            .version_id = v->is_read ? NULL : v->spec.version_id,
            .limit = KEY_OBJECT_LIMIT,
            .ctx = v,
            .on_done = on_read};
    struct err e = ERR_INIT;
    struct s3_client *s3 = core_s3(v->core, &e);

    v->request = s3 ? s3_get(s3, &spec, &e) : NULL;
    if (!v->request)
        stays(v, &e, v->is_read ? "reading the current version" : "reading it");
}

static void get_after(struct old_version *v, uint64_t wait_ms)
{
    (void)uv_timer_start(&v->timer, get, wait_ms, 0);
}

static void take_current(struct old_version *v, const struct s3_response *res)
{
    _cleanup_secret_ struct secret *current = NULL, *old = NULL;
    struct s3_client *s3;
    struct err e = ERR_INIT;

    current = key_unwrap(v->spec.next, res->body, v->spec.instant, false, &e);
    if (!current) {
        stays(v, &e, "the current version");
        return;
    }
    old = key_unwrap(v->spec.previous, (struct bytes){v->old, sizeof(v->old)}, v->spec.instant, true, &e);
    if (!old) {
        stays(v, &e, "opening it");
        return;
    }
    if (!secret_equal(current, old)) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "it holds another data key than the current version: one of the two is not of this backup");
        end_with(v, OLD_VERSION_STAYS, &e);
        return;
    }
    s3 = core_s3(v->core, &e);
    v->request = s3 ? s3_delete_version(s3, v->spec.name, v->spec.version_id, v, on_deleted, &e) : NULL;
    if (!v->request)
        stays(v, &e, "deleting it");
}

/* The previous key does not open it. */
static void take_unopened(struct old_version *v, const struct s3_response *res)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *opened = key_unwrap(v->spec.next, res->body, v->spec.instant, true, &e);

    if (!opened && e.kind != ERR_INTEGRITY)
        stays(v, &e, "opening it");
    else
        end_with(v, opened ? OLD_VERSION_HARMLESS : OLD_VERSION_OTHER, NULL);
}

static void take_old(struct old_version *v, const struct s3_response *res)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *opened = key_unwrap(v->spec.previous, res->body, v->spec.instant, true, &e);

    if (!opened && e.kind == ERR_INTEGRITY) {
        take_unopened(v, res);
    } else if (!opened) {
        stays(v, &e, "opening it");
    } else {
        (void)memcpy(v->old, res->body.data, sizeof(v->old)); /* what opens has this length */
        v->is_read = true;
        v->tries = 0;
        get_after(v, 0);
    }
}

static void on_read(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct old_version *v = ctx;

    v->request = NULL;
    if (err && err->kind == ERR_NOT_FOUND && ++v->tries < TRIES_MAX)
        get_after(v, (uint64_t)FIRST_WAIT << (v->tries - 1));
    else if (err && err->kind == ERR_NOT_FOUND && !v->is_read)
        end_with(v, OLD_VERSION_HARMLESS, NULL);
    else if (err)
        stays(v, err, v->is_read ? "reading the current version" : "reading it");
    else if (v->is_read)
        take_current(v, res);
    else
        take_old(v, res);
}

struct old_version *old_version_start(struct core *core, const struct old_version_spec *spec, struct err *e)
{
    struct old_version *v = calloc(1, sizeof(*v));

    if (!v) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    core_acquire(core);
    v->core = core;
    v->spec = *spec;
    (void)uv_timer_init(core_loop(core), &v->timer);
    get_after(v, 0);
    return v;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct old_version *v = CONTAINER_OF((uv_timer_t *)h, struct old_version, timer);
    struct core *core = v->core;

    free(v);
    core_release(core);
}

void old_version_free(struct old_version *v)
{
    if (!v)
        return;
    if (v->request)
        s3_request_cancel(TAKE_PTR(v->request));
    uv_close((uv_handle_t *)&v->timer, on_timer_closed);
}
