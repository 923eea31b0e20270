#include "job/backup/damage_mark.h"

#include <stdlib.h>

#include "base/timestamp.h"
#include "job/bucket/bad_mark.h"

struct damage_mark {
    struct s3_request *request;
    void *ctx;
    void (*on_done)(void *ctx, const struct err *err);
};

static void on_put(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct damage_mark *m = ctx;

    (void)res;
    m->request = NULL;
    m->on_done(m->ctx, err);
}

struct damage_mark *damage_mark_put(struct core *core, const struct damage_mark_spec *spec, struct err *e)
{
    struct damage_mark *m = calloc(1, sizeof(*m));
    const struct catalog_backup backup = {
            .name = (char *)(uintptr_t)spec->dump.name, /* only read */
            .etag = spec->dump.etag,
            .size = spec->dump.size,
    };
    struct bad_mark_spec mark = {
            .backup = &backup, .is_bad = true, .patience_ms = S3_OUTAGE_MS, .ctx = m, .on_done = on_put};

    known_verified(core_known(core), &spec->dump, timestamp_now(), KNOWN_BAD);
    if (!m) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    m->ctx = spec->ctx;
    m->on_done = spec->on_done;
    m->request = bad_mark_set(core, &mark, e);
    if (m->request)
        return m;
    free(m);
    return NULL;
}

void damage_mark_hurry(struct damage_mark *m)
{
    if (m->request)
        s3_request_hurry(m->request);
}

void damage_mark_free(struct damage_mark *m)
{
    if (!m)
        return;
    if (m->request)
        s3_request_cancel(m->request);
    free(m);
}
