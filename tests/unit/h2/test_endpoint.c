#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "h2/endpoint.h"

static const struct good {
    const char *text;
    struct h2_endpoint expected;
    bool loopback;
} goods[] = {
        {"etcd1", {.tls = true, .host = "etcd1", .port = 2379, .authority = "etcd1:2379"}, false},
        {"etcd1:12379", {.tls = true, .host = "etcd1", .port = 12379, .authority = "etcd1:12379"}, false},
        {"https://a.b-c_d.example:1",
                {.tls = true, .host = "a.b-c_d.example", .port = 1, .authority = "a.b-c_d.example:1"}, false},
        {"HTTPS://etcd1/", {.tls = true, .host = "etcd1", .port = 2379, .authority = "etcd1:2379"}, false},
        {"http://127.0.0.1:65535", {.host = "127.0.0.1", .port = 65535, .authority = "127.0.0.1:65535"}, true},
        {"127.255.3.4:02379", {.tls = true, .host = "127.255.3.4", .port = 2379, .authority = "127.255.3.4:2379"},
                true},
        {"128.0.0.1", {.tls = true, .host = "128.0.0.1", .port = 2379, .authority = "128.0.0.1:2379"}, false},
        {"[::1]:2381", {.tls = true, .host = "::1", .port = 2381, .authority = "[::1]:2381"}, true},
        {"[::2]", {.tls = true, .host = "::2", .port = 2379, .authority = "[::2]:2379"}, false},
        {"http://[fe80::1%eth0]:3", {.host = "fe80::1%eth0", .port = 3, .authority = "[fe80::1]:3"}, false},
        {"LocalHost", {.tls = true, .host = "LocalHost", .port = 2379, .authority = "LocalHost:2379"}, true},
        {"localhost.example",
                {.tls = true, .host = "localhost.example", .port = 2379, .authority = "localhost.example:2379"}, false},
        {"unix:///run/etcd.sock", {.unix_path = "/run/etcd.sock", .authority = "localhost"}, true},
        {"unixs://relative:1/", {.tls = true, .unix_path = "relative:1/", .authority = "localhost"}, true},
};

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        const struct h2_endpoint *want = &goods[i].expected;
        struct h2_endpoint ep;
        struct err e = ERR_INIT;

        expect_success(h2_endpoint_parse(goods[i].text, &ep, &e) == 0, &e);
        assert_int_equal(ep.tls, want->tls);
        assert_string_equal(ep.host, want->host);
        assert_int_equal(ep.port, want->port);
        assert_string_equal(ep.unix_path, want->unix_path);
        assert_string_equal(ep.authority, want->authority);
        assert_int_equal(h2_endpoint_is_loopback(&ep), goods[i].loopback);
    }
}

static const struct bad {
    const char *text, *why;
} bads[] = {
        {"", "not a host name or an IP address"},
        {"https://", "not a host name or an IP address"},
        {"/", "not a host name or an IP address"},
        {":2379", "not a host name or an IP address"},
        {"ftp://etcd1", "the scheme is not one of http, https, unix, unixs"},
        {"http:/etcd1", "the port is not a number"},
        {"etcd1:", "the port is not a number"},
        {"etcd1:x", "the port is not a number"},
        {"etcd1:+1", "the port is not a number"},
        {"etcd1:2379 ", "the port is not a number"},
        {"etcd1:0", "the port is not in 1 to 65535"},
        {"etcd1:65536", "the port is not in 1 to 65535"},
        {"etcd1:100000", "the port is not a number"},
        {"etcd1:2379/path", "the port is not a number"},
        {"etcd1/path", "not a host name or an IP address"},
        {"etcd1//", "not a host name or an IP address"},
        {"user@etcd1", "not a host name or an IP address"},
        {"etcd 1", "not a host name or an IP address"},
        {"\xc3\xa9tcd", "not a host name or an IP address"},
        {"::1", "an IPv6 address needs brackets around it"},
        {"fe80::1:2379", "an IPv6 address needs brackets around it"},
        {"[::1", "']' is missing"},
        {"[::1]2379", "after ']' a ':' and the port are expected"},
        {"[::1]:", "the port is not a number"},
        {"[]", "not an IPv6 address"},
        {"[127.0.0.1]", "not an IPv6 address"},
        {"[etcd1]", "not an IPv6 address"},
        {"[fe80::1%]", "not an IPv6 address"},
        {"[fe80::1%a/b]", "not an IPv6 address"},
        {"unix://", "the path of the socket is missing"},
};

static void nonsense_is_refused_and_nothing_is_changed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        struct h2_endpoint ep = {.port = 7, .host = "before"};
        struct err e = ERR_INIT;
        char text[256];

        (void)snprintf(text, sizeof(text), "endpoint '%s': %s", bads[i].text, bads[i].why);
        assert_int_equal(h2_endpoint_parse(bads[i].text, &ep, &e), -1);
        expect_error(&e, ERR_CONFIG, text);
        assert_int_equal(ep.port, 7);
        assert_string_equal(ep.host, "before");
    }
}

/* A text of `len` times 'a' between the two. */
static int parse_long(const char *before, size_t len, const char *behind, struct h2_endpoint *ep)
{
    char text[1024];
    struct err e = ERR_INIT;
    size_t at = strlen(before);

    memcpy(text, before, at);
    memset(text + at, 'a', len);
    memcpy(text + at + len, behind, strlen(behind) + 1);
    return h2_endpoint_parse(text, ep, &e);
}

static void the_longest_fits_and_no_longer(void **state)
{
    struct h2_endpoint ep;

    (void)state;
    assert_int_equal(parse_long("http://", H2_HOST_MAX - 1, ":65535", &ep), 0);
    assert_int_equal(strlen(ep.authority), H2_HOST_MAX - 1 + 6);
    assert_int_equal(parse_long("http://", H2_HOST_MAX, "", &ep), -1);
    assert_int_equal(parse_long("http://", 900, "", &ep), -1);
    assert_int_equal(parse_long("[", 900, "]", &ep), -1);
    assert_int_equal(parse_long("[fe80::1%", H2_HOST_MAX - 10, "]", &ep), 0);
    assert_int_equal(parse_long("[fe80::1%", H2_HOST_MAX, "]", &ep), -1);
    assert_int_equal(parse_long("unix://", H2_UNIX_PATH_MAX - 1, "", &ep), 0);
    assert_int_equal(parse_long("unix://", H2_UNIX_PATH_MAX, "", &ep), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_written_is_read),
            cmocka_unit_test(nonsense_is_refused_and_nothing_is_changed),
            cmocka_unit_test(the_longest_fits_and_no_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
