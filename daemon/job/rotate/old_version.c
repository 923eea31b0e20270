#include "job/rotate/old_version.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "s3/object.h"
#include "seal/key.h"

struct old_version {
    struct core *core;
    struct old_version_spec spec;
    struct s3_request *request;
    uint8_t old[KEY_WRAPPED_LEN]; /* as the old version holds it. No secret waits here: locked memory is scarce. */
};

CLEANUP_FUNC(struct old_version *, old_version_free)

static void end_with(struct old_version *v, enum old_version_outcome outcome, const struct err *err)
{
    v->spec.on_done(v->spec.ctx, outcome, err);
}

static void stays(struct old_version *v, const struct err *err, const char *doing)
{
    struct err e = *err;

    err_prepend(&e, "%s: ", doing);
    end_with(v, OLD_VERSION_STAYS, &e);
}

static int get(struct old_version *v, const char *version_id,
        void (*on_done)(void *, const struct s3_response *, const struct err *), struct err *e)
{
    struct s3_get_spec spec = {
            .key = v->spec.name, .version_id = version_id, .limit = KEY_OBJECT_LIMIT, .ctx = v, .on_done = on_done};
    struct s3_client *s3 = core_s3(v->core, e);

    v->request = s3 ? s3_get(s3, &spec, e) : NULL;
    return v->request ? 0 : -1;
}

static void on_deleted(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct old_version *v = ctx;

    (void)res;
    v->request = NULL;
    if (err)
        stays(v, err, "deleting it");
    else
        end_with(v, OLD_VERSION_PURGED, NULL);
}

static void on_current(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct old_version *v = ctx;
    _cleanup_secret_ struct secret *current = NULL, *old = NULL;
    struct s3_client *s3;
    struct err e = ERR_INIT;

    v->request = NULL;
    if (err) {
        stays(v, err, "reading the current version");
        return;
    }
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

static void on_old(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct old_version *v = ctx;
    _cleanup_secret_ struct secret *opened = NULL;
    struct err e = ERR_INIT;

    v->request = NULL;
    if (err && err->kind == ERR_NOT_FOUND) {
        end_with(v, OLD_VERSION_HARMLESS, NULL);
        return;
    }
    if (err) {
        stays(v, err, "reading it");
        return;
    }
    opened = key_unwrap(v->spec.previous, res->body, v->spec.instant, true, &e);
    if (!opened && e.kind == ERR_INTEGRITY) {
        end_with(v, OLD_VERSION_HARMLESS, NULL);
        return;
    }
    if (!opened) {
        stays(v, &e, "opening it");
        return;
    }
    (void)memcpy(v->old, res->body.data, sizeof(v->old)); /* what opens has this length */
    if (get(v, NULL, on_current, &e) < 0)
        stays(v, &e, "reading the current version");
}

struct old_version *old_version_start(struct core *core, const struct old_version_spec *spec, struct err *e)
{
    _cleanup_(cleanup_old_version_free) struct old_version *v = calloc(1, sizeof(*v));

    if (!v) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    v->core = core;
    v->spec = *spec;
    return get(v, spec->version_id, on_old, e) < 0 ? NULL : TAKE_PTR(v);
}

void old_version_free(struct old_version *v)
{
    if (!v)
        return;
    if (v->request)
        s3_request_cancel(v->request);
    free(v);
}
