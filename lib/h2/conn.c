#include "h2/conn.h"

#include <stdlib.h>
#include <string.h>

#include "h2/alive.h"
#include "h2/internal.h"
#include "h2/session.h"
#include "h2/transport.h"

enum {
    FLUSH_SIZE = 64 * 1024, /* bytes for one system call, about */
    WINDOW_MIN = 65535,     /* HTTP/2 begins with it */
    QUIET_MS = 20000,       /* etcd allows one PING in 5 s */
};

enum state { CONNECTING, READY, CLOSED };

struct h2_conn {
    uv_loop_t *loop;
    struct h2_conn_spec spec; /* without the paths of certificates */
    struct endpoint endpoint;
    enum state state;
    struct h2_transport *transport;
    struct h2_session *session;
    uv_prepare_t prepare; /* active while there is something to send: sends once a turn of the loop */
    uv_timer_t timer;     /* active while connecting, and while there are calls */
    uint64_t timer_due;
    unsigned handles;       /* that the loop has not let go of */
    uint64_t patience_ends; /* of this address, while connecting */
    struct h2_alive alive;
    bool busy;     /* in a callback of the loop: torn down at its end */
    bool released; /* by the owner */
};

static void teardown(struct h2_conn *c);
static void attempt_failed(struct h2_conn *c, const struct err *err);
static void on_timer(uv_timer_t *timer);

static uint64_t now_ms(void *ctx)
{
    const struct h2_conn *c = ctx;

    return uv_now(c->loop);
}

/* Every callback of the loop stands between these two. */
static void enter(struct h2_conn *c)
{
    c->busy = true;
}

static void leave(struct h2_conn *c)
{
    c->busy = false;
    if (c->released)
        teardown(c);
}

/* When something must have happened, 0: nothing is waited for. */
static uint64_t next_due(struct h2_conn *c)
{
    uint64_t streams = h2_session_deadline(c->session), alive = h2_alive_due(&c->alive);

    if (c->state == CONNECTING)
        return c->patience_ends;
    if (c->state == CLOSED)
        return 0;
    return streams && (!alive || streams < alive) ? streams : alive;
}

/* The timer may be early: it then is set anew. So it need not be touched whenever bytes arrive. */
static void arm_timer(struct h2_conn *c)
{
    uint64_t now = uv_now(c->loop), due;

    h2_alive_watch(&c->alive, now, h2_session_has_streams(c->session));
    due = next_due(c);
    if (!due) {
        (void)uv_timer_stop(&c->timer);
    } else if (!uv_is_active((uv_handle_t *)&c->timer) || due < c->timer_due) {
        c->timer_due = due;
        (void)uv_timer_start(&c->timer, on_timer, due > now ? due - now : 0, 0);
    }
}

/* One frame after the other until there is enough for one system call. */
static int gather(struct h2_conn *c, struct h2_wire *wire, struct err *e)
{
    const uint8_t *data;
    ssize_t n = 1;

    while (h2_wire_gathered(wire) < FLUSH_SIZE && n > 0) {
        n = h2_session_send(c->session, &data, e);
        if (n > 0 && h2_wire_write(wire, (struct bytes){.data = data, .len = (size_t)n}, e) < 0)
            return -1;
    }
    return n < 0 ? -1 : 0;
}

/* Lets go of the transport. What can be sent at once, such as RST_STREAM, is. */
static void drop(struct h2_conn *c)
{
    struct h2_wire *wire = h2_transport_wire(c->transport);
    struct err ignored = ERR_INIT;

    if (wire && !h2_wire_is_blocked(wire))
        (void)gather(c, wire, &ignored);
    h2_transport_drop(c->transport);
}

static void fail(struct h2_conn *c, const struct err *err)
{
    struct err e = *err;

    if (c->state == CLOSED)
        return;
    if (*h2_transport_address(c->transport))
        err_prepend(&e, "%s: ", h2_transport_address(c->transport));
    drop(c);
    c->state = CLOSED;
    (void)uv_timer_stop(&c->timer);
    (void)uv_prepare_stop(&c->prepare);
    h2_session_fail(c->session, &e);
    if (!c->released)
        c->spec.on_closed(c->spec.ctx, &e);
}

