#include "restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "base/timestamp.h"
#include "fetch.h"
#include "listing.h"
#include "s3/object.h"
#include "seal/key.h"
#include "target.h"
#include "unstage.h"

enum state {
    LISTING,    /* which backups are there */
    LOOKING,    /* size and ETag of the dump */
    UNWRAPPING, /* the key object is read */
    FETCHING,   /* pieces through unstage into the target */
    COMMITTING, /* the last checks, sync, rename */
    ENDING,     /* something failed, and the thread pool is still at work */
    FINISHED,
};

static const char *const phase_names[] = {
        "listing", "listing", "unwrapping", "fetching", "syncing", "ending", "finished"};

enum { GETS_IN_FLIGHT = 4, KEY_OBJECT_LIMIT = 4096 };

struct restore {
    struct core *core;
    struct job_sink sink;
    enum state state;
    uint64_t started_ms;
    uv_timer_t timer; /* brings the start and a cancellation to the loop's next turn */
    struct restore_request request;
    struct listing *listing;
    struct s3_request *call; /* HEAD or GET of the key */
    struct secret *data_key;
    struct target *target;
    struct fetch *fetch;
    struct unstage *unstage;
    bool has_key;
    char etag[S3_ETAG_MAX];
    uint64_t size;    /* bytes of the dump */
    uint64_t fetched; /* bytes of it that have gone through */
    struct err failure;
    struct restore_result result;
};

static void advance(struct restore *r);

static void set_state(struct restore *r, enum state state)
{
    struct job_progress p = {.phase = phase_names[state], .done = r->fetched, .total = r->size};

    r->state = state;
    r->sink.progress(r->sink.ctx, &p);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct restore *r = h->data;
    struct core *core = r->core;

    free(r->request.output);
    free(r);
    core_release(core);
}

/* The only end. The thread pool has nothing of ours. */
static void finish(struct restore *r, const struct err *err)
{
    struct job_sink sink = r->sink;

    r->state = FINISHED;
    listing_free(TAKE_PTR(r->listing));
    if (r->call)
        s3_request_cancel(TAKE_PTR(r->call));
    fetch_free(TAKE_PTR(r->fetch));
    r->result.snapshot_size = r->unstage ? unstage_written(r->unstage) : 0;
    unstage_free(TAKE_PTR(r->unstage));
    target_free(TAKE_PTR(r->target));
    secret_free(TAKE_PTR(r->data_key));
    r->result.elapsed_ms = uv_now(core_loop(r->core)) - r->started_ms;
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    sink.done(sink.ctx, err ? NULL : &(struct job_result){.restore = &r->result}, err);
}

static void fail(struct restore *r, const struct err *err)
{
    if (r->state >= ENDING)
        return;
    r->failure = *err;
    if (r->result.name[0])
        err_prepend(&r->failure, "%s: ", r->result.name);
    set_state(r, ENDING);
    advance(r);
}

/* ---- pieces ---- */

static void on_committed(void *ctx, const struct err *err)
{
    struct restore *r = ctx;

    if (err)
        fail(r, err);
    else
        finish(r, NULL);
}

static void on_piece_done(void *ctx, const struct err *err)
{
    struct restore *r = ctx;
    struct err e = ERR_INIT;

    if (r->state == ENDING) {
        advance(r);
        return;
    }
    if (err) {
        fail(r, err);
        return;
    }
    r->fetched += fetch_peek(r->fetch).len;
    if (fetch_consume(r->fetch, &e) < 0) {
        fail(r, &e);
        return;
    }
    set_state(r, fetch_is_done(r->fetch) ? COMMITTING : FETCHING);
    advance(r);
}

static void advance(struct restore *r)
{
    struct bytes piece;

    if (r->unstage && unstage_is_busy(r->unstage))
        return;
    if (r->state == ENDING)
        finish(r, &r->failure);
    else if (r->state == COMMITTING)
        unstage_finish(r->unstage, r, on_committed);
    else if (r->state == FETCHING && (piece = fetch_peek(r->fetch)).len)
        unstage_run(r->unstage, piece, r, on_piece_done);
}

static void on_readable(void *ctx)
{
    advance(ctx);
}

static void on_fetch_failed(void *ctx, const struct err *err)
{
    fail(ctx, err);
}

static int open_pipeline(struct restore *r, struct err *e)
{
    struct unstage_spec unstage = {
            .data_key = r->data_key,
            .size = r->size,
            .skip_hash_check = r->request.skip_hash_check,
    };
    struct fetch_spec fetch = {
            .key = r->result.name,
            .etag = r->etag,
            .size = r->size,
            .in_flight = GETS_IN_FLIGHT,
            .ctx = r,
            .on_readable = on_readable,
            .on_failed = on_fetch_failed,
    };
    struct s3_client *s3 = core_s3(r->core, e);

    unstage.target = r->target = target_open(r->request.output, e);
    if (!s3 || !r->target || !(r->unstage = unstage_new(core_loop(r->core), &unstage, e)))
        return -1;
    fetch.piece = unstage_piece(r->unstage);
    r->fetch = fetch_start(s3, &fetch, e);
    return r->fetch ? 0 : -1;
}

static void start_fetching(struct restore *r)
{
    struct err e = ERR_INIT;

    if (open_pipeline(r, &e) < 0)
        fail(r, &e);
    else
        set_state(r, FETCHING);
}

/* ---- finding and unwrapping ---- */

static void on_key(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct restore *r = ctx;
    const struct conf *conf = core_conf(r->core);
    _cleanup_secret_ struct secret *master = NULL;
    struct err e = ERR_INIT;

    r->call = NULL;
    if (err) {
        e = *err;
        err_prepend(&e, "reading its key: ");
        fail(r, &e);
        return;
    }
    master = key_read_master(conf->encryption_key_path, &e);
    if (master)
        r->data_key = key_unwrap(master, res->body, r->result.instant, r->request.allow_renamed, &e);
    if (r->data_key)
        start_fetching(r);
    else
        fail(r, &e);
}

