#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "failing.h"
#include "h2/session.h"
#include "server.h"

enum { WINDOW = 1 << 17 };

/* A session and its server, a clock of our own, and one stream with what it was told. */
struct world {
    struct h2_session *session;
    struct server *server;
    struct h2_stream *stream;
    uint64_t now;
    size_t wakes;
    size_t fields, data_len, ends, dropped;
    struct err end; /* kind ERR_NONE: ended in good order */
    bool credits;   /* what arrives, at once */
    /* What is done within the callback for the first bytes. */
    void (*in_data)(struct world *w);
};

static uint64_t now_ms(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static void wake(void *ctx)
{
    ((struct world *)ctx)->wakes++;
}

static size_t fill_fields(void *ctx, nghttp2_nv out[H2_FIELDS_MAX])
{
    static char text[][16] = {":method", "POST", ":scheme", "http", ":path", "/x", ":authority", "a"};

    (void)ctx;
    for (size_t i = 0; i < 4; i++)
        out[i] = (nghttp2_nv){.name = (uint8_t *)text[2 * i],
                .namelen = strlen(text[2 * i]),
                .value = (uint8_t *)text[2 * i + 1],
                .valuelen = strlen(text[2 * i + 1])};
    return 4;
}

static void on_field(void *ctx, bool last, struct bytes name, struct bytes value)
{
    struct world *w = ctx;

    w->fields++;
    assert_int_equal(last, name.len == strlen("grpc-status"));
    assert_true(value.len > 0);
}

static void on_data(void *ctx, struct bytes piece)
{
    struct world *w = ctx;
    void (*in_data)(struct world *) = w->in_data;

    w->data_len += piece.len;
    w->in_data = NULL;
    if (in_data)
        in_data(w);
    else if (w->credits)
        h2_stream_credit(w->stream, piece.len);
}

static void on_end(void *ctx, const struct err *err)
{
    struct world *w = ctx;

    w->stream = NULL;
    w->ends++;
    w->end = err ? *err : ERR_INIT;
}

static void on_dropped(void *ctx)
{
    struct world *w = ctx;

    w->stream = NULL;
    w->dropped++;
}

static bool open_stream(struct world *w, uint64_t timeout_ms, struct err *e)
{
    const struct h2_stream_spec spec = {
            .body = {.data = (const uint8_t *)"request", .len = 7},
            .timeout_ms = timeout_ms,
            .ctx = w,
            .fields = fill_fields,
            .on_field = on_field,
            .on_data = on_data,
            .on_end = on_end,
            .on_dropped = on_dropped,
    };

    w->stream = h2_stream_open(w->session, &spec, e);
    return w->stream != NULL;
}

/* Bytes to and fro until both have nothing more to say. */
static int exchange(struct world *w, struct err *e)
{
    const uint8_t *data;
    struct bytes answer;
    ssize_t n;

    do {
        while ((n = h2_session_send(w->session, &data, e)) > 0)
            assert_true(server_recv(w->server, (struct bytes){.data = data, .len = (size_t)n}));
        if (n < 0)
            return -1;
        answer = server_send(w->server);
        if (answer.len && h2_session_recv(w->session, answer, e) < 0)
            return -1;
    } while (answer.len);
    return 0;
}

static uint8_t big_answer[1 << 20];

static void begin_world(struct world *w, bool hold)
{
    const struct h2_session_spec spec = {.window = WINDOW, .ctx = w, .now = now_ms, .wake = wake};
    struct err e = ERR_INIT;

    *w = (struct world){.now = 1000, .credits = true};
    w->server = server_new((struct bytes){.data = big_answer, .len = sizeof(big_answer)}, hold);
    w->session = h2_session_new(&spec, &e);
    assert_non_null(w->session);
    assert_int_equal(h2_session_begin(w->session, &e), 0);
}

static void end_world(struct world *w)
{
    h2_session_free(w->session);
    server_free(w->server);
}

static void a_stream_to_its_end(void **state)
{
    struct world w;
    struct err e = ERR_INIT;

    (void)state;
    begin_world(&w, false);
    assert_true(open_stream(&w, 0, &e));
    assert_false(h2_session_is_ready(w.session));
    expect_success(exchange(&w, &e) == 0, &e);
    assert_true(h2_session_is_ready(w.session));
    assert_int_equal(w.ends, 1);
    assert_int_equal(w.end.kind, ERR_NONE);
    assert_int_equal(w.fields, 3);
    assert_int_equal(w.data_len, sizeof(big_answer));
    assert_int_equal(server_counts(w.server).request_bytes, 7);
    assert_int_equal(server_counts(w.server).resets, 0);
    /* Half a window at a time, for the stream and for the connection. */
    assert_in_range(server_counts(w.server).window_updates, 20, 2 * 2 * sizeof(big_answer) / WINDOW + 2);
    assert_false(h2_session_has_streams(w.session));
    end_world(&w);
}

static void without_credit_the_server_stalls(void **state)
{
    struct world w;
    struct err e = ERR_INIT;

    (void)state;
    begin_world(&w, false);
    w.credits = false;
    assert_true(open_stream(&w, 0, &e));
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(w.data_len, WINDOW);
    assert_int_equal(w.ends, 0);
    h2_stream_credit(w.stream, WINDOW / 2 - 1);
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(w.data_len, WINDOW); /* not yet worth a frame */
    w.wakes = 0;
    h2_stream_credit(w.stream, 1);
    assert_true(w.wakes > 0);
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(w.data_len, WINDOW + WINDOW / 2);
    /* More than is owed is not believed. */
    h2_stream_credit(w.stream, SIZE_MAX);
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(w.data_len, 2 * WINDOW + WINDOW / 2);
    end_world(&w);
    assert_int_equal(w.dropped, 1);
}

static void what_a_reset_stream_owed_is_credited(void **state)
{
    struct world w;
    struct err e = ERR_INIT;

    (void)state;
    begin_world(&w, false);
    w.credits = false;
    for (int i = 0; i < 5; i++) {
        w.data_len = 0;
        assert_true(open_stream(&w, 0, &e));
        assert_int_equal(exchange(&w, &e), 0);
        assert_int_equal(w.data_len, WINDOW); /* a whole window each time */
        h2_stream_reset(w.stream);
        assert_int_equal(exchange(&w, &e), 0);
        assert_int_equal(server_counts(w.server).resets, (size_t)i + 1);
        assert_int_equal(server_counts(w.server).reset_code, NGHTTP2_CANCEL);
    }
    assert_int_equal(w.ends + w.dropped, 0);
    end_world(&w);
}

static void reset_it(struct world *w)
{
    h2_stream_reset(w->stream);
    w->stream = NULL;
}

static void shut_it(struct world *w)
{
    h2_session_shut(w->session);
}

static void reset_and_open_another(struct world *w)
{
    struct err e = ERR_INIT;

    reset_it(w);
    w->data_len = 0;
    assert_true(open_stream(w, 0, &e));
}

static void within_a_callback_all_may_be_ended(void **state)
{
    struct world w;
    struct err e = ERR_INIT;

    (void)state;
    begin_world(&w, false);
    w.in_data = reset_it;
    assert_true(open_stream(&w, 0, &e));
    assert_int_equal(exchange(&w, &e), 0);
    assert_true(w.data_len <= 16384);
    assert_int_equal(w.ends, 0);
    assert_int_equal(server_counts(w.server).resets, 1);
    end_world(&w);

    begin_world(&w, false);
    w.in_data = reset_and_open_another;
    assert_true(open_stream(&w, 0, &e));
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(w.data_len, sizeof(big_answer));
    assert_int_equal(w.ends, 1);
    end_world(&w);

    begin_world(&w, false);
    w.in_data = shut_it;
    assert_true(open_stream(&w, 0, &e));
    assert_int_equal(exchange(&w, &e), 0);
    assert_true(w.data_len <= 16384);
    assert_int_equal(w.ends, 0);
    assert_int_equal(w.dropped, 1);
    assert_int_equal(server_counts(w.server).resets, 1);
    assert_int_equal(server_counts(w.server).goaways, 1);
    assert_false(open_stream(&w, 0, &e));
    end_world(&w);
}

static void patience_ends(void **state)
{
    struct world w;
    struct err e = ERR_INIT;

    (void)state;
    begin_world(&w, true);
    assert_true(open_stream(&w, 300, &e));
    assert_int_equal(h2_session_deadline(w.session), 0); /* it has not been asked yet */
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(h2_session_deadline(w.session), 1300);
    w.now = 1200;
    h2_stream_touch(w.stream);
    assert_int_equal(h2_session_deadline(w.session), 1500);
    w.now = 1499;
    h2_session_expire(w.session);
    assert_int_equal(w.ends, 0);
    w.now = 1500;
    h2_session_expire(w.session);
    assert_int_equal(w.ends, 1);
    expect_error(&w.end, ERR_TRANSIENT, "no answer within 0.3 s");
    assert_int_equal(h2_session_deadline(w.session), 0);
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(server_counts(w.server).reset_code, NGHTTP2_CANCEL);
    end_world(&w);
}

static void goaway(void **state)
{
    struct world w;
    struct err e = ERR_INIT;

    (void)state;
    begin_world(&w, true);
    assert_true(open_stream(&w, 0, &e));
    assert_int_equal(exchange(&w, &e), 0);
    server_goaway(w.server, 0);
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(w.ends, 1);
    expect_error(&w.end, ERR_TRANSIENT, "the server is going away: NO_ERROR");
    assert_int_equal(h2_session_check(w.session, &e), -1);
    expect_error(&e, ERR_TRANSIENT, "the server is going away: NO_ERROR");
    assert_false(open_stream(&w, 0, &e));
    end_world(&w);
}

static void a_session_begins_again(void **state)
{
    struct world w;
    struct err e = ERR_INIT;
    const uint8_t *data;

    (void)state;
    begin_world(&w, false);
    assert_true(open_stream(&w, 0, &e));
    /* The first connection took the preface and broke: nothing was asked on it. */
    assert_true(h2_session_send(w.session, &data, &e) > 0);
    assert_int_equal(h2_session_begin(w.session, &e), 0);
    assert_int_equal(exchange(&w, &e), 0);
    assert_int_equal(server_counts(w.server).requests, 1);
    assert_int_equal(w.ends, 1);
    end_world(&w);
}

static void failing_ends_all(void **state)
{
    struct err why = ERR_INIT, e = ERR_INIT;
    struct world w;

    (void)state;
    begin_world(&w, true);
    assert_true(open_stream(&w, 0, &e));
    assert_int_equal(exchange(&w, &e), 0);
    err_set(&why, ERR_AUTH, ERR_DOMAIN_TLS, 1, "so it is");
    h2_session_fail(w.session, &why);
    assert_int_equal(w.ends, 1);
    expect_error(&w.end, ERR_AUTH, "so it is");
    assert_false(open_stream(&w, 0, &e));
    expect_error(&e, ERR_AUTH, "so it is");
    end_world(&w);
}

/* Wherever memory runs out, in our code or in nghttp2: one error, or one end; nothing is leaked or used after. */
static void memory_may_run_out(void **state)
{
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct world w = {.credits = true};
        const struct h2_session_spec spec = {.window = WINDOW, .ctx = &w, .now = now_ms, .wake = wake};
        struct err e = ERR_INIT;
        bool done;

        w.server = server_new((struct bytes){.data = big_answer, .len = 40000}, false);
        failing_arm(++n);
        w.session = h2_session_new(&spec, &e);
        done = w.session && h2_session_begin(w.session, &e) == 0 && open_stream(&w, 0, &e) && exchange(&w, &e) == 0;
        reached = failing_disarm();
        if (done)
            assert_true(w.ends == 1 && (w.end.kind == ERR_NONE || w.end.kind == ERR_RESOURCE || reached));
        else
            assert_true(reached && e.kind != ERR_NONE);
        if (!reached)
            assert_int_equal(w.end.kind, ERR_NONE);
        end_world(&w);
    } while (reached);
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_stream_to_its_end),
            cmocka_unit_test(without_credit_the_server_stalls),
            cmocka_unit_test(what_a_reset_stream_owed_is_credited),
            cmocka_unit_test(within_a_callback_all_may_be_ended),
            cmocka_unit_test(patience_ends),
            cmocka_unit_test(goaway),
            cmocka_unit_test(a_session_begins_again),
            cmocka_unit_test(failing_ends_all),
            cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
