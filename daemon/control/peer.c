#include "control/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "control.pb-c.h"
#include "control/channel.h"
#include "control/messages.h"
#include "control/requests.h"
#include "control/watch.h"
#include "control/wire.h"
#include "core/arena.h"
#include "core/log.h"
#include "job/list/inventory.h"
#include "job/look/live.h"

enum {
    LIST_BATCH = 256, /* entries written at a time */
};

enum peer_state {
    EXPECTING_HELLO,
    EXPECTING_REQUEST,
    WAITING, /* for the turn of the request that is kept */
    RUNNING, /* a job, or a listing */
    ENDING,  /* Done is in `out`; when it is written the connection ends */
    CLOSING,
};

struct peer {
    struct peer_spec spec;
    enum peer_state state;
    struct channel *channel;
    uv_timer_t timer; /* until the request is complete */
    unsigned open_handles;

    struct jobs_waiter waiter;
    struct arena *kept; /* while WAITING: what holds the request */
    const Control__Request *request;

    struct watch watch;
    bool watching;  /* jobs knows that */
    bool is_last;   /* nobody waits long for the client to read */
    bool is_for_us; /* what we watch ends with us */

    struct inventory *inventory;
    bool is_listing; /* the inventory is being made; else it is being shown */

    struct live *live;
    bool has_page; /* of its keys, which is on its way to the client */
    struct err live_trouble;
};

static void flush(struct peer *p);

/* ---- the end ---- */

static void on_part_closed(struct peer *p)
{
    if (--p->open_handles)
        return;
    p->spec.on_gone(p->spec.ctx, p);
    free(p);
}

static void on_channel_closed(void *ctx)
{
    on_part_closed(ctx);
}

static void on_timer_closed(uv_handle_t *h)
{
    on_part_closed(h->data);
}

static void drop_inventory(struct peer *p)
{
    inventory_free(TAKE_PTR(p->inventory));
    if (p->is_listing)
        core_release(p->spec.core);
    p->is_listing = false;
}

static void drop_live(struct peer *p)
{
    if (!p->live)
        return;
    live_free(TAKE_PTR(p->live));
    core_release(p->spec.core);
}

static void wait_no_more(struct peer *p)
{
    if (p->state == WAITING)
        jobs_wait_no_more(p->spec.jobs, &p->waiter);
    arena_free(TAKE_PTR(p->kept));
}