/* Sends until there is nothing more, or the socket takes nothing more. */
static int flush(struct h2_conn *c, struct err *e)
{
    struct h2_wire *wire = h2_transport_wire(c->transport);

    while (wire && !c->released && !h2_wire_is_blocked(wire)) {
        if (gather(c, wire, e) < 0)
            return -1;
        if (c->released || h2_wire_gathered(wire) == 0)
            break;
        if (h2_wire_flush(wire, e) < 0)
            return -1;
    }
    return 0;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct h2_conn *c = CONTAINER_OF(prepare, struct h2_conn, prepare);
    struct err e = ERR_INIT;
    int rc;

    (void)uv_prepare_stop(prepare);
    enter(c);
    rc = flush(c, &e);
    if (rc == 0 && !c->released && h2_transport_wire(c->transport))
        rc = h2_session_check(c->session, &e);
    if (rc < 0)
        attempt_failed(c, &e);
    if (!c->released)
        arm_timer(c);
    leave(c);
}

/* Something is to be sent, or a call has begun or ended. */
static void wake(void *ctx)
{
    struct h2_conn *c = ctx;

    if (c->state != CLOSED && !uv_is_active((uv_handle_t *)&c->prepare))
        (void)uv_prepare_start(&c->prepare, on_prepare);
}

static void on_data(void *ctx, struct bytes data)
{
    struct h2_conn *c = ctx;
    struct err e = ERR_INIT;
    int rc;

    enter(c);
    h2_alive_heard(&c->alive, uv_now(c->loop));
    rc = h2_session_recv(c->session, data, &e);
    if (rc == 0 && !c->released && c->state == CONNECTING && h2_session_is_ready(c->session)) {
        c->state = READY;
        h2_transport_praise(c->transport);
        if (c->spec.on_ready)
            c->spec.on_ready(c->spec.ctx);
    }
    if (rc == 0 && !c->released)
        rc = h2_session_check(c->session, &e);
    if (rc < 0)
        attempt_failed(c, &e);
    else
        wake(c);
    leave(c);
}

static void on_open(void *ctx)
{
    struct h2_conn *c = ctx;
    struct err e = ERR_INIT;

    enter(c);
    if (h2_session_begin(c->session, &e) < 0)
        attempt_failed(c, &e);
    else
        wake(c);
    leave(c);
}

static void on_failed(void *ctx, const struct err *err)
{
    struct h2_conn *c = ctx;

    enter(c);
    attempt_failed(c, err);
    leave(c);
}

static int try_other_addresses(struct h2_conn *c, struct err *e)
{
    c->patience_ends = uv_now(c->loop) + c->spec.connect_timeout_ms;
    (void)uv_timer_stop(&c->timer);
    arm_timer(c);
    return h2_transport_next(c->transport, e);
}

/* The next address may do better, unless it is about certificates and the like. */
static void attempt_failed(struct h2_conn *c, const struct err *err)
{
    struct err e = *err;

    while (c->state == CONNECTING && e.kind == ERR_TRANSIENT && h2_transport_has_next(c->transport))
        if (try_other_addresses(c, &e) == 0)
            return;
    fail(c, &e);
}

static void on_resolved(void *ctx, const struct err *err)
{
    struct h2_conn *c = ctx;
    struct err e = ERR_INIT;

    enter(c);
    if (err)
        fail(c, err);
    else if (try_other_addresses(c, &e) < 0)
        attempt_failed(c, &e);
    leave(c);
}

