#include "job/restore/download.h"

#include <stdlib.h>
#include <uv.h>

#include "base/cleanup.h"
#include "job/bucket/retry_note.h"
#include "job/restore/fetch.h"
#include "job/restore/unseal_worker.h"

enum state {
    FETCHING,   /* pieces unsealed, into the target */
    COMMITTING, /* the last checks, sync, rename */
    ENDING,     /* something failed, and the thread pool is still at work */
    FINISHED,
};

enum { GETS_IN_FLIGHT = 4 };

struct download {
    struct core *core;
    struct download_spec spec;
    enum state state;
    struct fetch *fetch;
    struct unseal_worker *unseal;
    uint64_t fetched; /* bytes of the dump that have gone through */
    uv_timer_t timer; /* brings a cancellation to the loop's next turn */
    struct err failure;
};

static void advance(struct download *d);

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

/* The only end. The thread pool has nothing of ours. */
static void finish(struct download *d, const struct err *err)
{
    struct download_spec spec = d->spec;
    uint64_t written = unseal_worker_written(d->unseal);
    struct err named;

    if (err) {
        named = *err;
        err_prepend(&named, "%s: ", opened_backup_name(spec.source));
    }
    d->state = FINISHED;
    fetch_free(TAKE_PTR(d->fetch));
    unseal_worker_free(TAKE_PTR(d->unseal));
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
    spec.on_done(spec.ctx, written, err ? &named : NULL);
}

static void fail(struct download *d, const struct err *err)
{
    if (d->state >= ENDING)
        return;
    d->failure = *err;
    d->state = ENDING;
    advance(d);
}

static void on_committed(void *ctx, const struct err *err)
{
    struct download *d = ctx;

    if (err)
        fail(d, err);
    else
        finish(d, NULL);
}

static void on_piece_done(void *ctx, const struct err *err)
{
    struct download *d = ctx;
    struct err e = ERR_INIT;

    if (d->state == ENDING) {
        advance(d);
        return;
    }
    if (err) {
        fail(d, err);
        return;
    }
    d->fetched += fetch_peek(d->fetch).len;
    if (fetch_consume(d->fetch, &e) < 0) {
        fail(d, &e);
        return;
    }
    if (fetch_is_done(d->fetch))
        d->state = COMMITTING;
    d->spec.on_progress(d->spec.ctx, d->fetched);
    advance(d);
}

static void advance(struct download *d)
{
    struct bytes piece;

    if (unseal_worker_is_busy(d->unseal))
        return;
    if (d->state == ENDING)
        finish(d, &d->failure);
    else if (d->state == COMMITTING)
        unseal_worker_finish(d->unseal, d, on_committed);
    else if (d->state == FETCHING && (piece = fetch_peek(d->fetch)).len)
        unseal_worker_run(d->unseal, piece, d, on_piece_done);
}

static void on_readable(void *ctx)
{
    advance(ctx);
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    struct download *d = ctx;
    char note[RETRY_NOTE_MAX];

    if (d->state == FETCHING)
        d->spec.on_note(d->spec.ctx, retry_note(retry, note));
}

static void on_fetch_failed(void *ctx, const struct err *err)
{
    fail(ctx, err);
}

static int open_pipeline(struct download *d, struct err *e)
{
    const struct opened_backup *source = d->spec.source;
    struct unseal_worker_spec unseal = {
            .data_key = opened_backup_data_key(source),
            .size = opened_backup_size(source),
            .frames = opened_backup_frames(source),
            .target = d->spec.target,
            .skip_hash_check = d->spec.skip_hash_check,
    };
    struct fetch_spec fetch = {
            .key = opened_backup_name(source),
            .etag = opened_backup_etag(source),
            .size = opened_backup_size(source),
            .in_flight = GETS_IN_FLIGHT,
            .ctx = d,
            .on_readable = on_readable,
            .on_retry = on_retry,
            .on_failed = on_fetch_failed,
    };
    struct s3_client *s3 = core_s3(d->core, e);

    if (!s3 || !(d->unseal = unseal_worker_new(core_loop(d->core), &unseal, e)))
        return -1;
    fetch.piece = unseal_worker_piece(d->unseal);
    d->fetch = fetch_start(s3, &fetch, e);
    return d->fetch ? 0 : -1;
}

struct download *download_start(struct core *core, const struct download_spec *spec, struct err *e)
{
    struct download *d = calloc(1, sizeof(*d));

    if (!d) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    d->core = core;
    d->spec = *spec;
    if (open_pipeline(d, e) < 0) {
        err_prepend(e, "%s: ", opened_backup_name(spec->source));
        unseal_worker_free(d->unseal);
        free(d);
        return NULL;
    }
    d->timer.data = d;
    (void)uv_timer_init(core_loop(core), &d->timer);
    return d;
}

static void cancel_now(uv_timer_t *timer)
{
    struct download *d = timer->data;
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled; nothing was changed on disk");
    if (d->state < COMMITTING)
        fail(d, &e);
}

void download_cancel(struct download *d)
{
    if (d->state != FINISHED)
        (void)uv_timer_start(&d->timer, cancel_now, 0, 0);
}
