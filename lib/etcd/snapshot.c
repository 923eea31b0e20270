#include "etcd/snapshot.h"

#include <string.h>

#include "base/duration.h"
#include "base/size.h"
#include "etcd/chunks.h"
#include "etcd/errors.h"
#include "etcd/session_internal.h"
#include "etcd/snapshot_check.h"
#include "etcd/snapshot_message.h"
#include "h2/grpc.h"

enum {
    /* etcd sends blobs of 32 KiB; the least window (client.h) is four times this. */
    MESSAGE_MAX = 256 << 10,
    /* What waited in the socket while this process did not run is read before a time-out is believed. */
    SECOND_LOOK_MS = 100,
    /*
     * A host that lost its power tells etcd nothing, and etcd would keep the read transaction for as long as the kernel
     * believes in the connection: its database grows, and a defragmentation stops all writes. 6 h are 8 GiB, the most
     * that etcd recommends, at 400 kB/s. A TLS port that etcd serves by Go's net/http does not heed it.
     */
    DEADLINE_MS = 6 * 3600 * 1000,
};

struct etcd_snapshot {
    struct etcd_snapshot_spec spec;
    struct etcd_session *session;         /* NULL once it is closed, or we are done with it */
    struct etcd_member *member;           /* of the session */
    struct grpc_call *call;               /* NULL once it has ended */
    bool authenticating;                  /* for a new token */
    bool authenticated;                   /* and once is enough */
    bool over;                            /* on_end or on_failed has been called */
    bool readable_told;                   /* on_readable has been called, and not all has been consumed since */
    bool *freed;                          /* if not NULL: set when freed, for whoever calls back and goes on */
    bool heard;                           /* something of a message has arrived */
    struct etcd_snapshot_message message; /* that is arriving */
    struct etcd_snapshot_check check;
    struct etcd_chunks *chunks;
    uv_loop_t *loop;
    uv_timer_t timer;
    uint64_t timeout_ms;
    char storage_version[ETCD_VERSION_MAX];
    uint64_t progress_ms; /* of the loop's clock: when bytes came last, or the window opened again */
    bool second_look;
    uint32_t window;
};

/* No callback: everything that could still happen is called off, but for the chunks that may be in use. */
static void stop(struct etcd_snapshot *s)
{
    s->over = true;
    grpc_call_cancel(TAKE_PTR(s->call));
    if (s->authenticating)
        etcd_member_authenticate_cancel(s->member);
    s->authenticating = false;
    uv_timer_stop(&s->timer);
    if (s->session)
        etcd_session_detach(s->session);
    s->session = NULL;
    s->member = NULL;
}

/* The last thing that a callback does. */
static void fail(struct etcd_snapshot *s, const struct err *err)
{
    struct err e = *err;
    char arrived[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];

    /* What the check says tells where by itself. */
    if (s->check.total > 0 && e.domain != ERR_DOMAIN_FORMAT)
        err_prepend(&e, "the snapshot broke off after %s of %s: ", size_format(s->check.arrived, arrived),
                size_format(s->check.total, total));
    etcd_session_name_endpoint(s->session, &e);
    stop(s);
    s->spec.on_failed(s->spec.ctx, &e);
}

/*
 * Whether the server can do nothing because of us. Credit is told in batches of half a window, so beyond half a window
 * of unconsumed bytes it may be that none is open. The status needs no window.
 */
static bool is_blocked_by_us(const struct etcd_snapshot *s)
{
    return !etcd_snapshot_check_is_whole(&s->check) && etcd_chunks_peek(s->chunks, NULL).len > 0 &&
           etcd_chunks_uncredited(s->chunks) >= s->window / 2;
}

static void on_timer(uv_timer_t *timer);

static void progress(struct etcd_snapshot *s)
{
    s->progress_ms = uv_now(s->loop);
    s->second_look = false;
    /* One that is running looks at progress_ms when it fires: cheaper than a restart for each message. */
    if (!s->over && !uv_is_active((uv_handle_t *)&s->timer))
        uv_timer_start(&s->timer, on_timer, s->timeout_ms, 0);
}

