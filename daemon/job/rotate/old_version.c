#include "job/rotate/old_version.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "job/keys/rewrap_mark.h"
#include "s3/object.h"
#include "seal/key.h"
#include "seal/sealed_key.h"

enum { TRIES_MAX = 6, FIRST_WAIT = 100 }; /* ms, doubled with each */

struct old_version {
    struct core *core;
    struct old_version_spec spec;
    struct s3_request *request;
    uv_timer_t timer; /* before it is asked again */
    unsigned tries;
    bool is_read;   /* the old version; then it is the current one that is asked for */
    struct err why; /* it was not deleted */
    struct buf old; /* as the old version holds it. No secret waits here: locked memory is scarce. */
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

/* The old version's data key, or that of what is in its place. */
static struct secret *open_it(const struct old_version *v, struct bytes object, bool allow_renamed, struct err *e)
{
    const struct secret *authority;
    struct secret *opened = key_opener_open(v->spec.opener, object, v->spec.instant, allow_renamed, &authority, e);

    if (opened && key_opener_is_previous(v->spec.opener, authority))
        *v->spec.is_of_previous = true;
    return opened;
}

/* Whether the current version holds that data key. Errors: it does not, or nobody can know. */
static int check_same(
        const struct old_version *v, const struct s3_response *res, const struct secret *old, struct err *e)
{
    const struct key_form *form = v->spec.form;
    _cleanup_secret_ struct secret *current = NULL;

    if (form->n && form->master &&
            sealed_key_has_proof(form->master, old, res->body, rewrap_mark_text(res, REWRAP_PROOF)))
        return 0;
    current = open_it(v, res->body, false, e);
    if (!current && e->domain == ERR_DOMAIN_KEY && e->code == KEY_FAULT_SEALED)
        return err_prepend(e, "whether the current version holds the same data key cannot be seen: ");
    if (!current)
        return err_prepend(e, "the current version: ");
    return secret_equal(current, old)
                   ? 0
                   : err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                             "it holds another data key than the current version: one of the two is not of this "
                             "backup");
}

static void take_current(struct old_version *v, const struct s3_response *res)
{
    _cleanup_secret_ struct secret *old = NULL;
    struct s3_client *s3;
    struct err e = ERR_INIT;
    bool is_so;

    if (key_form_is(v->spec.form, res->body, v->spec.instant, false, &is_so, &e) == 0 && !is_so)
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "it is not what this rotation has made");
    if (e.kind != ERR_NONE) {
        stays(v, &e, "the current version");
        return;
    }
    old = open_it(v, buf_bytes(&v->old), true, &e);
    if (!old) {
        stays(v, &e, "opening it");
        return;
    }
    if (check_same(v, res, old, &e) < 0) {
        end_with(v, OLD_VERSION_STAYS, &e);
        return;
    }
    s3 = core_s3(v->core, &e);
    v->request = s3 ? s3_delete_version(s3, v->spec.name, v->spec.version_id, v, on_deleted, &e) : NULL;
    if (!v->request)
        stays(v, &e, "deleting it");
}

static void take_old(struct old_version *v, const struct s3_response *res)
{
    _cleanup_secret_ struct secret *opened = NULL;
    struct err e = ERR_INIT;
    bool is_so = false;

    /* What damages or renames it is of no matter here: then it has not the form. */
    if (key_form_is(v->spec.form, res->body, v->spec.instant, true, &is_so, &e) < 0 && e.kind != ERR_INTEGRITY) {
        stays(v, &e, "opening it");
        return;
    }
    if (is_so) {
        end_with(v, OLD_VERSION_HARMLESS, NULL);
        return;
    }
    opened = open_it(v, res->body, true, &e);
    if (!opened && e.kind == ERR_INTEGRITY) {
        end_with(v, OLD_VERSION_OTHER, NULL);
    } else if (!opened || buf_append(&v->old, res->body.data, res->body.len, &e) < 0) {
        stays(v, &e, "opening it");
    } else {
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
    v->old = BUF_INIT(KEY_OBJECT_LIMIT);
    (void)uv_timer_init(core_loop(core), &v->timer);
    get_after(v, 0);
    return v;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct old_version *v = CONTAINER_OF((uv_timer_t *)h, struct old_version, timer);
    struct core *core = v->core;

    buf_reset(&v->old);
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
