#include "expect.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "failing.h"
#include "h2/conn.h"
#include "h2/grpc.h"
#include "server.h"

static const uint8_t abc[] = "\0\0\0\0\3abc";

/* Both ends on one loop, over a Unix socket. */
struct world {
    uv_loop_t loop;
    char folder[32], path[64];
    struct server *server;
    uv_pipe_t listener, peer;
    bool has_peer;
    struct h2_conn *conn;
    struct grpc_call *call;
    size_t readies, messages, dones, closeds;
    struct err done, closed;
    bool in_call;         /* a callback must not come while this is set */
    bool close_when_done; /* else the connection stays until the test's end */
    bool close_when_ready;
    bool close_when_message;
    bool cancel_when_message;
};

static void close_peer(struct world *w)
{
    if (w->has_peer)
        uv_close((uv_handle_t *)&w->peer, NULL);
    w->has_peer = false;
}

static void pump(struct world *w)
{
    struct bytes data;

    while (w->has_peer && (data = server_send(w->server)).len > 0) {
        char copy[32768];
        uv_buf_t b = uv_buf_init(copy, (unsigned)data.len);

        assert_true(data.len <= sizeof(copy));
        memcpy(copy, data.data, data.len);
        if (uv_try_write((uv_stream_t *)&w->peer, &b, 1) != (int)data.len)
            close_peer(w); /* the client has gone */
    }
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    static char buffer[65536];

    (void)handle;
    (void)size;
    *out = uv_buf_init(buffer, sizeof(buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct world *w = stream->data;

    if (n < 0 || !server_recv(w->server, (struct bytes){.data = (uint8_t *)b->base, .len = (size_t)n}))
        close_peer(w);
    else
        pump(w);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct world *w = listener->data;

    assert_int_equal(status, 0);
    (void)uv_pipe_init(&w->loop, &w->peer, 0);
    w->peer.data = w;
    w->has_peer = true;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&w->peer), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&w->peer, on_alloc, on_read), 0);
    pump(w);
}

static void close_conn(struct world *w)
{
    h2_conn_close(TAKE_PTR(w->conn));
    w->call = NULL;
}

static void on_ready(void *ctx)
{
    struct world *w = ctx;

    assert_false(w->in_call);
    w->readies++;
    if (w->close_when_ready)
        close_conn(w);
}

static void on_closed(void *ctx, const struct err *err)
{
    struct world *w = ctx;

    assert_false(w->in_call);
    w->closeds++;
    w->closed = *err;
    assert_null(w->call); /* was told before */
    close_conn(w);
}

static void on_message(void *ctx, struct bytes message)
{
    struct world *w = ctx;

    assert_false(w->in_call);
    w->messages++;
    assert_int_equal(message.len, 3);
    assert_memory_equal(message.data, "abc", 3);
    if (w->close_when_message)
        close_conn(w);
    else if (w->cancel_when_message)
        grpc_call_cancel(TAKE_PTR(w->call));
}

static void on_done(void *ctx, const struct err *err)
{
    struct world *w = ctx;

    assert_false(w->in_call);
    w->call = NULL;
    w->dones++;
    w->done = err ? *err : ERR_INIT;
    if (w->close_when_done)
        close_conn(w);
}

static void begin_world(struct world *w)
{
    *w = (struct world){.folder = "/tmp/test_conn.XXXXXX"};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->path, sizeof(w->path), "%s/socket", w->folder);
    w->server = server_new((struct bytes){.data = abc, .len = 8}, false);
    (void)uv_pipe_init(&w->loop, &w->listener, 0);
    w->listener.data = w;
    assert_int_equal(uv_pipe_bind(&w->listener, w->path), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&w->listener, 1, on_connection), 0);
    uv_unref((uv_handle_t *)&w->listener);
}

static bool open_conn(struct world *w, struct err *e)
{
    struct endpoint ep;
    char text[80];
    const struct h2_conn_spec spec = {
            .endpoint = &ep,
            .connect_timeout_ms = 20000,
            .window = 1 << 20,
            .ctx = w,
            .on_ready = on_ready,
            .on_closed = on_closed,
    };

    (void)snprintf(text, sizeof(text), "unix://%s", w->path);
    assert_int_equal(endpoint_parse(text, ENDPOINT_ETCD, &ep, e), 0);
    w->in_call = true;
    w->conn = h2_conn_open(&w->loop, &spec, e);
    w->in_call = false;
    memset(&ep, 0xff, sizeof(ep)); /* was copied */
    return w->conn != NULL;
}

static bool start_call(struct world *w, struct err *e)
{
    char token[] = "token", request[] = "request";
    _cleanup_secret_ struct secret *secret = secret_copy(token, 5, e);
    struct grpc_call_spec spec = {
            .method = "/x/y",
            .request = {.data = (const uint8_t *)request, .len = 7},
            .token = secret,
            .timeout_ms = 20000,
            .unary = true,
            .message_limit = 100,
            .ctx = w,
            .on_message = on_message,
            .on_done = on_done,
    };

    if (!secret)
        return false;
    w->in_call = true;
    w->call = grpc_call_start(w->conn, &spec, e);
    w->in_call = false;
    memset(request, 'X', sizeof(request));
    memset(&spec, 0xff, sizeof(spec));
    return w->call != NULL;
}

