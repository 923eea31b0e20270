#include "job/verify/contents.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/mapping.h"
#include "bolt/file.h"

enum { STRETCH = 32 << 20 /* bytes between two looks at whether somebody wants it to end */ };

struct contents {
    uv_loop_t *loop;
    uv_work_t work;
    struct contents_spec spec;
    bool is_cancelled;
    struct mapping mapping;
    struct bolt_file file;
    struct keyspace_hasher *hasher;
    int more; /* of its last step */
    struct err err;
};

static void end(struct contents *c)
{
    struct contents_spec spec = c->spec;
    struct keyspace_hash hash = {.hash = 0};
    struct err e = c->err;

    if (c->is_cancelled)
        err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    else if (e.kind == ERR_NONE)
        hash = *keyspace_hasher_result(c->hasher);
    keyspace_hasher_free(c->hasher);
    mapping_close(&c->mapping);
    free(c);
    spec.on_read(spec.ctx, e.kind == ERR_NONE ? &hash : NULL, e.kind == ERR_NONE ? NULL : &e);
}

/* Under the guard of the mapping. */
static void read_on(void *ctx)
{
    struct contents *c = ctx;

    c->more = -1;
    if (!c->hasher && bolt_file_open(&c->file, mapping_bytes(&c->mapping), &c->err) == 0)
        c->hasher = keyspace_hasher_new(&c->file, 0, CONTENTS_MEMORY_MAX, &c->err);
    if (c->hasher)
        c->more = keyspace_hasher_step(c->hasher, STRETCH, &c->err);
}

/* On a thread of the pool. */
static void work_on(uv_work_t *work)
{
    struct contents *c = CONTAINER_OF(work, struct contents, work);

    if (!c->mapping.at && mapping_open(&c->mapping, c->spec.fd, &c->err) < 0)
        return;
    (void)mapping_read(&c->mapping, read_on, c, &c->err);
}

static void after_work(uv_work_t *work, int status)
{
    struct contents *c = CONTAINER_OF(work, struct contents, work);

    (void)status; /* never cancelled */
    if (c->err.kind == ERR_NONE && c->more > 0 && !c->is_cancelled)
        (void)uv_queue_work(c->loop, &c->work, work_on, after_work); /* fails for a NULL callback alone */
    else
        end(c);
}

struct contents *contents_start(uv_loop_t *loop, const struct contents_spec *spec, struct err *e)
{
    struct contents *c = calloc(1, sizeof(*c));

    if (!c) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    c->loop = loop;
    c->spec = *spec;
    (void)uv_queue_work(loop, &c->work, work_on, after_work);
    return c;
}

void contents_cancel(struct contents *c)
{
    c->is_cancelled = true;
}
