#include "expect.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/endpoint.h"

static const struct {
    const char *text;
    bool etcd_alone; /* S3 has none of these */
    struct endpoint is;
    bool loopback;
} goods[] = {
        {"h", false, {.tls = true, .host = "h", .port = 2379, .authority = "h:2379"}, false},
        {"h:1", false, {.tls = true, .host = "h", .port = 1, .authority = "h:1"}, false},
        {"a.b-c_d:2379", false, {.tls = true, .host = "a.b-c_d", .port = 2379, .authority = "a.b-c_d:2379"}, false},
        {"10.0.0.1:65535", false,
                {.tls = true, .is_address = true, .host = "10.0.0.1", .port = 65535, .authority = "10.0.0.1:65535"},
                false},
        {"127.0.0.1:02379", false,
                {.tls = true, .is_address = true, .host = "127.0.0.1", .port = 2379, .authority = "127.0.0.1:2379"},
                true},
        {"http://127.9.9.9", false,
                {.is_address = true, .host = "127.9.9.9", .port = 2379, .authority = "127.9.9.9:2379"}, true},
        {"[::1]:2379", false, {.tls = true, .is_address = true, .host = "::1", .port = 2379, .authority = "[::1]:2379"},
                true},
        {"https://[2001:db8::1]", false,
                {.tls = true,
                        .is_address = true,
                        .host = "2001:db8::1",
                        .port = 2379,
                        .authority = "[2001:db8::1]:2379"},
                false},
        {"[fe80::1%eth0]:1", true,
                {.tls = true, .is_address = true, .host = "fe80::1%eth0", .port = 1, .authority = "[fe80::1]:1"},
                false},
        {"http://localhost:1", false, {.host = "localhost", .port = 1, .authority = "localhost:1"}, true},
        {"HTTPS://Localhost", true, {.tls = true, .host = "Localhost", .port = 2379, .authority = "Localhost:2379"},
                true},
        {"http://localhost.example", false,
                {.host = "localhost.example", .port = 2379, .authority = "localhost.example:2379"}, false},
        {"https://h:1/", true, {.tls = true, .host = "h", .port = 1, .authority = "h:1"}, false},
        /* As Kubernetes writes names that need no search. */
        {"etcd-0.etcd.svc.cluster.local.:2379", false,
                {.tls = true,
                        .is_rooted = true,
                        .host = "etcd-0.etcd.svc.cluster.local",
                        .port = 2379,
                        .authority = "etcd-0.etcd.svc.cluster.local:2379"},
                false},
        {"localhost.", false,
                {.tls = true, .is_rooted = true, .host = "localhost", .port = 2379, .authority = "localhost:2379"},
                true},
        {"unix:///run/etcd.sock", true, {.is_unix = true, .path = "/run/etcd.sock", .authority = "localhost"}, true},
        {"unix://relative:1/", true, {.is_unix = true, .path = "relative:1/", .authority = "localhost"}, true},
        {"unixs://a@b", true, {.tls = true, .is_unix = true, .path = "a@b", .authority = "localhost"}, true},
};

static const char *rooted(const char *host)
{
    static char name[ENDPOINT_HOST_MAX + 1];

    (void)snprintf(name, sizeof(name), "%s.", host);
    return name;
}

static void what_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        const struct endpoint *want = &goods[i].is;
        struct endpoint ep;
        struct err e = ERR_INIT;
        char name[ENDPOINT_HOST_MAX + 1];

        expect_success(endpoint_parse(goods[i].text, ENDPOINT_ETCD, &ep, &e) == 0, &e);
        assert_string_equal(ep.host, want->host);
        assert_int_equal(ep.tls, want->tls);
        assert_int_equal(ep.is_unix, want->is_unix);
        assert_int_equal(ep.is_address, want->is_address);
        assert_int_equal(ep.is_rooted, want->is_rooted);
        assert_int_equal(ep.port, want->port);
        assert_string_equal(ep.path, want->path);
        assert_string_equal(ep.authority, want->authority);
        assert_int_equal(endpoint_is_loopback(&ep), goods[i].loopback);
        assert_string_equal(endpoint_to_resolve(&ep, name), want->is_rooted ? rooted(want->host) : want->host);
        assert_int_equal(endpoint_parse(goods[i].text, ENDPOINT_S3, &ep, &e), goods[i].etcd_alone ? -1 : 0);
    }
}