void peer_close(struct peer *p)
{
    if (p->state == CLOSING)
        return;
    wait_no_more(p);
    p->state = CLOSING;
    drop_inventory(p);
    drop_live(p);
    if (p->watching) {
        /* A backup is as good without somebody watching; nobody wants half the disk filled for him after he left. */
        if (p->is_for_us || p->spec.is_private)
            jobs_cancel(p->spec.jobs, &p->watch);
        jobs_unwatch(p->spec.jobs, &p->watch);
    }
    channel_close(p->channel);
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

/* ---- writing ---- */

/* A reply that cannot be queued ends the connection: the client sees that it was cut off. */
static void queued(void *ctx, int result)
{
    struct peer *p = ctx;

    if (result < 0)
        peer_close(p);
    else
        flush(p);
}

static void end_with(struct peer *p, const struct job_result *result, const struct err *failure)
{
    struct err e = ERR_INIT;

    if (p->state >= ENDING) { /* nonsense has ended it, and then the job that it had asked for */
        flush(p);             /* nothing is watched any more: from now on it must be read */
        return;
    }
    (void)uv_timer_stop(&p->timer);
    wait_no_more(p);
    p->state = ENDING;
    queued(p, message_done(channel_out(p->channel), p->spec.core, result, failure, &e));
}

static void write_more_entries(struct peer *p)
{
    struct known *known = core_known(p->spec.core);
    struct inventory_entry entry;
    struct err e = ERR_INIT;

    for (unsigned written = 0; written < LIST_BATCH; written++) {
        if (!inventory_next(p->inventory, &entry)) {
            drop_inventory(p);
            p->state = ENDING;
            if (p->spec.cycle)
                cycle_was_listed(p->spec.cycle);
            queued(p, message_listed(channel_out(p->channel), p->spec.core, &e));
            return;
        }
        if (message_entry(channel_out(p->channel), &entry, known, &e) < 0) {
            peer_close(p);
            return;
        }
    }
    flush(p); /* on_written brings us back */
}

static void end_live(struct peer *p, const struct err *err)
{
    drop_live(p);
    end_with(p, NULL, err);
}

/* One page at a time: etcd is asked for the next when the client has taken this one. */
static void ask_for_more_keys(struct peer *p)
{
    struct err e = ERR_INIT;

    p->has_page = false;
    if (live_next(p->live, &e) < 0)
        end_live(p, &e);
}

static void on_written(void *ctx)
{
    struct peer *p = ctx;
    bool is_empty = channel_out(p->channel)->len == 0;

    if (p->state == ENDING && is_empty)
        peer_close(p);
    else if (p->inventory && !p->is_listing && is_empty)
        write_more_entries(p);
    else if (p->live && p->has_page && is_empty)
        ask_for_more_keys(p);
    else
        flush(p);
}

/* The one who watches a job may leave it unread: he gets less to read (on_progress), and losing him might cancel it. */
static void flush(struct peer *p)
{
    if (p->state != CLOSING)
        channel_flush(p->channel, p->watching ? CHANNEL_FOR_EVER : p->is_last ? CHANNEL_LAST : CHANNEL_STALL);
}

bool peer_is_watching(const struct peer *p)
{
    return p->watching;
}

void peer_end(struct peer *p)
{
    struct err e = ERR_INIT;

    if (p->state == WAITING) {
        err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "the daemon is stopping: what was asked for has not begun");
        end_with(p, NULL, &e);
    }
    if (p->state != ENDING || !channel_is_writing(p->channel)) {
        peer_close(p);
        return;
    }
    p->is_last = true;
    channel_hurry(p->channel);
}

/* ---- how what was asked ends ---- */

static void on_done(void *ctx, const struct job_result *result, const struct err *err)
{
    struct peer *p = ctx;
    struct err e = ERR_INIT;

    p->watching = false;
    watch_tell_left_out(&p->watch);
    if (result && result->look && p->state < ENDING && channel_pass(p->channel, result->look->fd, &e) < 0)
        end_with(p, NULL, &e);
    else
        end_with(p, result, err);
}

static void on_inventory(void *ctx, const struct err *err)
{
    struct peer *p = ctx;

    p->is_listing = false;
    core_release(p->spec.core);
    if (!err) {
        write_more_entries(p);
        return;
    }
    drop_inventory(p);
    end_with(p, NULL, err);
}

/* What cannot be told ends it, but not here (live.h). */
static void on_live_key(void *ctx, const struct etcd_messages_key *key)
{
    struct peer *p = ctx;

    if (p->live_trouble.kind == ERR_NONE)
        (void)message_live_key(channel_out(p->channel), key, &p->live_trouble);
}

static void on_live_page(void *ctx)
{
    struct peer *p = ctx;

    p->has_page = true;
    if (p->live_trouble.kind != ERR_NONE)
        end_live(p, &p->live_trouble);
    else
        flush(p); /* on_written brings us back */
}

static void on_live_done(void *ctx, int64_t revision, const struct err *err)
{
    struct peer *p = ctx;
    struct err e = ERR_INIT;

    if (!err && p->live_trouble.kind != ERR_NONE)
        err = &p->live_trouble;
    if (err) {
        e = *err; /* which may be what is dropped */
        end_live(p, &e);
        return;
    }
    drop_live(p);
    p->state = ENDING;
    queued(p, message_live(channel_out(p->channel), revision, &e));
}

/* ---- what clients ask ---- */

/* What nobody asked for, nobody could know of: whoever meets it is not sent away to try again. */
static bool has_to_wait(struct peer *p, enum jobs_kind kind)
{
    const char *job = jobs_wait(p->spec.jobs, kind, &p->waiter);
    char text[64];

    if (!job)
        return false;
    p->state = WAITING;
    (void)snprintf(text, sizeof(text), "waiting for the %s that is running", job);
    watch_note(&p->watch, text, true);
    return true;
}

