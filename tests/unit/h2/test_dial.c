/*
 * A name with several addresses, of which the first drops packets: a socket whose queue of connections is full, so that
 * the kernel drops what comes. The name is resolved by a getaddrinfo of ours, which takes libc's place for libuv, too.
 */
#include "expect.h"
#include "h2/dial.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { FILLERS = 4 };

static struct {
    uv_loop_t loop;
    int listener, deaf, fillers[FILLERS];
    unsigned port;
    const char *resolved[4];
    char asked[64]; /* for which name */

    struct h2_dial *dial;
    uv_stream_t *stream; /* that was made */
    struct err err;
    unsigned answers;
} world;

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
        struct addrinfo **restrict out)
{
    struct addrinfo **next = out;

    (void)hints;
    (void)snprintf(world.asked, sizeof(world.asked), "%s", name);
    for (size_t i = 0; i < ARRAY_LEN(world.resolved) && world.resolved[i]; i++, next = &(*next)->ai_next) {
        struct sockaddr_in *sin = calloc(1, sizeof(*sin));

        *next = calloc(1, sizeof(**next));
        assert_true(sin && *next);
        assert_int_equal(uv_ip4_addr(world.resolved[i], atoi(service), sin), 0);
        (*next)->ai_family = AF_INET;
        (*next)->ai_socktype = SOCK_STREAM;
        (*next)->ai_addr = (struct sockaddr *)sin;
        (*next)->ai_addrlen = sizeof(*sin);
    }
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

static int listen_on(const char *ip, unsigned port, int backlog)
{
    struct sockaddr_in sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(uv_ip4_addr(ip, (int)port, &sin), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void be_deaf_on(const char *ip)
{
    struct sockaddr_in sin;

    world.deaf = listen_on(ip, world.port, 0);
    assert_int_equal(uv_ip4_addr(ip, (int)world.port, &sin), 0);
    for (size_t i = 0; i < FILLERS; i++) {
        world.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(world.fillers[i], (const struct sockaddr *)&sin, sizeof(sin));
    }
}

static int begin(void **state)
{
    struct sockaddr_in sin;
    socklen_t len = sizeof(sin);

    (void)state;
    memset(&world, 0, sizeof(world));
    assert_int_equal(uv_loop_init(&world.loop), 0);
    world.listener = listen_on("127.0.0.1", 0, 16);
    assert_int_equal(getsockname(world.listener, (struct sockaddr *)&sin, &len), 0);
    world.port = ntohs(sin.sin_port);
    be_deaf_on("127.0.0.2");
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)close(world.listener);
    (void)close(world.deaf);
    for (size_t i = 0; i < FILLERS; i++)
        (void)close(world.fillers[i]);
    assert_int_equal(uv_run(&world.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    return 0;
}

static void on_resolved(void *ctx, const struct err *err)
{
    (void)ctx;
    assert_null(err);
    assert_true(h2_dial_has_next(world.dial));
    expect_success(h2_dial_next(world.dial, &world.err) == 0, &world.err);
    assert_false(h2_dial_has_next(world.dial));
}

static void on_connected(void *ctx, uv_stream_t *stream, const struct err *err)
{
    (void)ctx;
    world.answers++;
    world.stream = stream;
    if (err)
        world.err = *err;
    uv_stop(&world.loop);
}

static void dial(const char *text, union race_address *good)
{
    struct endpoint ep;
    struct h2_dial_spec spec = {
            .endpoint = &ep, .good = good, .on_resolved = on_resolved, .on_connected = on_connected};

    world.err = (struct err){.kind = ERR_NONE};
    expect_success(endpoint_parse(text, ENDPOINT_ETCD, &ep, &world.err) == 0, &world.err);
    world.dial = h2_dial_start(&world.loop, &spec, &world.err);
    expect_success(world.dial, &world.err);
    (void)uv_run(&world.loop, UV_RUN_DEFAULT);
}

static void hang_up(void)
{
    if (world.stream)
        h2_dial_close_stream(world.stream);
    world.stream = NULL;
    h2_dial_free(world.dial);
}

static void the_first_drops_packets(void **state)
{
    union race_address good = {.sa = {.sa_family = 0}};
    char text[64], ip[RACE_ADDRESS_TEXT_MAX], wanted[64];

    (void)state;
    world.resolved[0] = "127.0.0.2";
    world.resolved[1] = "127.0.0.1";
    (void)snprintf(text, sizeof(text), "http://etcd.test.:%u", world.port);
    (void)snprintf(wanted, sizeof(wanted), "127.0.0.1:%u", world.port);
    dial(text, &good);
    expect_success(world.stream, &world.err);
    assert_string_equal(world.asked, "etcd.test."); /* with its dot: no search */
    assert_string_equal(h2_dial_address(world.dial), wanted);
    assert_true(h2_dial_has_next(world.dial)); /* the slow one, if this turns out to be of no use */
    /* Of use: it will be the first. */
    h2_dial_praise(world.dial);
    hang_up();
    assert_string_equal(race_address_text(&good, ip), wanted);
    /* Not of use any more: it is forgotten. */
    dial(text, &good);
    expect_success(world.stream, &world.err);
    assert_string_equal(h2_dial_address(world.dial), wanted);
    hang_up();
    assert_int_equal(good.sa.sa_family, 0);
    assert_int_equal(world.answers, 2);
}

static void nobody_listens(void **state)
{
    char text[64], one[128], two[256];

    (void)state;
    world.resolved[0] = "127.0.0.3";
    (void)snprintf(text, sizeof(text), "http://etcd.test:%u", world.port);
    dial(text, NULL);
    expect_error(&world.err, ERR_TRANSIENT, "cannot connect: connection refused");
    (void)snprintf(one, sizeof(one), "127.0.0.3:%u", world.port);
    assert_string_equal(h2_dial_address(world.dial), one);
    hang_up();
    world.resolved[1] = "127.0.0.4";
    dial(text, NULL);
    (void)snprintf(two, sizeof(two),
            "cannot connect: 127.0.0.3:%u: Connection refused, 127.0.0.4:%u: Connection refused", world.port,
            world.port);
    expect_error(&world.err, ERR_TRANSIENT, two);
    assert_string_equal(h2_dial_address(world.dial), "");
    hang_up();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(the_first_drops_packets, begin, end),
            cmocka_unit_test_setup_teardown(nobody_listens, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
