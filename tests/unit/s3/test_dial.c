/*
 * A name with several addresses: the order in which they are tried, and a whole request to one of which the first drops
 * packets. That one is a socket whose queue of connections is full, so that the kernel drops what comes. The name is
 * resolved by a getaddrinfo of ours, which takes libc's place for libcurl, too.
 */
#include "expect.h"
#include "net/race.h"
#include "s3/client.h"
#include "s3/object.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ---- the order ---- */

static void add(struct race_addresses *a, const char *text)
{
    union race_address u;

    memset(&u, 0, sizeof(u));
    if (strchr(text, ':'))
        assert_int_equal(uv_ip6_addr(text, 443, &u.v6), 0);
    else
        assert_int_equal(uv_ip4_addr(text, 443, &u.v4), 0);
    race_addresses_add(a, &u.sa);
}

static void expect_order(const struct race_addresses *a, const char *wanted)
{
    char ip[INET6_ADDRSTRLEN], all[400] = "";
    size_t len = 0;

    for (unsigned i = 0; i < a->n; i++) {
        (void)uv_ip_name(&a->list[i].sa, ip, sizeof(ip));
        len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", len ? " " : "", ip);
    }
    assert_string_equal(all, wanted);
}

static void test_order(void **state)
{
    static const struct {
        const char *addresses[5], *good, *bad, *wanted;
    } rows[] = {
            {{"::1", "::2", "::3", "10.0.0.1"}, NULL, NULL, "::1 10.0.0.1 ::2 ::3"},
            {{"10.0.0.1", "10.0.0.2", "::1", "::2"}, NULL, NULL, "10.0.0.1 ::1 10.0.0.2 ::2"},
            {{"10.0.0.1", "10.0.0.1"}, NULL, NULL, "10.0.0.1"},
            {{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, "10.0.0.3", "10.0.0.1", "10.0.0.3 10.0.0.2 10.0.0.1"},
            {{"10.0.0.1", "10.0.0.2"}, "10.9.9.9", "::9", "10.0.0.1 10.0.0.2"},
            {{"10.0.0.1"}, NULL, "10.0.0.1", "10.0.0.1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct race_addresses a = {.n = 0}, good = {.n = 0}, bad = {.n = 0};

        for (size_t k = 0; k < 5 && rows[i].addresses[k]; k++)
            add(&a, rows[i].addresses[k]);
        if (rows[i].good)
            add(&good, rows[i].good);
        if (rows[i].bad)
            add(&bad, rows[i].bad);
        race_addresses_sort(&a, &good.list[0], &bad.list[0]);
        expect_order(&a, rows[i].wanted);
    }
}

static void test_no_more_than_fit(void **state)
{
    struct race_addresses a = {.n = 0};
    char text[16];

    (void)state;
    for (unsigned i = 0; i < 2 * RACE_MAX; i++) {
        (void)snprintf(text, sizeof(text), "10.0.0.%u", i);
        add(&a, text);
    }
    assert_int_equal(a.n, RACE_MAX);
}

/* ---- what a name resolves to ---- */

static const char *resolved[4];

static struct addrinfo *make_info(const char *text, const char *port)
{
    struct addrinfo *info = calloc(1, sizeof(*info));
    union race_address *u = calloc(1, sizeof(*u));
    const bool is_v6 = strchr(text, ':') != NULL;

    assert_true(info && u);
    if (is_v6)
        assert_int_equal(uv_ip6_addr(text, atoi(port), &u->v6), 0);
    else
        assert_int_equal(uv_ip4_addr(text, atoi(port), &u->v4), 0);
    *info = (struct addrinfo){
            .ai_family = u->sa.sa_family,
            .ai_socktype = SOCK_STREAM,
            .ai_addr = &u->sa,
            .ai_addrlen = is_v6 ? sizeof(u->v6) : sizeof(u->v4),
    };
    return info;
}

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
        struct addrinfo **restrict out)
{
    struct addrinfo **next = out;

    (void)hints;
    if (strcmp(name, "s3.test") != 0)
        return EAI_NONAME;
    for (size_t i = 0; i < ARRAY_LEN(resolved) && resolved[i]; i++, next = &(*next)->ai_next)
        *next = make_info(resolved[i], service ? service : "0");
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info) {
        struct addrinfo *next = info->ai_next;

        free(info->ai_addr);
        free(info);
        info = next;
    }
}

/* ---- the servers ---- */

enum { FILLERS = 4 };

static struct {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_buf_t answer;
    unsigned n_connections, port;
    int deaf, fillers[FILLERS]; /* sockets of the one that drops packets */
} world;

struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    char request[4096];
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct connection *c = handle->data;

    (void)suggested;
    *buf = uv_buf_init(c->request, sizeof(c->request));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;

    (void)buf;
    if (n < 0)
        uv_close((uv_handle_t *)stream, on_closed);
    else
        assert_int_equal(uv_write(&c->write, stream, &world.answer, 1, NULL), 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct connection *c = calloc(1, sizeof(*c));

    assert_true(c && status == 0);
    world.n_connections++;
    c->tcp.data = c;
    (void)uv_tcp_init(&world.loop, &c->tcp);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read), 0);
}

static void listen_on(const char *ip)
{
    struct sockaddr_in sin;
    int len = sizeof(sin);

    assert_int_equal(uv_ip4_addr(ip, 0, &sin), 0);
    (void)uv_tcp_init(&world.loop, &world.listener);
    assert_int_equal(uv_tcp_bind(&world.listener, (const struct sockaddr *)&sin, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&world.listener, 16, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&world.listener, (struct sockaddr *)&sin, &len), 0);
    world.port = ntohs(sin.sin_port);
}