static int read_key(struct restore *r, struct err *e)
{
    struct s3_get_spec get = {.limit = KEY_OBJECT_LIMIT, .ctx = r, .on_done = on_key};
    char name[NAME_TEXT_MAX];
    struct s3_client *s3;

    if (!core_conf(r->core)->encryption_key_path)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "is encrypted, and encryption_key_path is not configured");
    name_key_of_dump(name, r->result.name);
    get.key = name;
    s3 = core_s3(r->core, e);
    r->call = s3 ? s3_get(s3, &get, e) : NULL;
    return r->call ? 0 : -1;
}

static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct restore *r = ctx;
    struct err e = ERR_INIT;

    r->call = NULL;
    if (err) {
        fail(r, err);
        return;
    }
    r->size = res->content_length;
    (void)snprintf(r->etag, sizeof(r->etag), "%s", res->etag);
    if (r->size == 0 || r->size == UINT64_MAX) {
        if (r->size == 0)
            err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "is empty");
        else
            err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "the store does not say how large it is");
        fail(r, &e);
        return;
    }
    set_state(r, UNWRAPPING);
    if (!r->has_key)
        start_fetching(r);
    else if (read_key(r, &e) < 0)
        fail(r, &e);
}

/* The backup asked for, or an error that helps: the nearest one, or what is wrong with it. */
static const struct catalog_backup *choose(const struct restore *r, const struct catalog_list *list, struct err *e)
{
    const struct catalog_backup *b, *nearest;
    char asked[TIMESTAMP_TEXT_MAX], text[TIMESTAMP_TEXT_MAX];

    b = r->request.latest ? catalog_list_latest(list) : catalog_list_find(list, r->request.instant);
    if (b)
        return b;
    for (size_t i = 0; !r->request.latest && i < catalog_list_count(list); i++) {
        b = catalog_list_at(list, i);
        if (b->instant == r->request.instant && b->state == CATALOG_KEY_MISSING) {
            err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "%s is there, but its key is missing: it cannot be read",
                    b->name);
            return NULL;
        }
    }
    nearest = catalog_list_nearest(list, r->request.instant);
    if (r->request.latest || !nearest)
        err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no complete backup in %s", core_bucket_url(r->core));
    else
        err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no complete backup of %s in %s; the nearest is of %s",
                timestamp_format(r->request.instant, asked), core_bucket_url(r->core),
                timestamp_format(nearest->instant, text));
    return NULL;
}

/* Who can write to the bucket but lacks the master key could take a key away and put any database in the dump's place:
 * of what is not encrypted nothing says who wrote it. */
static bool may_be_planted(const struct restore *r)
{
    return !r->has_key && core_conf(r->core)->encryption_key_path && !r->request.allow_plain;
}

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    struct restore *r = ctx;
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *list = listed;
    const struct catalog_backup *b;
    struct s3_client *s3;
    struct err e = ERR_INIT;

    if (err) {
        fail(r, err);
        return;
    }
    b = choose(r, list, &e);
    if (!b) {
        fail(r, &e);
        return;
    }
    (void)snprintf(r->result.name, sizeof(r->result.name), "%s", b->name);
    r->result.instant = b->instant;
    r->result.encrypted = r->has_key = b->has_key;
    if (may_be_planted(r)) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "is not encrypted, though encryption_key_path is configured: whoever can write to the bucket may have "
                "made it; --allow-plain accepts it");
        fail(r, &e);
        return;
    }
    set_state(r, LOOKING);
    s3 = core_s3(r->core, &e);
    r->call = s3 ? s3_head(s3, r->result.name, r, on_headed, &e) : NULL;
    if (!r->call)
        fail(r, &e);
}

static void begin(uv_timer_t *timer)
{
    struct restore *r = CONTAINER_OF(timer, struct restore, timer);
    struct listing_spec spec = {.ctx = r, .on_done = on_listed};
    struct err e = ERR_INIT;

    set_state(r, LISTING);
    r->listing = listing_start(r->core, &spec, &e);
    if (!r->listing)
        fail(r, &e);
}

struct restore *restore_start(
        struct core *core, const struct restore_request *request, const struct job_sink *sink, struct err *e)
{
    const char *output = request->output ? request->output : core_conf(core)->snapshot_path;
    struct restore *r;

    if (!output) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no file to restore to: give --output or configure snapshot_path");
        return NULL;
    }
    r = calloc(1, sizeof(*r));
    if (!r || !(r->request.output = strdup(output))) {
        free(r);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    core_acquire(core);
    r->core = core;
    r->sink = *sink;
    r->request.latest = request->latest;
    r->request.instant = request->instant;
    r->request.allow_renamed = request->allow_renamed;
    r->request.skip_hash_check = request->skip_hash_check;
    r->request.allow_plain = request->allow_plain;
    r->result.output = r->request.output;
    r->result.hash_checked = !request->skip_hash_check;
    r->started_ms = uv_now(core_loop(core));
    r->timer.data = r;
    (void)uv_timer_init(core_loop(core), &r->timer);
    (void)uv_timer_start(&r->timer, begin, 0, 0);
    return r;
}

static void cancel_now(uv_timer_t *timer)
{
    struct restore *r = CONTAINER_OF(timer, struct restore, timer);
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled; nothing was changed on disk");
    if (r->state < COMMITTING)
        fail(r, &e);
}

void restore_cancel(struct restore *r)
{
    if (r->state != FINISHED)
        (void)uv_timer_start(&r->timer, cancel_now, 0, 0);
}
