#include "job/rotate/underway.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "catalog/name.h"
#include "job/bucket/listing.h"

enum { UPLOAD_AGE = 24 * 3600 }; /* s; an older upload is what a crash has left */

struct underway {
    struct core *core;
    struct underway_spec spec;
    struct s3_listing *listing;
    char upload[NAME_TEXT_MAX]; /* "": none */
    int64_t began;
};

CLEANUP_FUNC(struct underway *, underway_free)

static int on_unfinished(void *ctx, const struct s3_unfinished *found, struct err *e)
{
    struct underway *u = ctx;
    int64_t now = timestamp_now() + s3_client_clock_skew(core_s3(u->core, e)), instant;
    char key[NAME_TEXT_MAX];

    if (name_parse(core_conf(u->core)->s3.objects_prefix, found->key, &instant) != NAME_DUMP ||
            found->initiated < now - UPLOAD_AGE)
        return 0;
    name_key_of_dump(key, found->key);
    if (u->spec.is_known(u->spec.ctx, key))
        return 0;
    (void)snprintf(u->upload, sizeof(u->upload), "%s", found->key);
    u->began = found->initiated;
    return 0;
}

static void on_listed(void *ctx, const struct err *err)
{
    struct underway *u = ctx;

    u->listing = NULL;
    u->spec.on_done(u->spec.ctx, u->upload[0] ? u->upload : NULL, u->began, err);
}

struct underway *underway_start(struct core *core, const struct underway_spec *spec, struct err *e)
{
    _cleanup_(cleanup_underway_free) struct underway *u = calloc(1, sizeof(*u));
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

void underway_free(struct underway *u)
{
    if (!u)
        return;
    if (u->listing)
        s3_listing_cancel(u->listing);
    free(u);
}