/* The scheme's own port is the one that nobody gave, and stands in no request. */
static void ports_of_s3(void **state)
{
    static const struct {
        const char *text;
        uint16_t port;
        const char *authority;
    } cases[] = {
            {"h", 443, "h"},
            {"https://h:443", 443, "h"},
            {"http://h", 80, "h"},
            {"http://h:80", 80, "h"},
            {"http://h:443", 443, "h:443"},
            {"https://[::1]:80", 80, "[::1]:80"},
            {"https://[::1]", 443, "[::1]"},
            {"h.:9000", 9000, "h:9000"},
    };
    struct endpoint ep;
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_success(endpoint_parse(cases[i].text, ENDPOINT_S3, &ep, &e) == 0, &e);
        assert_int_equal(ep.port, cases[i].port);
        assert_string_equal(ep.authority, cases[i].authority);
    }
}

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void what_is_none(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
            {"2379", "no such host name or IP address"},
            {":2379", "the host is missing"},
            {"http://", "the host is missing"},
            {"https://:1", "the host is missing"},
            {"h:", "the port is not a number"},
            {"h:x", "the port is not a number"},
            {"h:-1", "the port is not a number"},
            {"h: 1", "the port is not a number"},
            {"h:0", "the port is not between 1 and 65535"},
            {"h:65536", "the port is not between 1 and 65535"},
            {"h:99999999999999999999", "the port is not between 1 and 65535"},
            {"::1", "an IPv6 address needs brackets around it"},
            {"2001:db8::1", "an IPv6 address needs brackets around it"},
            {"[::1", "an IPv6 address is written [address]:port"},
            {"[::1]2379", "an IPv6 address is written [address]:port"},
            {"[::g]:1", "no such IPv6 address"},
            {"[]:1", "the host is missing"},
            {"[127.0.0.1]:1", "no such IPv6 address"},
            {"[fe80::1%]:1", "no such IPv6 address"},
            {"256.0.0.1", "no such host name or IP address"},
            {"10.0.0", "no such host name or IP address"},
            {"a..b", "no such host name or IP address"},
            {"a..", "no such host name or IP address"},
            {".", "no such host name or IP address"},
            {"10.0.0.1.", "no such host name or IP address"},

            {"-a", "no such host name or IP address"},
            {"a b", "no such host name or IP address"},
            {"h\xc3\xa4", "no such host name or IP address"},
            {L63 "a", "no such host name or IP address"},
            {"http://h/path", "there is something after host and port; they stand alone"},
            {"h:1/x", "there is something after host and port; they stand alone"},
            {"h?a=b", "there is something after host and port; they stand alone"},
            {"ftp://h", "the scheme is neither https nor http, in small letters"},
            {"unix:///x", "the scheme is neither https nor http, in small letters"},
            {"HTTP://h", "the scheme is neither https nor http, in small letters"},
            {"[fe80::1%eth0]", "an address of S3 cannot name an interface"},
            {"h/", "there is something after host and port; they stand alone"},
    };
    struct endpoint ep;
    char line[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;

        assert_int_equal(endpoint_parse(cases[i].text, ENDPOINT_S3, &ep, &e), -1);
        (void)snprintf(line, sizeof(line), "'%s' is not an endpoint: %s", cases[i].text, cases[i].why);
        expect_error(&e, ERR_CONFIG, line);
    }
}

static void sockets_of_the_file_system(void **state)
{
    struct endpoint ep;
    char text[128];
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(endpoint_parse("unix://", ENDPOINT_ETCD, &ep, &e), -1);
    expect_error(&e, ERR_CONFIG, "'unix://' is not an endpoint: the path of the socket is missing");
    assert_int_equal(endpoint_parse("ftp://x", ENDPOINT_ETCD, &ep, &e), -1);
    expect_error(&e, ERR_CONFIG, "'ftp://x' is not an endpoint: the scheme is none of https, http and unix");
    (void)snprintf(text, sizeof(text), "unix://%0107d", 0);
    assert_int_equal(endpoint_parse(text, ENDPOINT_ETCD, &ep, &e), 0);
    (void)snprintf(text, sizeof(text), "unix://%0108d", 0);
    assert_int_equal(endpoint_parse(text, ENDPOINT_ETCD, &ep, &e), -1);
    assert_non_null(strstr(e.text, "' is not an endpoint: the path of the socket is longer than 107 bytes"));
}

/* The longest name that there can be, and one letter more; what is far too long. */
static void long_names(void **state)
{
    struct endpoint ep;
    struct err e = ERR_INIT;
    static char huge[100000];

    (void)state;
    assert_int_equal(
            endpoint_parse(L63 "." L63 "." L63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1",
                    ENDPOINT_ETCD, &ep, &e),
            0);
    assert_int_equal(strlen(ep.host), 253);
    assert_int_equal(
            endpoint_parse(L63 "." L63 "." L63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                    ENDPOINT_ETCD, &ep, &e),
            -1);
    memset(huge, 'a', sizeof(huge) - 1);
    assert_int_equal(endpoint_parse(huge, ENDPOINT_ETCD, &ep, &e), -1);
    assert_non_null(strstr(e.text, "aaa...' is not an endpoint: too long"));
}

/* What might be a password is not shown. */
static void no_password_in_the_error(void **state)
{
    struct endpoint ep;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(endpoint_parse("https://me:geheim@host:1", ENDPOINT_ETCD, &ep, &e), -1);
    expect_error(&e, ERR_CONFIG, "is not an endpoint: a user name does not belong here");
    assert_int_equal(endpoint_parse("ftp://me:geheim@host", ENDPOINT_ETCD, &ep, &e), -1);
    assert_null(strstr(e.text, "geheim"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_one),
            cmocka_unit_test(ports_of_s3),
            cmocka_unit_test(what_is_none),
            cmocka_unit_test(sockets_of_the_file_system),
            cmocka_unit_test(long_names),
            cmocka_unit_test(no_password_in_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
