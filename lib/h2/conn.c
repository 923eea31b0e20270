#include "h2/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h2/dial.h"
#include "h2/internal.h"
#include "h2/session.h"
#include "h2/tls.h"
#include "h2/wire.h"

enum {
    QUIET_MS = 20000,       /* without a byte, then a PING; etcd forbids more than one in 5 s */
    FLUSH_SIZE = 64 * 1024, /* bytes for one system call, about */
    WINDOW_MIN = 65535,     /* HTTP/2 begins with it */
};

enum state { RESOLVING, CONNECTING, SECURING, SETTLING, READY, CLOSED };

struct h2_conn {
    uv_loop_t *loop;
    struct h2_conn_spec spec; /* without the paths of certificates */
    struct h2_endpoint endpoint;
    enum state state;
    struct h2_dial *dial; /* until ready */
    struct h2_tls *tls;   /* or NULL */
    struct h2_wire *wire; /* from connected to closed */
    struct h2_session *session;
    uv_prepare_t prepare; /* active while there is something to send: sends once a turn of the loop */
    uv_timer_t timer;     /* active while connecting, and while there are calls */
    uint64_t timer_due;
    unsigned handles;       /* that the loop has not let go of */
    uint64_t patience_ends; /* of this address, while not ready */
    bool had_streams;
    uint64_t quiet_since;
    uint64_t pong_due; /* 0: no PING is on its way */
    bool busy;         /* in a callback of the loop: torn down at its end */
    bool released;     /* by the owner */
    char address[H2_ADDRESS_MAX];
    char cipher[96];
};

static void teardown(struct h2_conn *c);
static void attempt_failed(struct h2_conn *c, const struct err *err);

static uint64_t now_ms(void *ctx)
{
    const struct h2_conn *c = ctx;

    return uv_now(c->loop);
}

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
    uint64_t streams = h2_session_deadline(c->session);
    uint64_t alive = c->pong_due ? c->pong_due : c->quiet_since + QUIET_MS;

    if (c->state < READY)
        return c->patience_ends;
    if (c->state == CLOSED || !h2_session_has_streams(c->session))
        return 0;
    return streams && streams < alive ? streams : alive;
}

static void on_timer(uv_timer_t *timer);

/* The timer may be early: it then is set anew. So it need not be touched whenever bytes arrive. */
static void arm_timer(struct h2_conn *c)
{
    uint64_t now = uv_now(c->loop), due;
    bool has_streams = h2_session_has_streams(c->session);

    if (has_streams && !c->had_streams) {
        c->quiet_since = now;
        c->pong_due = 0;
    }
    c->had_streams = has_streams;
    due = next_due(c);
    if (!due) {
        (void)uv_timer_stop(&c->timer);
    } else if (!uv_is_active((uv_handle_t *)&c->timer) || due < c->timer_due) {
        c->timer_due = due;
        (void)uv_timer_start(&c->timer, on_timer, due > now ? due - now : 0, 0);
    }
}

/* Lets go of the transport. What can be sent at once, such as RST_STREAM, is. */
static void drop_wire(struct h2_conn *c)
{
    const uint8_t *data;
    struct err e = ERR_INIT;
    ssize_t n;

    if (c->wire && c->state >= SETTLING && !h2_wire_is_blocked(c->wire))
        while (h2_wire_gathered(c->wire) < FLUSH_SIZE && (n = h2_session_send(c->session, &data, &e)) > 0)
            if (h2_wire_write(c->wire, (struct bytes){.data = data, .len = (size_t)n}, &e) < 0)
                break;
    h2_wire_close(c->wire);
    c->wire = NULL;
}

static void fail(struct h2_conn *c, const struct err *err)
{
    struct err e = *err;

    if (c->state == CLOSED)
        return;
    if (c->address[0] && strncmp(e.text, "connecting to ", 14) != 0)
        err_prepend(&e, "%s: ", c->address);
    drop_wire(c);
    c->state = CLOSED;
    h2_dial_free(c->dial);
    c->dial = NULL;
    (void)uv_timer_stop(&c->timer);
    (void)uv_prepare_stop(&c->prepare);
    h2_session_fail(c->session, &e);
    if (!c->released)
        c->spec.on_closed(c->spec.ctx, &e);
}

