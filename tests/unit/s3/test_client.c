/*
 * Clients and requests: what they refuse, what starting and cancelling leaves behind, and each allocation failing in
 * turn, also while requests are under way.
 */
#include "expect.h"
#include "failing.h"
#include "s3/client.h"
#include "s3/object.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>

#include "base/secret.h"

static int credentials(void *ctx, struct s3_credentials *out, struct err *e)
{
    (void)out;
    ++*(unsigned *)ctx;
    return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "no credentials today");
}

static unsigned asked;

static const struct s3_conf conf = {
        .endpoint = "http://127.0.0.1:1",
        .bucket = "bucket",
        .region = "us-east-1",
        .max_attempts = 3,
        .max_connections = 1,
        .credentials_ctx = &asked,
        .credentials = credentials,
};

static void end_loop(uv_loop_t *loop)
{
    assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(loop), 0);
}

struct told {
    unsigned n;
    struct err err;
};

static void on_done(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct told *told = ctx;

    assert_null(res);
    told->n++;
    told->err = *err;
}

static void on_listed(void *ctx, const struct err *err)
{
    on_done(ctx, NULL, err);
}

/* Not inside the start; once; with the text of whom it failed at; and not tried again. */
static void test_failing_credentials(void **state)
{
    struct told told = {.n = 0};
    struct err e = ERR_INIT;
    struct s3_client *c;
    uv_loop_t loop;

    (void)state;
    asked = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    c = s3_client_new(&loop, &conf, &e);
    expect_success(c && s3_head(c, "key", &told, on_done, &e), &e);
    assert_int_equal(told.n, 0);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(told.n, 1);
    assert_int_equal(asked, 1);
    expect_error(&told.err, ERR_BUSY, "no credentials today");
    s3_client_free(c);
    end_loop(&loop);
}

static void test_cancel_never_calls_back(void **state)
{
    const struct s3_listing_spec listing = {.prefix = "p", .on_done = on_listed};
    struct told told = {.n = 0};
    struct err e = ERR_INIT;
    struct s3_client *c;
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    c = s3_client_new(&loop, &conf, &e);
    expect_success(c, &e);
    s3_request_cancel(s3_head(c, "key", &told, on_done, &e));
    s3_listing_cancel(s3_list_objects(c, &listing, &e));
    s3_listing_cancel(s3_list_unfinished(c, &listing, &e));
    s3_listing_cancel(s3_list_versions(c, &listing, &e));
    s3_client_close_idle(c);
    s3_client_free(c);
    end_loop(&loop);
    assert_int_equal(told.n, 0);
}

static void test_refused_requests(void **state)
{
    static uint8_t byte;
    const struct s3_param many[64] = {{"a", "b"}};
    const struct s3_request_spec rows[] = {
            {.method = S3_GET, .key = ""},
            {.method = S3_GET, .key = "k", .into = &byte, .into_len = 0},
            {.method = S3_PUT, .key = "k", .into = &byte, .into_len = 1},
            {.method = S3_GET, .key = "k", .into = &byte, .into_len = 2, .range_start = UINT64_MAX - 1},
            {.method = S3_GET, .key = "k", .headers = many, .n_headers = 64},
    };
    const struct s3_put_spec put = {.key = "k", .metadata = many, .n_metadata = 64};
    const struct s3_param long_name = {"a-name-that-is-so-long-that-no-store-would-take-it-for-metadata", "v"};
    const struct s3_get_spec get = {.key = "k", .version_id = ""};
    const struct s3_put_spec long_put = {.key = "k", .metadata = &long_name, .n_metadata = 1};
    struct err e = ERR_INIT;
    struct s3_client *c;
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    c = s3_client_new(&loop, &conf, &e);
    expect_success(c, &e);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        e = ERR_INIT;
        assert_null(s3_request_start(c, &rows[i], &e));
        assert_int_equal(e.kind, ERR_CONFIG);
    }
    assert_null(s3_put(c, &put, &e));
    expect_error(&e, ERR_CONFIG, "more than 32 metadata of an object");
    assert_null(s3_put(c, &long_put, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_null(s3_get(c, &get, &e));
    expect_error(&e, ERR_CONFIG, "an empty version id");
    e = ERR_INIT;
    assert_null(s3_delete_version(c, "k", "", NULL, on_done, &e));
    expect_error(&e, ERR_CONFIG, "an empty version id");
    s3_client_free(c);
    end_loop(&loop);
}

/* Whatever fails to be made is told, and nothing of it is left. */
static void test_no_memory(void **state)
{
    const struct s3_param headers[] = {{"x-amz-meta-a", "1"}, {"x-amz-meta-b", "2"}};
    const struct s3_param query = {"uploads", ""};
    const struct s3_request_spec spec = {.method = S3_POST,
            .key = "k",
            .headers = headers,
            .n_headers = 2,
            .query = &query,
            .n_query = 1,
            .if_match = "\"e\"",
            .fine_code = "NoSuchUpload"};
    const struct s3_listing_spec listing = {.prefix = "p", .on_done = on_listed};
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct s3_request *r = NULL;
        struct s3_listing *l = NULL;
        struct err e = ERR_INIT;
        struct s3_client *c;
        uv_loop_t loop;

        assert_int_equal(uv_loop_init(&loop), 0);
        failing_arm(++n);
        c = s3_client_new(&loop, &conf, &e);
        if (c)
            r = s3_request_start(c, &spec, &e);
        if (r)
            l = s3_list_objects(c, &listing, &e);
        reached = failing_disarm();
        assert_int_equal(!l, reached);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        if (l)
            s3_listing_cancel(l);
        if (r)
            s3_request_cancel(r);
        s3_client_free(c);
        end_loop(&loop);
    } while (reached);
    assert_true(n > 15);
}