static int keep_alive(struct h2_conn *c, struct err *e)
{
    uint64_t now = uv_now(c->loop);

    switch (h2_alive_act(&c->alive, now)) {
    case H2_ALIVE_PING:
        wake(c);
        return h2_session_ping(c->session, e);
    case H2_ALIVE_DEAD:
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "the server gave no sign of life for %g s",
                (double)(now - c->alive.quiet_since) / 1000.0);
    case H2_ALIVE_WAIT:
        break;
    }
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct h2_conn *c = CONTAINER_OF(timer, struct h2_conn, timer);
    struct err e = ERR_INIT;
    int rc = 0;

    enter(c);
    if (c->state == CONNECTING && uv_now(c->loop) >= c->patience_ends) {
        rc = err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "no connection within %g s: %s took too long",
                (double)c->spec.connect_timeout_ms / 1000.0, h2_transport_doing(c->transport));
    } else if (c->state == READY) {
        h2_session_expire(c->session);
        if (!c->released)
            rc = keep_alive(c, &e);
    }
    if (rc < 0)
        attempt_failed(c, &e);
    if (!c->released)
        arm_timer(c);
    leave(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct h2_conn *c = handle->data;

    if (--c->handles > 0)
        return;
    h2_session_free(c->session);
    free(c);
}

/* The session goes last: its callbacks may be what led here. */
static void teardown(struct h2_conn *c)
{
    drop(c);
    c->state = CLOSED;
    h2_transport_free(TAKE_PTR(c->transport));
    uv_close((uv_handle_t *)&c->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
}

void h2_conn_close(struct h2_conn *c)
{
    if (!c || c->released)
        return;
    c->released = true;
    h2_session_shut(c->session);
    if (!c->busy)
        teardown(c);
}

static int start(struct h2_conn *c, const struct h2_conn_spec *spec, struct err *e)
{
    const struct h2_session_spec session = {
            .window = c->spec.window,
            .ctx = c,
            .now = now_ms,
            .wake = wake,
    };
    const struct h2_transport_spec transport = {
            .loop = c->loop,
            .endpoint = &c->endpoint,
            .good = spec->good,
            .ca_cert = spec->ca_cert,
            .client_cert = spec->client_cert,
            .client_key = spec->client_key,
            .ctx = c,
            .on_resolved = on_resolved,
            .on_open = on_open,
            .on_data = on_data,
            .on_drained = wake,
            .on_failed = on_failed,
    };

    c->session = h2_session_new(&session, e);
    c->transport = c->session ? h2_transport_new(&transport, e) : NULL;
    return c->transport ? 0 : -1;
}

struct h2_conn *h2_conn_open(uv_loop_t *loop, const struct h2_conn_spec *spec, struct err *e)
{
    struct h2_conn *c = calloc(1, sizeof(*c));

    if (!c) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
        return NULL;
    }
    c->loop = loop;
    c->spec = *spec;
    c->endpoint = *spec->endpoint;
    c->spec.endpoint = &c->endpoint;
    c->spec.ca_cert = c->spec.client_cert = c->spec.client_key = NULL;
    c->spec.window = spec->window < WINDOW_MIN ? WINDOW_MIN : spec->window > INT32_MAX ? INT32_MAX : spec->window;
    c->alive.quiet_ms = spec->quiet_ms ? spec->quiet_ms : QUIET_MS;
    c->alive.patience_ms = spec->connect_timeout_ms;
    if (start(c, spec, e) < 0) {
        h2_session_free(c->session);
        free(c);
        return NULL;
    }
    (void)uv_prepare_init(loop, &c->prepare);
    (void)uv_timer_init(loop, &c->timer);
    c->prepare.data = c->timer.data = c;
    c->handles = 2;       /* from here on h2_conn_close is the way to release it */
    uv_update_time(loop); /* who calls may have been busy for long */
    c->patience_ends = uv_now(loop) + c->spec.connect_timeout_ms;
    arm_timer(c);
    return c;
}

int64_t h2_conn_expires(const struct h2_conn *c)
{
    return h2_transport_expires(c->transport);
}

const char *h2_conn_cipher(const struct h2_conn *c)
{
    return h2_transport_cipher(c->transport);
}

struct h2_session *h2_conn_session(struct h2_conn *c)
{
    return c->session;
}

uint32_t h2_conn_window(const struct h2_conn *c)
{
    return c->spec.window;
}

const struct endpoint *h2_conn_endpoint(const struct h2_conn *c)
{
    return &c->endpoint;
}
