#include "job/look/live.h"

#include <stdlib.h>

#include "base/cleanup.h"

enum { PREFIX_MAX = 1 << 20 };

struct live {
    struct live_spec spec;
    struct buf prefix;
    struct etcd_session *session;
    struct etcd_range *range; /* once the session is ready */
    bool is_over;             /* on_done was called */
};

static void finish(struct live *l, int64_t revision, const struct err *err)
{
    if (l->is_over)
        return;
    l->is_over = true;
    l->spec.on_done(l->spec.ctx, revision, err);
}

static void on_key(void *ctx, const struct etcd_messages_key *key)
{
    struct live *l = ctx;

    l->spec.on_key(l->spec.ctx, key);
}

static void on_page(void *ctx, bool has_more, int64_t revision, const struct err *err)
{
    struct live *l = ctx;

    if (err || !has_more)
        finish(l, revision, err);
    else
        l->spec.on_page(l->spec.ctx);
}

static void on_ready(void *ctx, const struct etcd_status *status)
{
    struct live *l = ctx;
    struct etcd_range_spec spec = {
            .session = l->session, .prefix = buf_bytes(&l->prefix), .ctx = l, .on_key = on_key, .on_page = on_page};
    struct err e = ERR_INIT;

    (void)status;
    l->range = etcd_range_new(&spec, &e);
    if (!l->range || etcd_range_next(l->range, &e) < 0)
        finish(l, 0, &e);
}

/* What is awaited on it has been told before. */
static void on_failed(void *ctx, const struct err *err)
{
    finish(ctx, 0, err);
}

int live_next(struct live *l, struct err *e)
{
    return etcd_range_next(l->range, e);
}

struct live *live_start(struct core *core, const struct live_spec *spec, struct err *e)
{
    struct etcd_client *etcd = core_etcd(core, e);
    struct live *l = etcd ? calloc(1, sizeof(*l)) : NULL;
    struct etcd_session_spec session = {.ctx = l, .on_ready = on_ready, .on_failed = on_failed};

    if (etcd && !l)
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (!l)
        return NULL;
    l->spec = *spec;
    l->prefix = BUF_INIT(PREFIX_MAX);
    if (buf_append(&l->prefix, spec->prefix.data, spec->prefix.len, e) == 0)
        l->session = etcd_session_open(etcd, &session, e);
    if (l->session)
        return l;
    live_free(l);
    return NULL;
}

void live_free(struct live *l)
{
    if (!l)
        return;
    etcd_range_free(l->range);
    etcd_session_close(l->session);
    buf_reset(&l->prefix);
    free(l);
}