enum { REQUESTS = 2, PEERS = REQUESTS * 2 };

/* A store in our own loop, which answers whatever it gets and keeps no loop alive; a client of it, and what this is
 * told. */
struct exchange {
    uv_loop_t loop;
    uv_tcp_t listener, peers[PEERS];
    unsigned n_peers;
    struct secret *secret;
    unsigned n_told, n_failed, n_unwatched, n_again;
    size_t n_tokens; /* that came */
};

static int log_in(void *ctx, struct s3_credentials *out, struct err *e)
{
    const struct exchange *x = ctx;

    (void)e;
    *out = (struct s3_credentials){.access_key = "key", .secret_key = x->secret};
    return 0;
}

static void on_answered(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct exchange *x = ctx;

    x->n_told++;
    if (err) {
        /* libcurl does not always say that it was memory that it had none of. */
        assert_true(err->kind == ERR_RESOURCE || (err->kind == ERR_TRANSIENT && err->domain == ERR_DOMAIN_CURL));
        x->n_failed++;
        if (strncmp(err->text, "cannot watch a connection to 127.0.0.1:", 39) == 0)
            x->n_unwatched += strstr(err->text, ": Cannot allocate memory") != NULL;
    } else if (res->attempts > 1) {
        x->n_again++;
    }
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    static char room[4096];

    (void)handle, (void)size;
    *out = uv_buf_init(room, sizeof(room));
}

static size_t count_tokens(const char *memory, size_t len);

static void on_asked(uv_stream_t *peer, ssize_t n, const uv_buf_t *room)
{
    static char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
    uv_buf_t b = uv_buf_init(answer, sizeof(answer) - 1);
    struct exchange *x = peer->data;

    if (n > 0)
        x->n_tokens += count_tokens(room->base, (size_t)n);
    memset(room->base, 0, room->len);
    if (n < 0)
        (void)uv_read_stop(peer);
    else if (n > 0)
        assert_int_equal(uv_try_write(peer, &b, 1), sizeof(answer) - 1);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct exchange *x = listener->data;
    uv_tcp_t *peer = &x->peers[x->n_peers++];

    assert_int_equal(status, 0);
    assert_in_range(x->n_peers, 1, PEERS);
    assert_int_equal(uv_tcp_init(&x->loop, peer), 0);
    peer->data = x;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)peer), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)peer, on_alloc, on_asked), 0);
    uv_unref((uv_handle_t *)peer);
}

/* The loop, the store, and a client that tries so many times. */
static struct s3_client *exchange_begin_with(struct exchange *x, unsigned attempts,
        int (*credentials_of)(void *ctx, struct s3_credentials *out, struct err *e))
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct s3_conf to_store = conf;
    struct err e = ERR_INIT;
    struct s3_client *c;
    char endpoint[64];
    int len = sizeof(address);

    *x = (struct exchange){.n_told = 0};
    assert_int_equal(uv_loop_init(&x->loop), 0);
    assert_int_equal(uv_tcp_init(&x->loop, &x->listener), 0);
    assert_int_equal(uv_tcp_bind(&x->listener, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&x->listener, PEERS, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&x->listener, (struct sockaddr *)&address, &len), 0);
    x->listener.data = x;
    uv_unref((uv_handle_t *)&x->listener);
    expect_success(x->secret = secret_copy("secret", 6, &e), &e);
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", ntohs(address.sin_port));
    to_store.endpoint = endpoint;
    to_store.max_attempts = attempts;
    to_store.retry_min_ms = to_store.retry_max_ms = 1;
    to_store.max_connections = REQUESTS;
    to_store.credentials_ctx = x;
    to_store.credentials = credentials_of;
    expect_success(c = s3_client_new(&x->loop, &to_store, &e), &e);
    return c;
}

static struct s3_client *exchange_begin(struct exchange *x, unsigned attempts)
{
    return exchange_begin_with(x, attempts, log_in);
}

