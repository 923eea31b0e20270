#include "job/bucket/origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/bucket/dump_metadata.h"
#include "s3/object.h"

struct origin {
    struct core *core;
    struct origin_spec spec;
    char name[NAME_TEXT_MAX];
    char etag[S3_ETAG_MAX];
    uint64_t size;
    uint64_t cluster;
    struct s3_request *request;
    uv_timer_t timer; /* brings what is known already */
};

static struct known_object object_of(const struct origin *o)
{
    return (struct known_object){.name = o->name, .etag = o->etag, .size = o->size};
}

/* The newest of those that were made by somebody who has our key, as far as is known. */
static const struct catalog_backup *choose(const struct origin_spec *spec)
{
    for (size_t i = 0; i < catalog_list_count(spec->list); i++) {
        const struct catalog_backup *b = catalog_list_at(spec->list, i);

        if (catalog_backup_counts(b) && strcmp(b->name, spec->but) != 0)
            return b;
    }
    return NULL;
}

static void tell(uv_timer_t *timer)
{
    struct origin *o = timer->data;

    o->spec.on_done(o->spec.ctx, o->name, o->cluster);
}

static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct origin *o = ctx;
    const struct known_object object = object_of(o);

    o->request = NULL;
    if (!err) {
        o->cluster = dump_metadata_cluster(res);
        known_saw_cluster(core_known(o->core), &object, o->cluster);
    }
    o->spec.on_done(o->spec.ctx, o->name, o->cluster);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct origin *o = h->data;
    struct core *core = o->core;

    free(o);
    core_release(core);
}

static bool ask(struct origin *o)
{
    const struct known_object object = object_of(o);
    const struct known_facts facts = known_find(core_known(o->core), &object);
    struct err ignored = ERR_INIT;
    struct s3_client *s3;

    if (facts.has_cluster) {
        o->cluster = facts.cluster;
        return uv_timer_start(&o->timer, tell, 0, 0) == 0;
    }
    s3 = core_s3(o->core, &ignored);
    o->request = s3 ? s3_head(s3, o->name, o, on_headed, &ignored) : NULL;
    return o->request != NULL;
}

struct origin *origin_start(struct core *core, const struct origin_spec *spec)
{
    const struct catalog_backup *b = choose(spec);
    struct origin *o = b ? calloc(1, sizeof(*o)) : NULL;

    if (!o)
        return NULL;
    o->core = core;
    o->spec = *spec;
    o->spec.list = NULL;
    o->spec.but = NULL;
    (void)snprintf(o->name, sizeof(o->name), "%s", b->name);
    (void)snprintf(o->etag, sizeof(o->etag), "%s", b->etag);
    o->size = b->size;
    o->timer.data = o;
    core_acquire(core);
    (void)uv_timer_init(core_loop(core), &o->timer);
    if (ask(o))
        return o;
    origin_free(o);
    return NULL;
}

bool origin_differs(const struct core *core, const struct origin_of *read, const struct origin_of *other,
        char note[ORIGIN_NOTE_MAX])
{
    uint64_t own = known_own_cluster(core_known(core));

    if (read->cluster && own && read->cluster != own) {
        (void)snprintf(note, ORIGIN_NOTE_MAX,
                "%.300s is of etcd cluster %" PRIx64 "; the backups that are made here are of %" PRIx64, read->name,
                read->cluster, own);
        return true;
    }
    (void)snprintf(note, ORIGIN_NOTE_MAX,
            "%.300s is of etcd cluster %" PRIx64 ", and %.300s, the newest beside it, of %" PRIx64
            ": make sure that it is the one you mean; -t TIME asks for another",
            read->name, read->cluster, other->name, other->cluster);
    return read->cluster && !own && other->cluster && other->cluster != read->cluster;
}

void origin_free(struct origin *o)
{
    if (!o)
        return;
    if (o->request)
        s3_request_cancel(TAKE_PTR(o->request));
    uv_close((uv_handle_t *)&o->timer, on_timer_closed);
}