static void time_out(struct etcd_snapshot *s)
{
    char waited[DURATION_TEXT_MAX];
    struct err e;

    duration_format(s->timeout_ms, waited);
    if (s->check.total == 0)
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "etcd did not begin the snapshot within %s", waited);
    else if (etcd_snapshot_check_is_whole(&s->check))
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "etcd sent all bytes but no status within %s", waited);
    else if (s->check.empty > 0)
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0,
                "etcd sent nothing but empty messages for %s, as when it cannot read its own database: look at its log "
                "and "
                "its disk",
                waited);
    else
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "etcd sent nothing for %s", waited);
    fail(s, &e);
}

static void on_timer(uv_timer_t *timer)
{
    struct etcd_snapshot *s = CONTAINER_OF(timer, struct etcd_snapshot, timer);
    uint64_t idle = uv_now(s->loop) - s->progress_ms;

    if (is_blocked_by_us(s))
        return; /* etcd_snapshot_consume starts it again */
    if (idle < s->timeout_ms) {
        uv_timer_start(timer, on_timer, s->timeout_ms - idle, 0);
    } else if (!s->second_look) {
        s->second_look = true;
        uv_timer_start(timer, on_timer, SECOND_LOOK_MS, 0);
    } else {
        time_out(s);
    }
}

/* Gives back what may be given back: it is batched below. */
static void give_credit(struct etcd_snapshot *s)
{
    size_t credit = etcd_chunks_take_credit(s->chunks);

    if (credit > 0 && s->call)
        grpc_call_credit(s->call, credit);
}

/* Stores what is there of a message. */
static int take_part(struct etcd_snapshot *s, const struct grpc_part *part, struct err *e)
{
    struct bytes piece = part->bytes, blob;
    int rc;

    if (part->begins)
        etcd_snapshot_message_begin(&s->message, part->message_len);
    while ((rc = etcd_snapshot_message_next(&s->message, &piece, &blob, e)) > 0) {
        /* Behind the end nothing is stored; what it means is said when the message has ended. */
        if (!etcd_snapshot_check_is_whole(&s->check) && etcd_chunks_append(s->chunks, blob, e) < 0)
            return -1;
        progress(s);
    }
    return rc;
}

/* All of a message is there: is what it brought good? */
static int end_message(struct etcd_snapshot *s, size_t len, struct err *e)
{
    struct etcd_messages_snapshot m;

    if (etcd_snapshot_message_end(&s->message, &m, e) < 0)
        return -1;
    if (s->check.total == 0)
        memcpy(s->storage_version, m.storage_version, sizeof(s->storage_version));
    if (etcd_snapshot_check_message(&s->check, s->message.blob_len, m.remaining, e) < 0)
        return -1;
    /* With the 5 bytes of gRPC's framing, so that the sum is what the call wants back (grpc.h). */
    etcd_chunks_charge(s->chunks, len + GRPC_PREFIX_LEN - s->message.blob_len);
    etcd_chunks_commit(s->chunks, etcd_snapshot_check_is_whole(&s->check));
    return 0;
}

static void on_part(void *ctx, const struct grpc_part *part)
{
    struct etcd_snapshot *s = ctx;
    bool first = s->check.total == 0, freed = false;
    struct err e = ERR_INIT;

    s->heard = true;
    if (take_part(s, part, &e) < 0 || (part->ends && end_message(s, part->message_len, &e) < 0)) {
        fail(s, &e);
        return;
    }
    if (!part->ends)
        return;
    give_credit(s);
    if (first) {
        s->freed = &freed;
        s->spec.on_begin(s->spec.ctx, s->check.total);
        if (freed)
            return;
        s->freed = NULL;
    }
    if (!s->readable_told && etcd_chunks_peek(s->chunks, NULL).len > 0) {
        s->readable_told = true;
        s->spec.on_readable(s->spec.ctx);
    }
}

static int start_call(struct etcd_snapshot *s, struct err *e);

static void on_authenticated(void *ctx, const struct err *err)
{
    struct etcd_snapshot *s = ctx;
    struct err e = ERR_INIT;

    s->authenticating = false;
    if (!err && start_call(s, &e) < 0)
        err = &e;
    if (err) {
        e = *err;
        err_prepend(&e, "authenticating: ");
        fail(s, &e);
    }
}

