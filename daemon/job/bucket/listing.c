#include "job/bucket/listing.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "catalog/name.h"
#include "job/bucket/retry_note.h"

struct listing {
    struct core *core;
    struct s3_listing *pages;
    struct catalog_list *list;
    struct listing_spec spec;
};

CLEANUP_FUNC(struct listing *, listing_free)

static int on_object(void *ctx, const struct s3_object *o, struct err *e)
{
    struct listing *l = ctx;

    const struct catalog_object object = {
            .name = o->key, .etag = o->etag, .size = o->size, .last_modified = o->last_modified};

    return catalog_list_add(l->list, &object, e);
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    struct listing *l = ctx;
    char note[RETRY_NOTE_MAX];

    if (l->spec.on_note)
        l->spec.on_note(l->spec.ctx, retry_note(retry, note));
}

/* A mark may have been refused by the store. */
static void doubt(struct listing *l)
{
    catalog_list_doubt_future(l->list, timestamp_now() + CLOCK_SKEW_MAX);
    for (size_t i = 0; i < catalog_list_count(l->list); i++) {
        const struct catalog_backup *b = catalog_list_at(l->list, i);
        const struct known_object object = {.name = b->name, .etag = b->etag, .size = b->size};
        const struct known_facts facts = known_find(core_known(l->core), &object);

        if (facts.verified && facts.verdict == KNOWN_BAD)
            catalog_list_doubt(l->list, i, CATALOG_BAD);
    }
}

static void on_done(void *ctx, const struct err *err)
{
    struct listing *l = ctx;

    l->pages = NULL;
    if (err) {
        struct err e = *err;

        err_prepend(&e, "listing the bucket: ");
        l->spec.on_done(l->spec.ctx, NULL, &e);
        return;
    }
    catalog_list_finish(l->list);
    doubt(l);
    l->spec.on_done(l->spec.ctx, TAKE_PTR(l->list), NULL);
}

struct s3_listing *listing_pages(struct core *core, listing_kind *start, struct s3_listing_spec spec, struct err *e)
{
    struct s3_client *s3 = core_s3(core, e);
    char prefix[NAME_TEXT_MAX];

    spec.prefix = prefix;
    if (!s3 || name_list_prefix(prefix, core_conf(core)->s3.objects_prefix, e) < 0)
        return NULL;
    return start(s3, &spec, e);
}

struct listing *listing_start(struct core *core, const struct listing_spec *spec, struct err *e)
{
    _cleanup_(cleanup_listing_free) struct listing *l = calloc(1, sizeof(*l));
    const struct s3_listing_spec pages = {.ctx = l, .on_object = on_object, .on_retry = on_retry, .on_done = on_done};

    if (!l) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    l->core = core;
    l->spec = *spec;
    l->list = catalog_list_new(core_conf(core)->s3.objects_prefix, e);
    if (!l->list || !(l->pages = listing_pages(core, s3_list_objects, pages, e)))
        return NULL;
    if (conf_encrypts(core_conf(core)))
        catalog_list_expect_keys(l->list);
    return TAKE_PTR(l);
}

void listing_free(struct listing *l)
{
    if (!l)
        return;
    if (l->pages)
        s3_listing_cancel(l->pages);
    catalog_list_free(l->list);
    free(l);
}
