/*
 * step() looks at everything and does what can be done; it may be called at any time from the loop, and does nothing
 * when there is nothing to do.
 */
#include "s3/upload_parts.h"

#include <assert.h>
#include <inttypes.h>

#include "s3/spool.h"
#include "s3/upload_buffers.h"

/* The spool leaves this much of a file system to others, which may be etcd itself. */
#define SPOOL_KEEP_FREE ((uint64_t)1 << 30)
enum { SPOOL_KEEP_FREE_PERCENT = 5 };

struct upload_parts {
    struct upload_store *store;
    unsigned in_flight;
    uint64_t rate;
    uint64_t patience_ms;
    void *ctx;
    void (*on_room)(void *ctx);
    void (*on_stored)(void *ctx);
    void (*on_failed)(void *ctx, const struct err *err);

    const char *id; /* NULL: not known yet */
    bool stopped;   /* takes nothing and calls nobody any more */
    struct parts *table;
    struct upload_buffers buffers; /* in_flight + 2 of them; the last one is for the spool */
    struct spool *spool;           /* or NULL */
    bool spooling;                 /* patience is used up */
    bool may_arrive;

    bool at_most;  /* fewer bytes than were announced may come */
    bool ended;    /* by the owner */
    uint64_t want; /* bytes that the owner waits for; 0: it does not wait */
    uint64_t want_since;
    uint64_t blocked_ms; /* without the wait that goes on */

    uv_timer_t kick;
    uv_timer_t timer; /* until patience is used up */
    unsigned open_handles;
    bool freed; /* by the owner: waits for libuv and the thread pool */
};

/* ---- the end ---- */

static void destroy(struct upload_parts *p)
{
    upload_buffers_reset(&p->buffers);
    spool_free(p->spool);
    parts_free(p->table);
    free(p);
}

static void destroy_when_idle(struct upload_parts *p)
{
    if (p->freed && p->open_handles == 0 && !(p->spool && spool_is_busy(p->spool)))
        destroy(p);
}

static uint64_t now_ms(const struct upload_parts *p)
{
    return uv_now(upload_store_loop(p->store));
}

static uint64_t blocked_ms(const struct upload_parts *p)
{
    return p->blocked_ms + (p->want ? now_ms(p) - p->want_since : 0);
}

void upload_parts_give_up(struct upload_parts *p)
{
    if (p->stopped)
        return;
    p->stopped = true;
    for (unsigned i = 0; i < p->buffers.n; i++)
        if (p->buffers.list[i].place == BUFFER_SENDING) {
            upload_call_cancel(&p->buffers.list[i].call);
            p->buffers.list[i].place = BUFFER_FREE;
            p->may_arrive = true;
        }
    p->blocked_ms = blocked_ms(p);
    p->want = 0;
    (void)uv_timer_stop(&p->timer);
    (void)uv_timer_stop(&p->kick);
    upload_buffers_release(&p->buffers);
}

void upload_parts_stop(struct upload_parts *p)
{
    upload_parts_give_up(p);
    upload_buffers_take_back(&p->buffers);
    upload_buffers_release(&p->buffers);
}

/* Nothing may be touched after it. */
static void fail(struct upload_parts *p, const struct err *err)
{
    upload_parts_give_up(p);
    p->on_failed(p->ctx, err);
}

static void step(struct upload_parts *p);

static void on_kick(uv_timer_t *timer)
{
    step(CONTAINER_OF(timer, struct upload_parts, kick));
}

static void kick(struct upload_parts *p)
{
    if (!p->stopped)
        (void)uv_timer_start(&p->kick, on_kick, 0, 0); /* fails only on a closing handle */
}

/* ---- UploadPart ---- */

static void on_part_stored(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_buffer *b = ctx;
    struct upload_parts *p = b->owner;
    struct err e = err ? *err : ERR_INIT;

    b->place = BUFFER_FREE;
    /* An attempt that got no answer may be stored yet, whatever became of those after it. */
    if (err || res->attempts > 1)
        p->may_arrive = true;
    if (err || parts_set_stored(p->table, b->number, res->etag, &e) < 0) {
        err_prepend(&e, "uploading part %" PRIu32 ": ", b->number);
        fail(p, &e);
        return;
    }
    step(p);
}

static int send_part(struct upload_parts *p, struct upload_buffer *b, struct err *e)
{
    char number[16];
    const struct s3_request_spec request = {
            .method = S3_PUT,
            .query = (struct s3_param[]){{"partNumber", number}, {"uploadId", p->id}},
            .n_query = 2,
            .body = {b->data, b->len},
            .send_rate = p->rate,
    };

    (void)snprintf(number, sizeof(number), "%" PRIu32, b->number);
    b->call = (struct upload_call){.store = p->store, .ctx = b, .on_done = on_part_stored};
    if (upload_call_start(&b->call, request, e) < 0)
        return err_prepend(e, "uploading part %" PRIu32 ": ", b->number);
    b->place = BUFFER_SENDING;
    return 0;
}

