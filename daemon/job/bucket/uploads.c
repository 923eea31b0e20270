#include "job/bucket/uploads.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/lanes.h"
#include "catalog/name.h"
#include "job/bucket/listing.h"

enum { AT_A_TIME = 4 };

struct unfinished {
    char *key, *upload_id;
    unsigned after; /* the number of the last part that was seen */
};

struct uploads {
    struct core *core;
    struct uploads_spec spec;
    struct s3_listing *listing;
    struct unfinished *found;
    size_t n, room;
    struct lanes lanes; /* over those */
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
    added->after = 0;
    added->key = strdup(found->key);
    added->upload_id = strdup(found->upload_id);
    return added->key && added->upload_id ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

static bool is_ours(const struct uploads *u, const char *key)
{
    int64_t instant;
    const enum name_kind kind = name_parse(core_conf(u->core)->s3.objects_prefix, key, &instant);

    return kind == NAME_DUMP || kind == NAME_CHECK;
}

static int on_unfinished(void *ctx, const struct s3_unfinished *found, struct err *e)
{
    struct uploads *u = ctx;

    if (!is_ours(u, found->key) || found->initiated >= u->spec.older_than || u->n == UPLOADS_MAX)
        return 0;
    return keep(u, found, e);
}

static void abort_more(struct uploads *u);

static void fail(struct uploads *u, const struct err *err)
{
    if (!u->failure.kind)
        u->failure = *err;
    abort_more(u);
}

static void on_aborted(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct lane *lane = ctx;
    struct uploads *u = lane->owner;

    (void)res;
    (void)lane_end(lane);
    u->aborted += !err;
    if (err)
        fail(u, err);
    else
        abort_more(u);
}

static int look_at_parts(struct lane *lane, struct err *e);

/* One that had a part lately is on its way, however long ago it began: it may be as slow as `max_bandwidth` makes it.
 */
static void on_parts(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct lane *lane = ctx;
    struct uploads *u = lane->owner;
    struct unfinished *one = &u->found[lane->index];
    struct s3_parts_page page = {.newest = 0};
    struct err e = err ? *err : ERR_INIT;
    struct s3_client *s3;

    (void)lane_end(lane);
    if (!err && s3_parts_read(res, &page, &e) == 0 && page.next && page.next <= one->after)
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "a listing of parts in which the pages do not advance");
    if (e.kind) {
        fail(u, &e); /* what may be alive stays */
        return;
    }
    if (page.newest >= u->spec.older_than) {
        abort_more(u);
        return;
    }
    if (page.next) {
        one->after = page.next;
        if (look_at_parts(lane, &e) < 0)
            fail(u, &e);
        return;
    }
    s3 = core_s3(u->core, &e);
    lane->work = s3 ? s3_abort(s3, one->key, one->upload_id, lane, on_aborted, &e) : NULL;
    if (!lane->work)
        fail(u, &e);
}

static int look_at_parts(struct lane *lane, struct err *e)
{
    struct uploads *u = lane->owner;
    const struct unfinished *one = &u->found[lane->index];
    struct s3_client *s3 = core_s3(u->core, e);

    lane->work = s3 ? s3_list_parts(s3, one->key, one->upload_id, one->after, lane, on_parts, e) : NULL;
    return lane->work ? 0 : -1;
}

static void abort_more(struct uploads *u)
{
    struct err e = ERR_INIT;
    const int at_work = lanes_go_on(&u->lanes, &e);

    if (at_work > 0)
        return;
    if (at_work < 0) {
        u->failure = e;
        lanes_cancel(&u->lanes);
    }
    u->spec.on_done(u->spec.ctx, u->aborted, u->failure.kind ? &u->failure : NULL);
}

static void on_listed(void *ctx, const struct err *err)
{
    struct uploads *u = ctx;

    u->listing = NULL;
    if (err && err->domain == ERR_DOMAIN_S3 && err->code == S3_FAULT_HIDES_UPLOADS) {
        u->spec.on_done(u->spec.ctx, 0, NULL); /* such a store removes them by itself */
        return;
    }
    if (err) {
        u->spec.on_done(u->spec.ctx, 0, err);
        return;
    }
    u->lanes = (struct lanes){.owner = u, .width = AT_A_TIME, .start = look_at_parts, .cancel = s3_request_cancel_work};
    lanes_begin(&u->lanes, u->n);
    abort_more(u);
}

struct uploads *uploads_abort(struct core *core, const struct uploads_spec *spec, struct err *e)
{
    _cleanup_(cleanup_uploads_free) struct uploads *u = calloc(1, sizeof(*u));
    const struct s3_listing_spec pages = {.ctx = u, .on_unfinished = on_unfinished, .on_done = on_listed};

    if (!u) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    u->core = core;
    u->spec = *spec;
    u->listing = listing_pages(core, s3_list_unfinished, pages, e);
    return u->listing ? TAKE_PTR(u) : NULL;
}

void uploads_free(struct uploads *u)
{
    if (!u)
        return;
    if (u->listing)
        s3_listing_cancel(u->listing);
    lanes_cancel(&u->lanes);
    for (size_t i = 0; i < u->n; i++) {
        free(u->found[i].key);
        free(u->found[i].upload_id);
    }
    free(u->found);
    free(u);
}