static int start_backup(struct peer *p, const struct job_sink *sink, struct err *e)
{
    /* What the last look at the bucket said need not be asked for. Where there is a cycle it looks behind the backup,
     * too, and says what is wrong with other keys. */
    struct backup_request request = {.tells_other_keys = !p->spec.cycle};

    if (p->spec.cycle && cycle_refuses_backup(p->spec.cycle, e))
        return -1;
    if (has_to_wait(p, JOBS_BACKUP))
        return 0;
    p->watching = jobs_start_backup(p->spec.jobs, &request, sink, e) == 0;
    return p->watching ? 0 : -1;
}

static int start_restore(struct peer *p, const Control__Restore *m, const struct job_sink *sink, struct err *e)
{
    struct restore_request request;

    if (requests_restore(m, core_conf(p->spec.core), p->spec.is_trusted, &request, e) < 0)
        return -1;
    if (has_to_wait(p, JOBS_RESTORE)) {
        brought_keys_clear(&request.brought); /* it is taken from the message again */
        return 0;
    }
    p->is_for_us = true;
    p->watching = jobs_start_restore(p->spec.jobs, &request, sink, e) == 0;
    brought_keys_clear(&request.brought);
    return p->watching ? 0 : -1;
}

static int start_verify(struct peer *p, const Control__Verify *m, const struct job_sink *sink, struct err *e)
{
    struct verify_request request;

    if (requests_verify(m, core_conf(p->spec.core), p->spec.is_trusted, &request, e) < 0)
        return -1;
    if (has_to_wait(p, JOBS_VERIFY)) {
        brought_keys_clear(&request.brought); /* it is taken from the message again */
        return 0;
    }
    p->is_for_us = true;
    p->watching = jobs_start_verify(p->spec.jobs, &request, sink, e) == 0;
    brought_keys_clear(&request.brought);
    return p->watching ? 0 : -1;
}

static int start_prune(struct peer *p, const Control__Prune *m, const struct job_sink *sink, struct err *e)
{
    struct prune_request request;

    if (requests_prune(m, core_conf(p->spec.core), p->spec.is_trusted, &request, e) < 0)
        return -1;
    if (has_to_wait(p, JOBS_PRUNE))
        return 0;
    p->watching = jobs_start_prune(p->spec.jobs, &request, sink, e) == 0;
    return p->watching ? 0 : -1;
}

static int start_check(struct peer *p, const Control__Check *m, const struct job_sink *sink, struct err *e)
{
    const struct check_request request = {.policy = m->policy};

    if (has_to_wait(p, JOBS_CHECK))
        return 0;
    p->is_for_us = true;
    p->watching = jobs_start_check(p->spec.jobs, &request, sink, e) == 0;
    return p->watching ? 0 : -1;
}

/* Whoever leaves does not stop it: half a rotation is no harm, but nobody's wish either. */
static int start_rotate(struct peer *p, const Control__RotateKey *m, const struct job_sink *sink, struct err *e)
{
    _cleanup_secret_ struct secret *previous = NULL, *next = NULL;
    struct rotate_request request;

    if (requests_rotate(m, p->spec.is_trusted, &request, &previous, &next, e) < 0)
        return -1;
    if (has_to_wait(p, JOBS_ROTATE)) {
        brought_keys_clear(&request.brought); /* it is taken from the message again */
        return 0;
    }
    p->watching = jobs_start_rotate(p->spec.jobs, &request, sink, e) == 0;
    brought_keys_clear(&request.brought);
    return p->watching ? 0 : -1;
}

static int start_look(struct peer *p, const Control__Look *m, const struct job_sink *sink, struct err *e)
{
    struct look_request request;

    if (requests_look(m, core_conf(p->spec.core), p->spec.is_trusted, &request, e) < 0)
        return -1;
    if (has_to_wait(p, JOBS_LOOK)) {
        brought_keys_clear(&request.brought); /* it is taken from the message again */
        return 0;
    }
    p->is_for_us = true;
    p->watching = jobs_start_look(p->spec.jobs, &request, sink, e) == 0;
    brought_keys_clear(&request.brought);
    return p->watching ? 0 : -1;
}