/* One frame after the other until there is enough for one system call. */
static int gather(struct h2_conn *c, struct err *e)
{
    const uint8_t *data;
    ssize_t n = 1;

    while (!c->released && h2_wire_gathered(c->wire) < FLUSH_SIZE && n > 0) {
        n = h2_session_send(c->session, &data, e);
        if (n > 0 && h2_wire_write(c->wire, (struct bytes){.data = data, .len = (size_t)n}, e) < 0)
            return -1;
    }
    return n < 0 ? -1 : 0;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct h2_conn *c = CONTAINER_OF(prepare, struct h2_conn, prepare);
    struct err e = ERR_INIT;
    int rc = 0;

    (void)uv_prepare_stop(prepare);
    enter(c);
    while (rc == 0 && !c->released && c->wire && c->state >= SETTLING && !h2_wire_is_blocked(c->wire)) {
        rc = gather(c, &e);
        if (c->released || (rc == 0 && h2_wire_gathered(c->wire) == 0))
            break;
        if (rc == 0)
            rc = h2_wire_flush(c->wire, &e);
    }
    if (rc == 0 && !c->released && c->state == READY)
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

static void on_drained(void *ctx)
{
    wake(ctx);
}

/* Another protocol on this port, recognised by what it says first. A frame's length would be over a million bytes. */
static const char *other_protocol(struct bytes data)
{
    if (data.len >= 1 && data.data[0] == 0x15) /* a TLS alert */
        return "the server speaks TLS on this port; with TLS, the endpoint is https://...";
    if (data.len >= 5 && memcmp(data.data, "HTTP/", 5) == 0)
        return "the server speaks HTTP/1 on this port, not HTTP/2";
    return NULL;
}

static void on_data(void *ctx, struct bytes data)
{
    struct h2_conn *c = ctx;
    const char *other = c->state == SETTLING ? other_protocol(data) : NULL;
    struct err e = ERR_INIT;
    int rc;

    enter(c);
    c->quiet_since = uv_now(c->loop);
    c->pong_due = 0;
    if (other)
        rc = err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_HTTP2, 0, "%s", other);
    else
        rc = h2_session_recv(c->session, data, &e);
    if (rc == 0 && !c->released && c->state == SETTLING && h2_session_is_ready(c->session)) {
        c->state = READY;
        h2_dial_free(c->dial);
        c->dial = NULL;
        if (c->spec.on_ready)
            c->spec.on_ready(c->spec.ctx);
    }
    if (rc == 0 && !c->released)
        rc = h2_session_check(c->session, &e);
    if (rc < 0)
        attempt_failed(c, &e);
    else if (!c->released)
        wake(c);
    leave(c);
}

static int begin_http2(struct h2_conn *c, struct err *e)
{
    c->state = SETTLING;
    if (h2_session_begin(c->session, e) < 0)
        return -1;
    wake(c);
    return 0;
}

static void on_secure(void *ctx)
{
    struct h2_conn *c = ctx;
    struct err e = ERR_INIT;

    enter(c);
    (void)snprintf(c->cipher, sizeof(c->cipher), "%s", h2_tls_cipher(c->tls));
    if (begin_http2(c, &e) < 0)
        attempt_failed(c, &e);
    leave(c);
}

static void on_wire_failed(void *ctx, const struct err *err)
{
    struct h2_conn *c = ctx;

    enter(c);
    attempt_failed(c, err);
    leave(c);
}

static void on_connected(void *ctx, uv_stream_t *stream, const struct err *err)
{
    struct h2_conn *c = ctx;
    struct h2_wire_spec spec = {
            .stream = stream,
            .tls = c->tls,
            .ctx = c,
            .on_secure = on_secure,
            .on_data = on_data,
            .on_drained = on_drained,
            .on_failed = on_wire_failed,
    };
    struct err e = ERR_INIT;

    enter(c);
    if (err) {
        attempt_failed(c, err);
    } else {
        c->state = c->tls ? SECURING : SETTLING;
        c->wire = h2_wire_open(&spec, &e);
        if (!c->wire || (!c->tls && begin_http2(c, &e) < 0))
            attempt_failed(c, &e);
    }
    leave(c);
}

static int try_next_address(struct h2_conn *c, struct err *e)
{
    int rc;

    c->state = CONNECTING;
    c->patience_ends = uv_now(c->loop) + c->spec.connect_timeout_ms;
    rc = h2_dial_next(c->dial, e);
    (void)snprintf(c->address, sizeof(c->address), "%s", h2_dial_address(c->dial));
    (void)uv_timer_stop(&c->timer);
    arm_timer(c);
    return rc;
}

/* The next address may do better, unless it is about certificates and the like. */
static void attempt_failed(struct h2_conn *c, const struct err *err)
{
    struct err e = *err;

    while (c->state < READY && e.kind == ERR_TRANSIENT && c->dial && c->state > RESOLVING &&
            h2_dial_has_next(c->dial)) {
        drop_wire(c);
        if (try_next_address(c, &e) == 0)
            return;
    }
    fail(c, &e);
}