static void exchange_end(struct exchange *x, struct s3_client *c)
{
    s3_client_free(c);
    uv_close((uv_handle_t *)&x->listener, NULL);
    for (unsigned i = 0; i < x->n_peers; i++)
        uv_close((uv_handle_t *)&x->peers[i], NULL);
    end_loop(&x->loop);
    secret_free(x->secret);
}

/* Both are told, whichever allocation fails while they are under way. A socket that cannot be watched ends them all:
 * for good if that was the last attempt, and else they come through. */
static void test_no_memory_on_the_way(void **state)
{
    unsigned unwatched = 0, again = 0;

    (void)state;
    for (unsigned attempts = 1; attempts <= 2; attempts++) {
        size_t n = 0;
        bool reached;

        do {
            struct exchange x;
            struct s3_client *c = exchange_begin(&x, attempts);
            struct err e = ERR_INIT;

            for (unsigned i = 0; i < REQUESTS; i++)
                expect_success(s3_head(c, "key", &x, on_answered, &e), &e);
            failing_arm(++n);
            assert_int_equal(uv_run(&x.loop, UV_RUN_DEFAULT), 0);
            reached = failing_disarm();
            assert_int_equal(x.n_told, REQUESTS);
            assert_true(reached || x.n_failed + x.n_again == 0);
            unwatched += x.n_unwatched;
            again += x.n_again;
            exchange_end(&x, c);
        } while (reached);
        assert_true(n > 15);
    }
    /* The first socket takes both along, or only its own if the other was not yet begun; the second does always. */
    assert_true(unwatched > REQUESTS && again > REQUESTS);
}

/* ---- what is left of a session token ---- */

/* Written backwards, so that it is nowhere in this program as it is sent. */
static const char backwards[] = "thgin eht fo nekot eht si siht";
enum { TOKEN_LEN = sizeof(backwards) - 1 };

static char token_at(size_t i)
{
    return backwards[TOKEN_LEN - 1 - i];
}

static size_t count_tokens(const char *memory, size_t len)
{
    size_t n = 0;

    for (size_t at = 0; at + TOKEN_LEN <= len; at++) {
        size_t i = 0;

        while (i < TOKEN_LEN && memory[at + i] == token_at(i))
            i++;
        n += i == TOKEN_LEN;
    }
    return n;
}

/* Copies of it in all that this process can write to (proc(5), maps and mem). */
static size_t count_in_memory(void)
{
    static char piece[1 << 16];
    FILE *maps = fopen("/proc/self/maps", "re"), *mem = fopen("/proc/self/mem", "rbe");
    char line[512], rights[8];
    unsigned long begin, end;
    size_t n = 0, len;

    assert_true(maps && mem);
    setbuf(mem, NULL);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) != 3 || strncmp(rights, "rw", 2) != 0)
            continue;
        /* By pieces that overlap; the sanitizer's shadow is larger than the test should take, and has none. */
        for (unsigned long at = begin; end - begin < 1UL << 28 && at < end; at += sizeof(piece) - TOKEN_LEN) {
            len = end - at < sizeof(piece) ? end - at : sizeof(piece);
            if (fseek(mem, (long)at, SEEK_SET) == 0 && fread(piece, 1, len, mem) == len)
                n += (at > (unsigned long)(piece + sizeof(piece)) || at + len <= (unsigned long)piece)
                             ? count_tokens(piece, len)
                             : 0;
            memset(piece, 0, sizeof(piece));
        }
    }
    (void)fclose(mem);
    (void)fclose(maps);
    return n;
}

static struct secret *token;

static int log_in_with_token(void *ctx, struct s3_credentials *out, struct err *e)
{
    (void)log_in(ctx, out, e);
    out->session_token = token;
    return 0;
}

/* What libcurl copied of it is wiped, too. The store, which is in this process, wipes what it received. */
static void test_nothing_is_left_of_a_token(void **state)
{
    struct exchange x;
    struct s3_client *c;
    struct err e = ERR_INIT;

    (void)state;
    expect_success(token = secret_new(TOKEN_LEN, &e), &e);
    for (size_t i = 0; i < TOKEN_LEN; i++)
        secret_data(token)[i] = (uint8_t)token_at(i);
    c = exchange_begin_with(&x, 1, log_in_with_token);
    expect_success(s3_head(c, "key", &x, on_answered, &e), &e);
    assert_int_equal(uv_run(&x.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(x.n_told - x.n_failed, 1);
    assert_int_equal(x.n_tokens, 1);
    exchange_end(&x, c);
    assert_int_equal(count_in_memory(), 1);
    secret_free(token);
    assert_int_equal(count_in_memory(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_failing_credentials),
            cmocka_unit_test(test_cancel_never_calls_back),
            cmocka_unit_test(test_refused_requests),
            cmocka_unit_test(test_no_memory),
            cmocka_unit_test(test_no_memory_on_the_way),
            cmocka_unit_test(test_nothing_is_left_of_a_token),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
