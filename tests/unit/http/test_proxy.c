/* Which proxy the environment names, and for whom: the rules of curl(1). */
#include "expect.h"
#include "http/proxy.h"

#include <stdlib.h>

#include "base/cleanup.h"

static void test_excepted(void **state)
{
    static const struct {
        const char *list, *host;
        bool excepted;
    } rows[] = {
            {NULL, "h", false},
            {"", "h", false},
            {"*", "h", true},
            {"example.com", "example.com", true},
            {"example.com", "s3.example.com", true},
            {"example.com", "s3.EXAMPLE.com", true},
            {".example.com", "s3.example.com", true},
            {".example.com", "example.com", true},
            {"example.com", "badexample.com", false},
            {"s3.example.com", "example.com", false},
            {"example.com.", "s3.example.com", true},
            {"example.com", "s3.example.com.", true},
            {"a, b c,\texample.com", "example.com", true},
            {"a,b", "c", false},
            {", ,", "c", false},
            {"10.0.0.0/8", "10.1.2.3", true},
            {"10.0.0.0/8", "10.1.2.3:9000", true},
            {"example.com", "s3.example.com:9000", true},
            {"::1", "[::1]:9000", true},
            {"10.0.0.0/8", "11.1.2.3", false},
            {"10.0.0.0/33", "10.0.0.0", false},
            {"10.0.0.0/", "10.0.0.0", false},
            {"10.0.0.0/8x", "10.0.0.0", false},
            {"10.0.0.0/0", "11.1.2.3", true},
            {"10.16.0.0/12", "10.31.0.1", true},
            {"10.16.0.0/12", "10.32.0.1", false},
            {"127.0.0.1", "127.0.0.1", true},
            {"0.0.1", "127.0.0.1", false},
            {"fd00::/8", "[fd00::1]", true},
            {"fd00::/8", "[fe00::1]", false},
            {"[::1]", "[::1]", true},
            {"::1", "[::1]", true},
            {"10.0.0.0/8", "[::1]", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (http_proxy_is_excepted(rows[i].list, rows[i].host) != rows[i].excepted)
            fail_msg("%s for %s", rows[i].host, rows[i].list ? rows[i].list : "NULL");
}

static const char *const variables[] = {
        "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"};

static void test_found(void **state)
{
    static const struct {
        const char *set[2][2];
        bool tls;
        const char *url, *name, *variable;
    } rows[] = {
            {{{NULL}}, true, NULL, NULL, NULL},
            {{{"HTTPS_PROXY", "http://p:3128"}}, true, "http://p:3128", "http://p:3128", "HTTPS_PROXY"},
            {{{"HTTPS_PROXY", "http://p:3128"}}, false, NULL, NULL, NULL},
            {{{"HTTPS_PROXY", ""}}, true, NULL, NULL, NULL},
            {{{"https_proxy", "p"}, {"HTTPS_PROXY", "q"}}, true, "p", "http://p", "https_proxy"},
            {{{"http_proxy", "p:1"}}, false, "p:1", "http://p:1", "http_proxy"},
            {{{"HTTP_PROXY", "p:1"}}, false, NULL, NULL, NULL}, /* a header named Proxy sets it, in a CGI */
            {{{"ALL_PROXY", "socks5h://p"}}, false, "socks5h://p", "socks5h://p", "ALL_PROXY"},
            {{{"ALL_PROXY", "a"}, {"HTTPS_PROXY", "b"}}, true, "b", "http://b", "HTTPS_PROXY"},
            {{{"HTTPS_PROXY", "http://u:p@s@h:1/x?y"}}, true, "http://u:p@s@h:1/x?y", "http://h:1", "HTTPS_PROXY"},
            {{{"HTTPS_PROXY", "p"}, {"NO_PROXY", "example.com"}}, true, NULL, NULL, NULL},
            {{{"HTTPS_PROXY", "p"}, {"no_proxy", "example.org"}}, true, "p", "http://p", "HTTPS_PROXY"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_proxy p;
        struct err e = ERR_INIT;

        for (size_t k = 0; k < ARRAY_LEN(variables); k++)
            (void)unsetenv(variables[k]);
        for (size_t k = 0; k < 2 && rows[i].set[k][0]; k++)
            (void)setenv(rows[i].set[k][0], rows[i].set[k][1], 1);
        expect_success(http_proxy_find(&p, rows[i].tls, "s3.example.com", &e) == 0, &e);
        if (!rows[i].url) {
            assert_null(p.url);
            assert_null(p.name);
            assert_null(p.variable);
            continue;
        }
        assert_string_equal(p.url, rows[i].url);
        assert_string_equal(p.name, rows[i].name);
        assert_string_equal(p.variable, rows[i].variable);
        http_proxy_reset(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_excepted),
            cmocka_unit_test(test_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
