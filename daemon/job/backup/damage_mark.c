#include "job/backup/damage_mark.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "catalog/name.h"
#include "job/bucket/bad_mark.h"
#include "s3/object.h"

struct damage_mark {
    struct core *core;
    char dump[NAME_TEXT_MAX];
    struct s3_request *request;
    void *ctx;
    void (*on_done)(void *ctx, const struct err *err);
};

CLEANUP_FUNC(struct damage_mark *, damage_mark_free)

static void on_put(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct damage_mark *m = ctx;

    (void)res;
    m->request = NULL;
    m->on_done(m->ctx, err);
}

/* For this daemon it is known even if the mark cannot be put. */
static void remember(struct damage_mark *m, const struct catalog_backup *backup)
{
    const struct known_object object = {.name = backup->name, .etag = backup->etag, .size = backup->size};

    known_verified(core_known(m->core), &object, timestamp_now(), KNOWN_BAD);
}

static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct damage_mark *m = ctx;
    struct err e = ERR_INIT;
    struct catalog_backup backup = {.name = m->dump};
    struct bad_mark_spec spec = {.backup = &backup, .is_bad = true, .ctx = m, .on_done = on_put};

    m->request = NULL;
    if (err) {
        m->on_done(m->ctx, err);
        return;
    }
    backup.etag = res->etag;
    backup.size = res->content_length;
    remember(m, &backup);
    m->request = bad_mark_set(m->core, &spec, &e);
    if (!m->request)
        m->on_done(m->ctx, &e);
}

struct damage_mark *damage_mark_put(struct core *core, const char *dump, void *ctx,
        void (*on_done)(void *ctx, const struct err *err), struct err *e)
{
    _cleanup_(cleanup_damage_mark_free) struct damage_mark *m = calloc(1, sizeof(*m));
    struct s3_client *s3 = core_s3(core, e);

    if (!s3)
        return NULL;
    if (!m) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    m->core = core;
    m->ctx = ctx;
    m->on_done = on_done;
    (void)snprintf(m->dump, sizeof(m->dump), "%s", dump);
    m->request = s3_head(s3, m->dump, m, on_headed, e);
    return m->request ? TAKE_PTR(m) : NULL;
}

void damage_mark_free(struct damage_mark *m)
{
    if (!m)
        return;
    if (m->request)
        s3_request_cancel(m->request);
    free(m);
}