static void on_note(void *ctx, const char *text)
{
    struct peer *p = ctx;

    watch_note(&p->watch, text, false);
}

static int start_list(struct peer *p, struct err *e)
{
    struct inventory_spec spec = {.ctx = p, .on_note = on_note, .on_done = on_inventory};

    core_acquire(p->spec.core);
    p->inventory = inventory_start(p->spec.core, &spec, e);
    p->is_listing = p->inventory != NULL;
    if (p->is_listing)
        return 0;
    core_release(p->spec.core);
    return -1;
}

static int start_live(struct peer *p, const Control__Live *m, struct err *e)
{
    struct live_spec spec = {.prefix = {.data = m->prefix.data, .len = m->prefix.len},
            .ctx = p,
            .on_key = on_live_key,
            .on_page = on_live_page,
            .on_done = on_live_done};

    if (!p->spec.is_trusted)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "only root and the daemon's own user may see etcd's keys");
    core_acquire(p->spec.core);
    p->live = live_start(p->spec.core, &spec, e);
    if (p->live)
        return 0;
    core_release(p->spec.core);
    return -1;
}

static int start_status(struct peer *p, struct err *e)
{
    struct cycle_state cycle = {.schedule = ""};

    if (p->spec.cycle)
        cycle_get_state(p->spec.cycle, &cycle);
    if (message_status(channel_out(p->channel), p->spec.core, jobs_state(p->spec.jobs), &cycle, p->spec.started, e) < 0)
        return -1;
    p->state = ENDING;
    flush(p);
    return 0;
}

/* A listing has nothing to take back, nor has who waits: it ends at once. A job ends by itself, when it has put things
 * in order. */
static void on_cancel(struct peer *p)
{
    struct err e = ERR_INIT;

    if (p->watching)
        jobs_cancel(p->spec.jobs, &p->watch);
    if (!p->inventory && !p->live && p->state != WAITING)
        return;
    drop_inventory(p);
    drop_live(p);
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    end_with(p, NULL, &e);
}

static void on_request(struct peer *p, const Control__Request *m)
{
    const struct job_sink sink = watch_sink(&p->watch);
    struct err e = ERR_INIT;
    int started;

    (void)uv_timer_stop(&p->timer);
    p->state = RUNNING;
    watch_begin(&p->watch);
    switch (m->body_case) {
    case CONTROL__REQUEST__BODY_BACKUP:
        started = start_backup(p, &sink, &e);
        break;
    case CONTROL__REQUEST__BODY_RESTORE:
        started = start_restore(p, m->restore, &sink, &e);
        break;
    case CONTROL__REQUEST__BODY_VERIFY:
        started = start_verify(p, m->verify, &sink, &e);
        break;
    case CONTROL__REQUEST__BODY_PRUNE:
        started = start_prune(p, m->prune, &sink, &e);
        break;
    case CONTROL__REQUEST__BODY_ROTATE_KEY:
        started = start_rotate(p, m->rotate_key, &sink, &e);
        break;
    case CONTROL__REQUEST__BODY_LOOK:
        started = start_look(p, m->look, &sink, &e);
        break;
    case CONTROL__REQUEST__BODY_LIVE:
        started = start_live(p, m->live, &e);
        break;
    case CONTROL__REQUEST__BODY_CHECK:
        started = start_check(p, m->check, &sink, &e);
        break;
    case CONTROL__REQUEST__BODY_LIST:
        started = start_list(p, &e);
        break;
    case CONTROL__REQUEST__BODY_STATUS:
        started = start_status(p, &e);
        break;
    default:
        started = err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "a request that this daemon does not know");
        break;
    }
    if (started < 0)
        end_with(p, NULL, &e);
}

