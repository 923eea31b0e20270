/*
 * Attempts after attempts: how many, for how long, and who is told. Against a server in the same loop that breaks off,
 * and with a clock that is put forward by hand.
 */
#include "expect.h"
#include "s3/client.h"
#include "s3/request.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 1000, PATIENCE_MS = 1000000, STEP_MS = 100000, REQUEST_MAX = 4096, FOR_EVER = 1 << 20 };

static uint64_t put_forward_ms;
uint64_t __real_uv_now(const uv_loop_t *loop);
uint64_t __wrap_uv_now(const uv_loop_t *loop);

uint64_t __wrap_uv_now(const uv_loop_t *loop)
{
    return __real_uv_now(loop) + put_forward_ms;
}

/* ---- the server: an answer for each connection ---- */

static struct {
    unsigned n;            /* connections so far */
    unsigned brings_every; /* the nth answer, and its multiples, brings bytes; the others are none at all */
    size_t brings;         /* so many, then it breaks off */
    unsigned whole_from;   /* from this one on all is answered in full */
    bool has_etag;
} server;

struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    char request[REQUEST_MAX], answer[REQUEST_MAX];
    size_t len;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    uv_close((uv_handle_t *)write->handle, on_closed);
}

static void answer(struct connection *c)
{
    const char *range = strstr(c->request, "bytes=");
    unsigned first = range ? (unsigned)strtoul(range + strlen("bytes="), NULL, 10) : 0;
    size_t brings = ++server.n >= server.whole_from                              ? SIZE - first
                    : server.brings_every && server.n % server.brings_every == 0 ? server.brings
                                                                                 : 0;
    int head = snprintf(c->answer, sizeof(c->answer),
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %u-%u/%u\r\nContent-Length: %u\r\n%s\r\n", first,
            SIZE - 1, SIZE, SIZE - first, server.has_etag ? "ETag: \"e\"\r\n" : "");
    uv_buf_t buf = uv_buf_init(c->answer, (unsigned)head + (unsigned)brings);

    if (brings == 0) {
        uv_close((uv_handle_t *)&c->tcp, on_closed);
        return;
    }
    for (size_t i = 0; i < brings; i++)
        c->answer[(size_t)head + i] = (char)((first + i) % 251);
    assert_int_equal(uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written), 0);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct connection *c = handle->data;

    (void)suggested;
    *buf = uv_buf_init(c->request + c->len, (unsigned)(REQUEST_MAX - 1 - c->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;

    (void)buf;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    c->len += (size_t)n;
    if (!strstr(c->request, "\r\n\r\n"))
        return;
    (void)uv_read_stop(stream);
    answer(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct connection *c = calloc(1, sizeof(*c));

    assert_int_equal(status, 0);
    if (!c)
        abort();
    c->tcp.data = c;
    assert_int_equal(uv_tcp_init(listener->loop, &c->tcp), 0);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read), 0);
}

/* ---- the client ---- */

static struct {
    struct s3_request *request;
    uv_tcp_t *listener;
    struct s3_retry last;
    unsigned retries, cancel_at, hurry_at, done;
    bool failed;
    struct err err;
} told;

static int credentials(void *ctx, struct s3_credentials *out, struct err *e)
{
    (void)e;
    *out = (struct s3_credentials){.access_key = "key", .secret_key = ctx};
    return 0;
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    assert_ptr_equal(ctx, &told);
    assert_int_equal(retry->why->kind, ERR_TRANSIENT);
    assert_int_equal(retry->attempts, ++told.retries);
    told.last = *retry;
    if (told.retries == told.hurry_at)
        s3_request_hurry(told.request);
    put_forward_ms += STEP_MS;
    if (told.retries != told.cancel_at)
        return;
    s3_request_cancel(told.request);
    uv_close((uv_handle_t *)told.listener, NULL);
}

static void on_done(void *ctx, const struct s3_response *res, const struct err *err)
{
    assert_ptr_equal(ctx, &told);
    told.done++;
    told.failed = !res;
    if (err)
        told.err = *err;
    uv_close((uv_handle_t *)told.listener, NULL);
}

static uint8_t into[SIZE];