static bool may_send(const struct upload_parts *p)
{
    return p->id &&
           upload_buffers_count(&p->buffers, BUFFER_SENDING) + upload_buffers_count(&p->buffers, BUFFER_LOADING) <
                   p->in_flight;
}

static int send_full(struct upload_parts *p, struct err *e)
{
    struct upload_buffer *b;

    while (may_send(p) && (b = upload_buffers_first_full(&p->buffers)))
        if (send_part(p, b, e) < 0)
            return -1;
    return 0;
}

/* ---- the spool ---- */

/* An operation of the spool has ended. False when nothing is wanted any more, and nothing may be touched. */
static bool is_wanted_still(struct upload_buffer *b)
{
    struct upload_parts *p = b->owner;

    b->place = BUFFER_FREE;
    if (!p->stopped)
        return true;
    upload_buffers_release(&p->buffers);
    destroy_when_idle(p);
    return false;
}

static void on_spooled(void *ctx, const struct err *err)
{
    struct upload_buffer *b = ctx;

    if (!is_wanted_still(b))
        return;
    /* Refused: it stays in memory, and the owner waits. */
    b->place = err ? BUFFER_FULL : BUFFER_FREE;
    step(b->owner);
}

static void on_loaded(void *ctx, const struct err *err)
{
    struct upload_buffer *b = ctx;
    struct err e;

    if (!is_wanted_still(b))
        return;
    if (err) {
        e = *err;
        fail(b->owner, &e);
        return;
    }
    b->place = BUFFER_FULL;
    step(b->owner);
}

/*
 * Takes a part back when S3 can take it, else gives one away when the owner has no buffer left. While a request is free
 * no buffer is full (send_full has seen to that), so a free one for the part taken back always remains: of
 * in_flight + 1 at most in_flight - 1 are sent and one is being filled.
 */
static int spool_step(struct upload_parts *p, struct err *e)
{
    struct upload_buffer *b;
    uint32_t number;
    size_t len;

    if (!p->spool || spool_is_busy(p->spool))
        return 0;
    number = spool_first(p->spool, &len);
    if (number && may_send(p)) {
        if (upload_buffers_take(&p->buffers, &b, e) < 0)
            return -1;
        assert(b);
        b->place = BUFFER_LOADING;
        b->number = number;
        b->len = len;
        spool_read(p->spool, number, b->data, on_loaded, b);
        return 0;
    }
    b = upload_buffers_first_full(&p->buffers);
    if (p->spooling && p->buffers.written < parts_size(p->table) && b &&
            upload_buffers_count(&p->buffers, BUFFER_FREE) == 0 && spool_takes(p->spool, b->len)) {
        b->place = BUFFER_SPOOLING;
        spool_write(p->spool, b->number, (struct bytes){b->data, b->len}, on_spooled, b);
    }
    return 0;
}

/* ---- the owner ---- */

uint64_t upload_parts_room(const struct upload_parts *p)
{
    return p->stopped ? 0 : upload_buffers_room(&p->buffers, p->table);
}

void upload_parts_want(struct upload_parts *p, uint64_t bytes)
{
    const uint64_t part_size = parts_part_size(p->table);

    if (p->stopped)
        return;
    if (!p->want)
        p->want_since = now_ms(p);
    p->want = bytes < part_size ? bytes : part_size;
    kick(p);
}

static bool has_wanted_room(const struct upload_parts *p)
{
    return upload_parts_room(p) >= p->want;
}

static void on_patience_over(uv_timer_t *timer)
{
    step(CONTAINER_OF(timer, struct upload_parts, timer));
}

/* While the owner waits, and the spool is not in use yet, there is a moment from which it is. */
static void check_patience(struct upload_parts *p)
{
    const uint64_t blocked = blocked_ms(p);

    if (!p->spool || p->spooling || !p->want || has_wanted_room(p))
        return;
    p->spooling = blocked >= p->patience_ms;
    if (p->spooling)
        p->buffers.usable = p->buffers.n;
    else
        (void)uv_timer_start(&p->timer, on_patience_over, p->patience_ms - blocked, 0);
}

static void tell_room(struct upload_parts *p)
{
    p->blocked_ms = blocked_ms(p);
    p->want = 0;
    (void)uv_timer_stop(&p->timer);
    p->on_room(p->ctx);
}

static void step(struct upload_parts *p)
{
    struct err e;

    if (p->stopped)
        return;
    check_patience(p);
    if (send_full(p, &e) < 0 || spool_step(p, &e) < 0) {
        fail(p, &e);
    } else if (p->ended && parts_complete(p->table)) {
        upload_parts_stop(p);
        p->on_stored(p->ctx);
    } else if (p->want && has_wanted_room(p)) {
        tell_room(p);
    }
}