/* `arena` is taken, and holds the request. */
static void take_request(struct peer *p, struct arena *arena, const Control__Request *m)
{
    _cleanup_(cleanup_arena_free) struct arena *held = arena;

    on_request(p, m);
    if (p->state != WAITING)
        return;
    p->kept = TAKE_PTR(held);
    p->request = m;
}

static void on_turn(void *ctx)
{
    struct peer *p = ctx;

    take_request(p, TAKE_PTR(p->kept), p->request);
}

static void on_hello(struct peer *p, const Control__Request *m)
{
    const char *socket = p->spec.is_private ? core_conf(p->spec.core)->control.socket : NULL;
    struct err e = ERR_INIT;

    if (m->body_case != CONTROL__REQUEST__BODY_HELLO || m->hello->version != WIRE_VERSION) {
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0,
                "the client speaks another version of the control protocol than this daemon (%d)", WIRE_VERSION);
        end_with(p, NULL, &e);
        return;
    }
    p->watch.wants_progress = m->hello->wants_progress;
    p->state = EXPECTING_REQUEST;
    queued(p, message_welcome(channel_out(p->channel), socket, &e));
}

static void on_message(struct peer *p, struct bytes message)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_arena_free) struct arena *arena = arena_new(message.len, &e);
    const Control__Request *m;

    if (!arena) {
        end_with(p, NULL, &e);
        return;
    }
    m = control__request__unpack(arena_allocator(arena), message.len, message.data);
    if (!m) {
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "a message that is none of the control protocol");
        end_with(p, NULL, &e);
        return;
    }
    if (p->state == EXPECTING_HELLO)
        on_hello(p, m);
    else if (p->state == EXPECTING_REQUEST)
        take_request(p, TAKE_PTR(arena), m);
    else if ((p->state == RUNNING || p->state == WAITING) && m->body_case == CONTROL__REQUEST__BODY_CANCEL)
        on_cancel(p);
}

static bool on_frame(void *ctx, struct bytes frame)
{
    struct peer *p = ctx;

    on_message(p, frame);
    return p->state < ENDING;
}

static void on_nonsense(void *ctx, const struct err *err)
{
    end_with(ctx, NULL, err);
}

static void on_client_gone(void *ctx)
{
    peer_close(ctx);
}

static void on_idle(uv_timer_t *timer)
{
    struct peer *p = timer->data;
    struct err e = ERR_INIT;

    err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "no request within %d s", CONTROL_IDLE_MS / 1000);
    end_with(p, NULL, &e);
}

struct peer *peer_new(uv_loop_t *loop, const struct peer_spec *spec, struct err *e)
{
    struct peer *p = calloc(1, sizeof(*p));
    const struct channel_spec channel = {
            .ctx = p,
            .on_frame = on_frame,
            .on_nonsense = on_nonsense,
            .on_written = on_written,
            .on_gone = on_client_gone,
            .on_closed = on_channel_closed,
    };

    if (!p || !(p->channel = channel_new(loop, &channel, e))) {
        if (!p)
            err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        free(p);
        return NULL;
    }
    p->spec = *spec;
    watch_init(&p->watch, &(struct watch_spec){.loop = loop,
                                  .channel = p->channel,
                                  .is_private = spec->is_private,
                                  .ctx = p,
                                  .on_queued = queued,
                                  .on_done = on_done});
    p->waiter = (struct jobs_waiter){.ctx = p, .on_turn = on_turn};
    p->timer.data = p;
    (void)uv_timer_init(loop, &p->timer);
    p->open_handles = 2;
    return p;
}

uv_stream_t *peer_stream(struct peer *p)
{
    return channel_stream(p->channel);
}

void peer_set_trusted(struct peer *p, bool is_trusted)
{
    p->spec.is_trusted = is_trusted;
}

void peer_start(struct peer *p)
{
    (void)uv_timer_start(&p->timer, on_idle, CONTROL_IDLE_MS, 0);
    if (channel_start(p->channel) < 0)
        peer_close(p);
}

void peer_refuse(struct peer *p, const struct err *why)
{
    end_with(p, NULL, why);
}