/* Runs one request to its end: a GET, or a PUT, for which an answer in full is what makes the difference. */
static void run_request(enum s3_method method, uint64_t patience_ms)
{
    _cleanup_secret_ struct secret *key = NULL;
    struct s3_request_spec spec = {
            .method = method,
            .key = "k",
            .into = method == S3_GET ? into : NULL,
            .into_len = method == S3_GET ? SIZE : 0,
            .patience_ms = patience_ms,
            .ctx = &told,
            .on_retry = on_retry,
            .on_done = on_done,
    };
    struct s3_conf conf = {
            .bucket = "bucket",
            .max_attempts = 3,
            .max_connections = 1,
            .retry_min_ms = 1,
            .retry_max_ms = 2,
            .credentials = credentials,
    };
    struct sockaddr_in address;
    int len = sizeof(address);
    struct err e = ERR_INIT;
    struct s3_client *c;
    char endpoint[64];
    uv_tcp_t listener;
    uv_loop_t loop;

    key = secret_new(8, &e);
    expect_success(key, &e);
    assert_int_equal(uv_loop_init(&loop) | uv_tcp_init(&loop, &listener), 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    assert_int_equal(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&listener, 8, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", ntohs(address.sin_port));
    conf.endpoint = endpoint;
    conf.credentials_ctx = key;
    c = s3_client_new(&loop, &conf, &e);
    expect_success(c, &e);
    told.listener = &listener;
    told.request = s3_request_start(c, &spec, &e);
    expect_success(told.request, &e);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    s3_client_free(c);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (size_t i = 0; method == S3_GET && told.done && !told.failed && i < SIZE; i++)
        assert_int_equal(into[i], i % 251);
}

static void run(uint64_t patience_ms)
{
    run_request(S3_GET, patience_ms);
}

static int setup(void **state)
{
    (void)state;
    memset(&server, 0, sizeof(server));
    memset(&told, 0, sizeof(told));
    memset(into, 0, sizeof(into));
    server.has_etag = true;
    server.whole_from = FOR_EVER;
    put_forward_ms = 0;
    return 0;
}

static void test_so_many_attempts(void **state)
{
    (void)state;
    run(0);
    assert_true(told.done == 1 && told.failed);
    assert_int_equal(server.n, 3);
    assert_int_equal(told.retries, 2);
    assert_int_equal(told.last.max_attempts, 3);
    assert_non_null(strstr(told.err.text, "(3 attempts over "));
}

/* However many attempts that makes; and it does end. */
static void test_so_long(void **state)
{
    (void)state;
    run(PATIENCE_MS);
    assert_true(told.done == 1 && told.failed);
    assert_int_equal(told.err.kind, ERR_TRANSIENT);
    assert_int_equal(told.retries, PATIENCE_MS / STEP_MS);
    assert_int_equal(server.n, told.retries + 1);
    assert_int_equal(told.last.max_attempts, 0);
    assert_in_range(told.last.left_ms, 1, STEP_MS);
}

/* The store comes back. */
static void test_back_again(void **state)
{
    (void)state;
    server.whole_from = 8;
    run(PATIENCE_MS);
    assert_true(told.done == 1 && !told.failed);
    assert_int_equal(told.retries, 7);
}

/* Each byte makes patience begin anew. */
static void test_as_long_as_bytes_come(void **state)
{
    (void)state;
    server.brings_every = 9;
    server.brings = 100;
    server.whole_from = 60;
    run(PATIENCE_MS);
    assert_true(told.done == 1 && !told.failed);
    assert_int_equal(told.retries, 59);
}

/* Unless they are the same bytes again and again, as of a store without ETags, which has to be asked from the
 * beginning. */
static void test_the_same_bytes(void **state)
{
    (void)state;
    server.has_etag = false;
    server.brings_every = 1;
    server.brings = 100;
    server.whole_from = 60;
    run(PATIENCE_MS);
    assert_true(told.done == 1 && told.failed);
    assert_int_equal(told.retries, PATIENCE_MS / STEP_MS);
}

static void test_cancelled_when_told(void **state)
{
    (void)state;
    told.cancel_at = 5;
    run(PATIENCE_MS);
    assert_int_equal(told.done, 0);
    assert_int_equal(told.retries, 5);
    assert_int_equal(server.n, 5);
}

/* A part, a commit: from the first failure on, however many attempts that makes. */
static void test_a_put_goes_on_for_so_long(void **state)
{
    (void)state;
    run_request(S3_PUT, PATIENCE_MS);
    assert_true(told.done == 1 && told.failed);
    assert_int_equal(told.retries, PATIENCE_MS / STEP_MS);
    assert_non_null(strstr(told.err.text, "(11 attempts over "));
}

static void test_a_put_that_succeeds_at_last(void **state)
{
    (void)state;
    server.whole_from = 8;
    run_request(S3_PUT, PATIENCE_MS);
    assert_true(told.done == 1 && !told.failed);
    assert_int_equal(told.retries, 7);
}

/* Attempts that take longer than all of the patience are made all the same. */
static void test_a_put_is_tried_so_often_at_least(void **state)
{
    (void)state;
    run_request(S3_PUT, 1);
    assert_true(told.done == 1 && told.failed);
    assert_int_equal(server.n, 3);
    assert_int_equal(told.last.max_attempts, 3);
}

static void test_a_put_in_a_hurry(void **state)
{
    (void)state;
    told.hurry_at = 5;
    run_request(S3_PUT, PATIENCE_MS);
    assert_true(told.done == 1 && told.failed);
    assert_int_equal(server.n, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_so_many_attempts, setup),
            cmocka_unit_test_setup(test_so_long, setup),
            cmocka_unit_test_setup(test_back_again, setup),
            cmocka_unit_test_setup(test_as_long_as_bytes_come, setup),
            cmocka_unit_test_setup(test_the_same_bytes, setup),
            cmocka_unit_test_setup(test_cancelled_when_told, setup),
            cmocka_unit_test_setup(test_a_put_goes_on_for_so_long, setup),
            cmocka_unit_test_setup(test_a_put_that_succeeds_at_last, setup),
            cmocka_unit_test_setup(test_a_put_is_tried_so_often_at_least, setup),
            cmocka_unit_test_setup(test_a_put_in_a_hurry, setup),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