/* A socket whose queue is full: from now on it drops what comes. */
static void be_deaf_on(const char *ip)
{
    struct sockaddr_in sin;

    assert_int_equal(uv_ip4_addr(ip, (int)world.port, &sin), 0);
    world.deaf = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(world.deaf, (const struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(world.deaf, 0), 0);
    for (size_t i = 0; i < FILLERS; i++) {
        world.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(world.fillers[i], (const struct sockaddr *)&sin, sizeof(sin));
    }
}

static int begin(void **state)
{
    static char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    (void)state;
    memset(&world, 0, sizeof(world));
    world.answer = uv_buf_init(answer, sizeof(answer) - 1);
    assert_int_equal(uv_loop_init(&world.loop), 0);
    listen_on("127.0.0.1");
    be_deaf_on("127.0.0.2");
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)close(world.deaf);
    for (size_t i = 0; i < FILLERS; i++)
        (void)close(world.fillers[i]);
    uv_close((uv_handle_t *)&world.listener, NULL);
    assert_int_equal(uv_run(&world.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    return 0;
}

/* ---- requests ---- */

static int credentials(void *ctx, struct s3_credentials *out, struct err *e)
{
    (void)e;
    *out = (struct s3_credentials){.access_key = "access", .secret_key = ctx};
    return 0;
}

static struct s3_client *new_client(unsigned attempts, uint64_t connect_ms)
{
    static struct secret *secret;
    char endpoint[64];
    struct err e = ERR_INIT;
    struct s3_client *c;

    if (!secret)
        secret = secret_new(8, &e);
    (void)snprintf(endpoint, sizeof(endpoint), "http://s3.test:%u", world.port);
    c = s3_client_new(&world.loop,
            &(struct s3_conf){
                    .endpoint = endpoint,
                    .bucket = "bucket",
                    .region = "us-east-1",
                    .connect_timeout_ms = connect_ms,
                    .max_attempts = attempts,
                    .max_connections = 2,
                    .retry_min_ms = 1,
                    .retry_max_ms = 1,
                    .credentials_ctx = secret,
                    .credentials = credentials,
            },
            &e);
    expect_success(c != NULL, &e);
    return c;
}

struct told {
    unsigned attempts;
    struct err err;
};

static void on_done(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct told *told = ctx;

    if (err)
        told->err = *err;
    else
        told->attempts = res->attempts;
    uv_stop(&world.loop);
}

static struct told head(struct s3_client *c)
{
    struct told told = {.err = ERR_INIT};
    struct err e = ERR_INIT;

    expect_success(s3_head(c, "key", &told, on_done, &e) != NULL, &e);
    (void)uv_run(&world.loop, UV_RUN_DEFAULT);
    return told;
}

static void resolve_to(const char *a, const char *b, const char *c)
{
    memcpy(resolved, (const char *[4]){a, b, c, NULL}, sizeof(resolved));
}

static void test_first_drops_packets(void **state)
{
    struct s3_client *c = new_client(1, 60000);
    struct told told;

    (void)state;
    resolve_to("127.0.0.2", "127.0.0.1", NULL);
    told = head(c);
    expect_success(told.attempts == 1, &told.err);
    /* The connection is used again, */
    told = head(c);
    expect_success(told.attempts == 1, &told.err);
    assert_int_equal(world.n_connections, 1);
    /* and where there is none, the good address is known. */
    s3_client_close_idle(c);
    told = head(c);
    expect_success(told.attempts == 1, &told.err);
    assert_int_equal(world.n_connections, 2);
    s3_client_free(c);
}

static void test_other_family(void **state)
{
    struct s3_client *c = new_client(1, 60000);
    struct told told;

    (void)state;
    resolve_to("::1", "127.0.0.3", "127.0.0.1"); /* nobody listens at the first two */
    told = head(c);
    expect_success(told.attempts == 1, &told.err);
    s3_client_free(c);
}

/* Which is told with the reason of each. */
static void test_all_are_dead(void **state)
{
    struct s3_client *c = new_client(2, 300);
    struct told told;
    char text[200];

    (void)state;
    resolve_to("127.0.0.2", "127.0.0.3", NULL);
    told = head(c);
    (void)snprintf(text, sizeof(text),
            "cannot connect to s3.test:%u: 127.0.0.2:%u: no answer in time, 127.0.0.3:%u: Connection refused "
            "(2 attempts over ",
            world.port, world.port, world.port);
    assert_int_equal(told.err.kind, ERR_TRANSIENT);
    if (strncmp(told.err.text, text, strlen(text)) != 0)
        fail_msg("%s", told.err.text);
    s3_client_free(c);
}

static void test_cancelled_while_it_connects(void **state)
{
    struct s3_client *c = new_client(1, 60000);
    struct told told = {.err = ERR_INIT};
    struct err e = ERR_INIT;
    struct s3_request *r;

    (void)state;
    resolve_to("127.0.0.2", NULL, NULL);
    r = s3_head(c, "key", &told, on_done, &e);
    expect_success(r != NULL, &e);
    /* The turn before an attempt, curl's timers, the answer of its resolver, and ours: in the last the address's turn
     * has come, and nothing but it is waited for. */
    while (uv_backend_timeout(&world.loop) != -1 && uv_backend_timeout(&world.loop) < 30000)
        (void)uv_run(&world.loop, UV_RUN_NOWAIT);
    s3_request_cancel(r);
    s3_client_free(c);
    assert_int_equal(told.attempts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_order),
            cmocka_unit_test(test_no_more_than_fit),
            cmocka_unit_test_setup_teardown(test_first_drops_packets, begin, end),
            cmocka_unit_test_setup_teardown(test_other_family, begin, end),
            cmocka_unit_test_setup_teardown(test_all_are_dead, begin, end),
            cmocka_unit_test_setup_teardown(test_cancelled_while_it_connects, begin, end),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
