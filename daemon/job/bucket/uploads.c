#include "job/bucket/uploads.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "s3/object.h"

struct unfinished {
    char *key, *upload_id;
};

struct uploads {
    struct core *core;
    struct uploads_spec spec;
    struct s3_listing *listing;
    struct s3_request *request; /* the abort that is under way */
    struct unfinished *found;
    size_t n, room, next;
    unsigned aborted;
    struct err failure; /* the first */
};

CLEANUP_FUNC(struct uploads *, uploads_free)

static int keep(struct uploads *u, const struct s3_unfinished *found, struct err *e)
{
    struct unfinished *more, *added;

    if (u->n == u->room) {
        size_t room = u->room ? 2 * u->room : 16;

        more = reallocarray(u->found, room, sizeof(*more));
        if (!more)
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        u->found = more;
        u->room = room;
    }
    added = &u->found[u->n++];
    added->key = strdup(found->key);
    added->upload_id = strdup(found->upload_id);
    return added->key && added->upload_id ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

static int on_unfinished(void *ctx, const struct s3_unfinished *found, struct err *e)
{
    struct uploads *u = ctx;
    int64_t instant;

    if (name_parse(core_conf(u->core)->s3.objects_prefix, found->key, &instant) != NAME_DUMP ||
            found->initiated >= u->spec.older_than || u->n == UPLOADS_MAX)
        return 0;
    return keep(u, found, e);
}

static void abort_next(struct uploads *u);

static void on_aborted(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct uploads *u = ctx;

    (void)res;
    u->request = NULL;
    if (!err)
        u->aborted++;
    else if (!u->failure.kind)
        u->failure = *err;
    abort_next(u);
}

static void abort_next(struct uploads *u)
{
    struct err e = ERR_INIT;
    struct s3_client *s3;

    if (u->next < u->n) {
        const struct unfinished *one = &u->found[u->next++];

        s3 = core_s3(u->core, &e);
        u->request = s3 ? s3_abort(s3, one->key, one->upload_id, u, on_aborted, &e) : NULL;
        if (u->request)
            return;
        u->failure = e;
    }
    u->spec.on_done(u->spec.ctx, u->aborted, u->failure.kind ? &u->failure : NULL);
}

static void on_listed(void *ctx, const struct err *err)
{
    struct uploads *u = ctx;

    u->listing = NULL;
    if (err)
        u->spec.on_done(u->spec.ctx, 0, err);
    else
        abort_next(u);
}

struct uploads *uploads_abort(struct core *core, const struct uploads_spec *spec, struct err *e)
{
    _cleanup_(cleanup_uploads_free) struct uploads *u = calloc(1, sizeof(*u));
    struct s3_listing_spec listing = {.ctx = u, .on_unfinished = on_unfinished, .on_done = on_listed};
    char prefix[NAME_TEXT_MAX];
    struct s3_client *s3;

    if (!u) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    u->core = core;
    u->spec = *spec;
    listing.prefix = prefix;
    s3 = core_s3(core, e);
    if (!s3 || name_list_prefix(prefix, core_conf(core)->s3.objects_prefix, e) < 0 ||
            !(u->listing = s3_list_unfinished(s3, &listing, e)))
        return NULL;
    return TAKE_PTR(u);
}

void uploads_free(struct uploads *u)
{
    if (!u)
        return;
    if (u->listing)
        s3_listing_cancel(u->listing);
    if (u->request)
        s3_request_cancel(u->request);
    for (size_t i = 0; i < u->n; i++) {
        free(u->found[i].key);
        free(u->found[i].upload_id);
    }
    free(u->found);
    free(u);
}
