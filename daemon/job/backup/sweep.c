#include "job/backup/sweep.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "core/leftovers.h"
#include "s3/object.h"

struct sweep {
    struct core *core;
    struct s3_request *request;
    void *ctx;
    void (*on_swept)(void *ctx);
};

static bool abort_first(struct sweep *s);

static void on_aborted(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct sweep *s = ctx;

    (void)res;
    s->request = NULL;
    if (!err)
        leftovers_drop_first(core_leftovers(s->core));
    if (err || !abort_first(s))
        s->on_swept(s->ctx);
}

/* Whether there is one, and it is under way. */
static bool abort_first(struct sweep *s)
{
    const char *key, *upload_id;
    struct err e = ERR_INIT;
    struct s3_client *s3 = core_s3(s->core, &e);

    if (s3 && leftovers_first(core_leftovers(s->core), &key, &upload_id))
        s->request = s3_abort(s3, key, upload_id, s, on_aborted, &e);
    return s->request != NULL;
}

CLEANUP_FUNC(struct sweep *, sweep_free)

struct sweep *sweep_start(struct core *core, void *ctx, void (*on_swept)(void *ctx))
{
    _cleanup_(cleanup_sweep_free) struct sweep *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    *s = (struct sweep){.core = core, .ctx = ctx, .on_swept = on_swept};
    return abort_first(s) ? TAKE_PTR(s) : NULL;
}

void sweep_free(struct sweep *s)
{
    if (!s)
        return;
    if (s->request)
        s3_request_cancel(s->request);
    free(s);
}