static void on_resolved(void *ctx, const struct err *err)
{
    struct h2_conn *c = ctx;
    struct err e = ERR_INIT;

    enter(c);
    if (err)
        fail(c, err);
    else if (try_next_address(c, &e) < 0)
        attempt_failed(c, &e);
    leave(c);
}

static const char *doing(enum state state)
{
    switch (state) {
    case RESOLVING:
        return "resolving the host name";
    case CONNECTING:
        return "connecting";
    case SECURING:
        return "the TLS handshake";
    default:
        return "waiting for HTTP/2 SETTINGS";
    }
}

static int keep_alive(struct h2_conn *c, struct err *e)
{
    uint64_t now = uv_now(c->loop);

    if (!h2_session_has_streams(c->session))
        return 0;
    if (c->pong_due && now >= c->pong_due)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "the server gave no sign of life for %g s",
                (double)(now - c->quiet_since) / 1000.0);
    if (c->pong_due || now < c->quiet_since + QUIET_MS)
        return 0;
    c->pong_due = now + c->spec.connect_timeout_ms;
    wake(c);
    return h2_session_ping(c->session, e);
}

static void on_timer(uv_timer_t *timer)
{
    struct h2_conn *c = CONTAINER_OF(timer, struct h2_conn, timer);
    struct err e = ERR_INIT;
    int rc = 0;

    enter(c);
    if (c->state < READY && uv_now(c->loop) >= c->patience_ends) {
        rc = err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "no answer within %g s: %s took too long",
                (double)c->spec.connect_timeout_ms / 1000.0, doing(c->state));
    } else if (c->state == READY) {
        h2_session_expire(c->session);
        if (!c->released)
            rc = keep_alive(c, &e);
    }
    if (rc < 0)
        attempt_failed(c, &e);
    if (!c->released && c->state != CLOSED)
        arm_timer(c);
    leave(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct h2_conn *c = handle->data;

    if (--c->handles > 0)
        return;
    h2_session_free(c->session);
    h2_tls_free(c->tls);
    free(c);
}

static void teardown(struct h2_conn *c)
{
    drop_wire(c);
    c->state = CLOSED;
    h2_dial_free(c->dial);
    c->dial = NULL;
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

/* The loop takes hold of the two handles: from here on h2_conn_close is the way to release it. */
static void init_handles(struct h2_conn *c)
{
    (void)uv_prepare_init(c->loop, &c->prepare);
    (void)uv_timer_init(c->loop, &c->timer);
    c->prepare.data = c->timer.data = c;
    c->handles = 2;
}

static int start(struct h2_conn *c, const struct h2_conn_spec *spec, struct err *e)
{
    const struct h2_tls_spec tls = {
            .ca_cert = spec->ca_cert,
            .client_cert = spec->client_cert,
            .client_key = spec->client_key,
            .host = c->endpoint.unix_path[0] ? "localhost" : c->endpoint.host,
    };
    const struct h2_session_spec session = {
            .window = c->spec.window,
            .ctx = c,
            .now = now_ms,
            .wake = wake,
    };
    const struct h2_dial_spec dial = {
            .endpoint = &c->endpoint,
            .ctx = c,
            .on_resolved = on_resolved,
            .on_connected = on_connected,
    };

    if (c->endpoint.tls && !(c->tls = h2_tls_new(&tls, e)))
        return -1;
    c->session = h2_session_new(&session, e);
    if (!c->session)
        return -1;
    c->dial = h2_dial_start(c->loop, &dial, e);
    return c->dial ? 0 : -1;
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
    if (c->spec.window < WINDOW_MIN)
        c->spec.window = WINDOW_MIN;
    else if (c->spec.window > INT32_MAX)
        c->spec.window = INT32_MAX;
    (void)snprintf(c->cipher, sizeof(c->cipher), "plain");
    if (start(c, spec, e) < 0) {
        h2_session_free(c->session);
        h2_tls_free(c->tls);
        free(c);
        return NULL;
    }
    init_handles(c);
    c->patience_ends = uv_now(loop) + c->spec.connect_timeout_ms;
    arm_timer(c);
    return c;
}

const char *h2_conn_cipher(const struct h2_conn *c)
{
    return c->cipher;
}

struct h2_session *h2_conn_session(struct h2_conn *c)
{
    return c->session;
}

const struct h2_endpoint *h2_conn_endpoint(const struct h2_conn *c)
{
    return &c->endpoint;
}