uint8_t *upload_parts_lend(struct upload_parts *p, size_t len)
{
    return p->stopped ? NULL : upload_buffers_lend(&p->buffers, p->table, len);
}

int upload_parts_write(struct upload_parts *p, struct bytes bytes, struct err *e)
{
    if (p->stopped)
        return err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "the upload has failed before");
    if (bytes.len > parts_size(p->table) - p->buffers.written)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "more bytes than the %" PRIu64 " that were announced",
                parts_size(p->table));
    if (upload_buffers_write(&p->buffers, p->table, bytes, e) < 0)
        return -1;
    kick(p);
    return 0;
}

int upload_parts_end(struct upload_parts *p, struct err *e)
{
    if (p->stopped)
        return err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "the upload has failed before");
    if (p->buffers.written < (p->at_most ? 1 : parts_size(p->table)))
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "ended after %" PRIu64 " of the %" PRIu64 " bytes that were announced", p->buffers.written,
                parts_size(p->table));
    parts_shorten(p->table, p->buffers.written);
    upload_buffers_end(&p->buffers);
    p->ended = true;
    kick(p);
    return 0;
}

void upload_parts_begin(struct upload_parts *p, const char *id)
{
    p->id = id;
    kick(p);
}

void upload_parts_hurry(struct upload_parts *p)
{
    for (unsigned i = 0; i < p->buffers.n; i++)
        upload_call_hurry(&p->buffers.list[i].call);
}

bool upload_parts_may_arrive(const struct upload_parts *p)
{
    return p->may_arrive;
}

const struct parts *upload_parts_table(const struct upload_parts *p)
{
    return p->table;
}

void upload_parts_get_stats(const struct upload_parts *p, struct s3_upload_stats *out)
{
    out->written = p->buffers.written;
    out->stored = parts_stored(p->table);
    out->in_spool = p->spool ? spool_waiting(p->spool) : 0;
    out->spooled = p->spool ? spool_total(p->spool) : 0;
    out->blocked_ms = blocked_ms(p);
    out->part_size = parts_part_size(p->table);
    out->spool_err = p->spool ? spool_why(p->spool) : NULL;
}

/* ---- the beginning, and what remains after the end ---- */

static struct spool *make_spool(const struct upload_parts *p, const struct s3_upload_spec *spec, struct err *e)
{
    const uint64_t fitting = spec->spool_limit / parts_part_size(p->table) + 1;
    const uint32_t count = parts_count(p->table);

    return spool_new(
            &(struct spool_spec){
                    .loop = upload_store_loop(p->store),
                    .dir = spec->spool_dir,
                    .slot_size = p->buffers.size,
                    .max_parts = fitting < count ? (uint32_t)fitting : count,
                    .limit = spec->spool_limit,
                    .keep_free = SPOOL_KEEP_FREE,
                    .keep_free_percent = SPOOL_KEEP_FREE_PERCENT,
            },
            e);
}

/* Half of it when it fails. */
static int fill_in(struct upload_parts *p, const struct upload_parts_spec *spec, struct err *e)
{
    p->store = spec->store;
    p->in_flight = spec->spec->rate ? 1 : spec->spec->parts_in_flight;
    p->rate = spec->spec->rate;
    p->at_most = spec->spec->at_most;
    p->patience_ms = spec->spec->patience_ms;
    p->ctx = spec->ctx;
    p->on_room = spec->on_room;
    p->on_stored = spec->on_stored;
    p->on_failed = spec->on_failed;
    p->table = parts_new(spec->spec->size, spec->part_size, e);
    /* An object smaller than a part needs no more than itself. */
    if (!p->table || upload_buffers_init(&p->buffers, p->in_flight + 2, parts_len(p->table, 1), e) < 0)
        return -1;
    p->buffers.usable = p->in_flight + 1;
    for (unsigned i = 0; i < p->buffers.n; i++)
        p->buffers.list[i].owner = p;
    if (spec->spec->spool_dir && !(p->spool = make_spool(p, spec->spec, e)))
        return -1;
    return 0;
}

struct upload_parts *upload_parts_new(const struct upload_parts_spec *spec, struct err *e)
{
    struct upload_parts *p = calloc(1, sizeof(*p));

    if (!p) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload");
        return NULL;
    }
    if (fill_in(p, spec, e) < 0) {
        destroy(p);
        return NULL;
    }
    (void)uv_timer_init(upload_store_loop(p->store), &p->kick);
    (void)uv_timer_init(upload_store_loop(p->store), &p->timer);
    p->open_handles = 2;
    return p;
}

static void on_closed(uv_handle_t *handle)
{
    struct upload_parts *p = handle->data;

    p->open_handles--;
    destroy_when_idle(p);
}

void upload_parts_free(struct upload_parts *p)
{
    if (!p)
        return;
    upload_parts_stop(p);
    p->freed = true;
    p->kick.data = p->timer.data = p;
    uv_close((uv_handle_t *)&p->kick, on_closed);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}