/* Whether another attempt is under way, with a new token. Where it was checked the stream had not begun. */
static bool try_new_token(struct etcd_snapshot *s, struct err *e)
{
    if (s->authenticated || s->heard || !etcd_member_has_password(s->member))
        return false;
    s->authenticated = true;
    if (etcd_member_authenticate(s->member, s, on_authenticated, e) < 0)
        return false;
    s->authenticating = true;
    return true;
}

static void on_done(void *ctx, const struct err *err)
{
    struct etcd_snapshot *s = ctx;
    struct err e = ERR_INIT;
    char limit[DURATION_TEXT_MAX];

    s->call = NULL;
    if (err) {
        e = *err;
        if (etcd_errors_refine(&e) == ETCD_ERRORS_AUTHENTICATE && try_new_token(s, &e))
            return;
        if (e.domain == ERR_DOMAIN_GRPC && e.code == GRPC_DEADLINE_EXCEEDED)
            err_prepend(&e, "it may take %s: ", duration_format(DEADLINE_MS, limit));
        fail(s, &e);
    } else if (etcd_snapshot_check_end(&s->check, &e) < 0) {
        fail(s, &e);
    } else {
        stop(s);
        s->spec.on_end(s->spec.ctx);
    }
}

static int start_call(struct etcd_snapshot *s, struct err *e)
{
    /* An empty request. No time-out for messages: progress is bytes, and is watched here. */
    const struct grpc_call_spec call = {
            .method = "/etcdserverpb.Maintenance/Snapshot",
            .token = etcd_member_token(s->member),
            .deadline_ms = DEADLINE_MS,
            .manual_credit = true,
            .message_limit = MESSAGE_MAX,
            .ctx = s,
            .on_part = on_part,
            .on_done = on_done,
    };

    s->call = grpc_call_start(etcd_member_conn(s->member), &call, e);
    return s->call ? 0 : -1;
}

/* The session is closed under us: its owner knows, and is not called back. */
static void on_detached(void *ctx)
{
    struct etcd_snapshot *s = ctx;

    stop(s);
}

struct etcd_snapshot *etcd_snapshot_start(
        struct etcd_session *session, const struct etcd_snapshot_spec *spec, struct err *e)
{
    struct etcd_snapshot *s = calloc(1, sizeof(*s));
    const struct etcd_conf *conf;

    if (!s) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a snapshot");
        return NULL;
    }
    s->spec = *spec;
    s->member = etcd_session_attach(session, s, on_detached, e);
    if (!s->member) {
        free(s);
        return NULL;
    }
    s->session = session;
    conf = etcd_client_conf(etcd_member_client(s->member));
    s->loop = etcd_client_loop(etcd_member_client(s->member));
    uv_timer_init(s->loop, &s->timer); /* cannot fail */
    s->timeout_ms = conf->request_timeout_ms;
    s->window = conf->window;
    s->chunks = etcd_chunks_new(spec->chunk, s->window / spec->chunk + 2, e);
    if (!s->chunks || start_call(s, e) < 0) {
        etcd_snapshot_free(s);
        return NULL;
    }
    progress(s);
    return s;
}

struct bytes etcd_snapshot_peek(const struct etcd_snapshot *s, bool *last)
{
    return etcd_chunks_peek(s->chunks, last);
}

const char *etcd_snapshot_storage_version(const struct etcd_snapshot *s)
{
    return s->storage_version;
}

void etcd_snapshot_consume(struct etcd_snapshot *s)
{
    bool was_blocked = is_blocked_by_us(s);

    etcd_chunks_consume(s->chunks);
    s->readable_told = etcd_chunks_peek(s->chunks, NULL).len > 0;
    give_credit(s);
    if (was_blocked && !is_blocked_by_us(s))
        progress(s); /* the server's turn begins now */
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(CONTAINER_OF(timer, struct etcd_snapshot, timer));
}

void etcd_snapshot_free(struct etcd_snapshot *s)
{
    if (!s)
        return;
    stop(s);
    if (s->freed)
        *s->freed = true;
    etcd_chunks_free(s->chunks);
    s->chunks = NULL;
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}