/* Nothing of ours may be left in the loop, and no memory (the address sanitizer tells). */
static void end_world(struct world *w)
{
    close_conn(w);
    close_peer(w);
    uv_close((uv_handle_t *)&w->listener, NULL);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    close_peer(w);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    server_free(w->server);
    (void)unlink(w->path);
    (void)rmdir(w->folder);
}

static void a_call_from_start_to_end(void **state)
{
    struct err e = ERR_INIT;
    struct world w;

    (void)state;
    begin_world(&w);
    w.close_when_done = true;
    assert_true(open_conn(&w, &e));
    assert_string_equal(h2_conn_cipher(w.conn), "plain");
    assert_true(start_call(&w, &e));
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(w.readies, 1);
    assert_int_equal(w.messages, 1);
    assert_int_equal(w.dones, 1);
    assert_int_equal(w.done.kind, ERR_NONE);
    assert_int_equal(w.closeds, 0);
    assert_int_equal(server_counts(w.server).request_bytes, 5 + 7);
    end_world(&w);
}

static void closing_never_calls_back(void **state)
{
    struct err e = ERR_INIT;
    struct world w;

    (void)state;
    for (int steps = 0; steps < 12; steps++) {
        begin_world(&w);
        assert_true(open_conn(&w, &e));
        assert_true(start_call(&w, &e));
        for (int i = 0; i < steps; i++)
            (void)uv_run(&w.loop, UV_RUN_NOWAIT);
        w.in_call = true;
        close_conn(&w);
        (void)uv_run(&w.loop, UV_RUN_NOWAIT);
        (void)uv_run(&w.loop, UV_RUN_NOWAIT);
        end_world(&w);
    }
}

static void closing_within_each_callback(void **state)
{
    struct err e = ERR_INIT;
    struct world w;

    (void)state;
    begin_world(&w);
    w.close_when_ready = true;
    assert_true(open_conn(&w, &e));
    assert_true(start_call(&w, &e));
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(w.readies, 1);
    assert_int_equal(w.messages + w.dones + w.closeds, 0);
    end_world(&w);

    begin_world(&w);
    w.close_when_message = true;
    assert_true(open_conn(&w, &e));
    assert_true(start_call(&w, &e));
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(w.messages, 1);
    assert_int_equal(w.dones + w.closeds, 0);
    end_world(&w);

    begin_world(&w);
    w.cancel_when_message = true;
    assert_true(open_conn(&w, &e));
    assert_true(start_call(&w, &e));
    while (w.messages == 0)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_int_equal(w.dones + w.closeds, 0);
    w.cancel_when_message = false; /* the connection is as good as before */
    w.close_when_done = true;
    assert_true(start_call(&w, &e));
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(w.dones, 1);
    assert_int_equal(w.done.kind, ERR_NONE);
    end_world(&w);
}

static void nobody_listens(void **state)
{
    struct err e = ERR_INIT;
    struct world w;
    char text[128];

    (void)state;
    begin_world(&w);
    (void)unlink(w.path);
    assert_true(open_conn(&w, &e));
    assert_true(start_call(&w, &e));
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(w.dones, 1);
    assert_int_equal(w.closeds, 1);
    (void)snprintf(text, sizeof(text), "%s: cannot connect: no such file or directory", w.path);
    expect_error(&w.closed, ERR_TRANSIENT, text);
    expect_error(&w.done, ERR_TRANSIENT, text);
    end_world(&w);
}

static void without_calls_nothing_keeps_time(void **state)
{
    struct err e = ERR_INIT;
    struct world w;

    (void)state;
    begin_world(&w);
    assert_true(open_conn(&w, &e));
    assert_true(start_call(&w, &e));
    while (w.dones == 0)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    for (int i = 0; i < 5; i++)
        (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_backend_timeout(&w.loop), -1); /* waits for the socket alone */
    end_world(&w);
}

/* Wherever memory runs out: one error at one place, in its own kind, and all is released. */
static void memory_may_run_out(void **state)
{
    size_t n = 0, failures = 0;
    bool reached;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct world w;
        bool opened, started = false;

        begin_world(&w);
        w.close_when_done = true;
        failing_arm(++n);
        opened = open_conn(&w, &e);
        if (opened)
            started = start_call(&w, &e);
        if (opened && !started)
            close_conn(&w);
        (void)uv_run(&w.loop, UV_RUN_DEFAULT);
        reached = failing_disarm();
        if (!started)
            assert_true(reached && e.kind == ERR_RESOURCE);
        else
            assert_int_equal(w.dones, 1);
        if (started && w.done.kind != ERR_NONE) {
            assert_true(reached);
            /* nghttp2 takes running out of memory in HPACK for a request that cannot be sent. */
            assert_true(
                    w.done.kind == ERR_RESOURCE || (w.done.kind == ERR_TRANSIENT && w.done.domain == ERR_DOMAIN_HTTP2));
        }
        failures += !started || w.done.kind != ERR_NONE;
        end_world(&w);
    } while (reached);
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_call_from_start_to_end),
            cmocka_unit_test(closing_never_calls_back),
            cmocka_unit_test(closing_within_each_callback),
            cmocka_unit_test(nobody_listens),
            cmocka_unit_test(without_calls_nothing_keeps_time),
            cmocka_unit_test(memory_may_run_out),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
