#include "expect.h"

#include <string.h>

#include "base/cleanup.h"
#include "conf/endpoint.h"

static void what_is_one(void **state)
{
    static const struct {
        const char *text;
        bool etcd_alone; /* S3 has none of these */
        struct conf_endpoint is;
        bool loopback;
    } cases[] = {
            {"h", false, {.tls = true, .host = "h"}, false},
            {"h:1", false, {.tls = true, .host = "h", .port = 1}, false},
            {"etcd-0.etcd.default.svc.cluster.local:2379", false,
                    {.tls = true, .host = "etcd-0.etcd.default.svc.cluster.local", .port = 2379}, false},
            {"my_store", false, {.tls = true, .host = "my_store"}, false},
            {"10.0.0.1:65535", false, {.tls = true, .is_address = true, .host = "10.0.0.1", .port = 65535}, false},
            {"127.0.0.1:2379", false, {.tls = true, .is_address = true, .host = "127.0.0.1", .port = 2379}, true},
            {"http://127.9.9.9", false, {.is_address = true, .host = "127.9.9.9"}, true},
            {"[::1]:2379", false, {.tls = true, .is_address = true, .host = "::1", .port = 2379}, true},
            {"https://[2001:db8::1]", false, {.tls = true, .is_address = true, .host = "2001:db8::1"}, false},
            {"[fe80::1%eth0]:1", true, {.tls = true, .is_address = true, .host = "fe80::1%eth0", .port = 1}, false},
            {"http://localhost:1", false, {.host = "localhost", .port = 1}, true},
            {"HTTPS://Localhost", true, {.tls = true, .host = "Localhost"}, true},
            {"http://localhost.example.com", false, {.host = "localhost.example.com"}, false},
            {"https://h:1/", true, {.tls = true, .host = "h", .port = 1}, false},
            {"unix:///run/etcd.sock", true, {.is_unix = true}, true},
            {"unix://relative", true, {.is_unix = true}, true},
            {"unixs://a@b", true, {.tls = true, .is_unix = true}, true},
    };
    struct conf_endpoint ep;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;

        expect_success(conf_endpoint_parse(cases[i].text, true, &ep, &e) == 0, &e);
        assert_string_equal(ep.host, cases[i].is.host);
        assert_int_equal(ep.tls, cases[i].is.tls);
        assert_int_equal(ep.is_unix, cases[i].is.is_unix);
        assert_int_equal(ep.is_address, cases[i].is.is_address);
        assert_int_equal(ep.port, cases[i].is.port);
        assert_int_equal(conf_endpoint_is_loopback(&ep), cases[i].loopback);
        assert_int_equal(conf_endpoint_parse(cases[i].text, false, &ep, &e), cases[i].etcd_alone ? -1 : 0);
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
            {"a.", "no such host name or IP address"},
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
    struct conf_endpoint ep;
    char line[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;

        assert_int_equal(conf_endpoint_parse(cases[i].text, false, &ep, &e), -1);
        (void)snprintf(line, sizeof(line), "'%s' is not an endpoint: %s", cases[i].text, cases[i].why);
        expect_error(&e, ERR_CONFIG, line);
    }
}

static void sockets_of_the_file_system(void **state)
{
    struct conf_endpoint ep;
    char text[128];
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(conf_endpoint_parse("unix://", true, &ep, &e), -1);
    expect_error(&e, ERR_CONFIG, "'unix://' is not an endpoint: the path of the socket is missing");
    assert_int_equal(conf_endpoint_parse("ftp://x", true, &ep, &e), -1);
    expect_error(&e, ERR_CONFIG, "'ftp://x' is not an endpoint: the scheme is none of https, http and unix");
    (void)snprintf(text, sizeof(text), "unix://%0107d", 0);
    assert_int_equal(conf_endpoint_parse(text, true, &ep, &e), 0);
    (void)snprintf(text, sizeof(text), "unix://%0108d", 0);
    assert_int_equal(conf_endpoint_parse(text, true, &ep, &e), -1);
    assert_non_null(strstr(e.text, "' is not an endpoint: the path of the socket is longer than 107 bytes"));
}

/* The longest name that there can be, and one letter more; what is far too long. */
static void long_names(void **state)
{
    struct conf_endpoint ep;
    struct err e = ERR_INIT;
    static char huge[100000];

    (void)state;
    assert_int_equal(
            conf_endpoint_parse(L63 "." L63 "." L63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1",
                    true, &ep, &e),
            0);
    assert_int_equal(strlen(ep.host), 253);
    assert_int_equal(
            conf_endpoint_parse(L63 "." L63 "." L63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                    true, &ep, &e),
            -1);
    memset(huge, 'a', sizeof(huge) - 1);
    assert_int_equal(conf_endpoint_parse(huge, true, &ep, &e), -1);
    assert_non_null(strstr(e.text, "aaa...' is not an endpoint: too long"));
}

/* What might be a password is not shown. */
static void no_password_in_the_error(void **state)
{
    struct conf_endpoint ep;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(conf_endpoint_parse("https://me:geheim@host:1", true, &ep, &e), -1);
    expect_error(&e, ERR_CONFIG, "is not an endpoint: a user name does not belong here");
    assert_int_equal(conf_endpoint_parse("ftp://me:geheim@host", true, &ep, &e), -1);
    assert_null(strstr(e.text, "geheim"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_one),
            cmocka_unit_test(what_is_none),
            cmocka_unit_test(sockets_of_the_file_system),
            cmocka_unit_test(long_names),
            cmocka_unit_test(no_password_in_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
