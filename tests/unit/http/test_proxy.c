/* What a proxy is told, and what people are. */
#include "expect.h"

#include "http/proxy.h"

#include <sodium.h>
#include <string.h>

#include "failing.h"

static struct secret *secret_of(const char *text)
{
    struct err e = ERR_INIT;
    struct secret *s = secret_copy(text, strlen(text), &e);

    expect_success(s, &e);
    return s;
}

static void what_is_told(void **state)
{
    static const struct {
        const char *url, *user, *password, *line;
    } rows[] = {
            {NULL, NULL, NULL, NULL},
            {NULL, "u", "p", NULL},
            {"http://p:3128", NULL, NULL, NULL},
            {"http://p:3128", "Aladdin", "open sesame", "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
            {"http://p:3128", "", "a:b", "Proxy-Authorization: Basic OmE6Yg=="},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_secret_ struct secret *password = rows[i].password ? secret_of(rows[i].password) : NULL;
        struct http_proxy p = {0};
        struct err e = ERR_INIT;

        expect_success(http_proxy_set(&p, rows[i].url, rows[i].user, password, &e) == 0, &e);
        assert_int_equal(p.url != NULL, rows[i].url != NULL);
        if (p.url)
            assert_string_equal(p.name, rows[i].url);
        assert_int_equal(p.line != NULL, rows[i].line != NULL);
        if (p.line)
            assert_string_equal(p.header.data, rows[i].line);
        http_proxy_reset(&p);
        assert_null(p.url);
    }
}

static void a_user_with_a_colon_is_another_one(void **state)
{
    _cleanup_secret_ struct secret *password = secret_of("p");
    struct http_proxy p = {0};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(http_proxy_set(&p, "http://p:1", "a:b", password, &e), -1);
    expect_error(&e, ERR_CONFIG, "a user of a proxy has no colon in its name (RFC 7617)");
    assert_null(p.url);
}

static void each_allocation_may_fail(void **state)
{
    _cleanup_secret_ struct secret *password = secret_of("p");

    (void)state;
    for (size_t n = 1;; n++) {
        struct http_proxy p = {0};
        struct err e = ERR_INIT;
        bool failed;
        int r;

        failing_arm(n);
        r = http_proxy_set(&p, "http://p:1", "u", password, &e);
        failed = failing_disarm();
        assert_int_equal(r, failed ? -1 : 0);
        if (failed)
            assert_int_equal(e.kind, ERR_RESOURCE);
        assert_int_equal(p.url != NULL, !failed);
        http_proxy_reset(&p);
        if (!failed)
            return;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_told),
            cmocka_unit_test(a_user_with_a_colon_is_another_one), cmocka_unit_test(each_allocation_may_fail)};

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
