#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "etcd/client_internal.h"
#include "failing.h"

static struct etcd_client *make(const char *const *endpoints, size_t n, struct err *e)
{
    const struct etcd_conf conf = {.endpoints = endpoints, .n_endpoints = n, .ca_cert = "/ca", .client_key = "/key"};

    return etcd_client_new(NULL, &conf, e);
}

static void the_configuration_is_copied(void **state)
{
    char endpoint[] = "http://one:1", ca[] = "/ca.crt";
    const char *const endpoints[] = {endpoint};
    const struct etcd_conf conf = {.endpoints = endpoints, .n_endpoints = 1, .ca_cert = ca, .request_timeout_ms = 77};
    struct err e = ERR_INIT;
    _cleanup_(cleanup_etcd_client_free) struct etcd_client *c = etcd_client_new(NULL, &conf, &e);

    (void)state;
    expect_success(c, &e);
    memset(endpoint, 'x', sizeof(endpoint) - 1);
    memset(ca, 'x', sizeof(ca) - 1);
    assert_string_equal(etcd_client_conf(c)->endpoints[0], "http://one:1");
    assert_string_equal(etcd_client_conf(c)->ca_cert, "/ca.crt");
    assert_null(etcd_client_conf(c)->client_cert);
    assert_int_equal(etcd_client_conf(c)->request_timeout_ms, 77);
    assert_int_equal(etcd_client_endpoint(c, 0)->port, 1);
}

static void a_window_is_large_enough_for_a_message(void **state)
{
    static const struct {
        uint32_t wanted, real;
    } rows[] = {{0, 4 << 20}, {1, 1 << 20}, {1 << 20, 1 << 20}, {(1 << 20) + 1, (1 << 20) + 1}, {16 << 20, 16 << 20}};
    const char *const endpoints[] = {"one"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct etcd_conf conf = {.endpoints = endpoints, .n_endpoints = 1, .window = rows[i].wanted};
        struct err e = ERR_INIT;
        _cleanup_(cleanup_etcd_client_free) struct etcd_client *c = etcd_client_new(NULL, &conf, &e);

        expect_success(c, &e);
        assert_int_equal(etcd_client_conf(c)->window, rows[i].real);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    const char *bad[] = {"one", "two:x"}, *many[65];
    struct err e = ERR_INIT;

    (void)state;
    assert_null(make(bad, 2, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "two:x"));
    assert_null(make(bad, 0, &e));
    expect_error(&e, ERR_CONFIG, "0 endpoints of etcd are given, 1 to 64 are possible");
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = "one";
    assert_null(make(many, 65, &e));
    expect_error(&e, ERR_CONFIG, "65 endpoints of etcd are given, 1 to 64 are possible");
    etcd_client_free(make(many, 64, &e));
}

static struct etcd_blame blame_of(void *ctx, const char *endpoint)
{
    return strcmp(endpoint, ctx) == 0 ? (struct etcd_blame){.rank = 3, .is_liar = true} : (struct etcd_blame){0};
}

static struct err remembered;

static void remember(void *ctx, const char *endpoint, const struct err *why)
{
    assert_string_equal(endpoint, ctx);
    remembered = why ? *why : ERR_INIT;
}

/* Whoever outlives the client is asked and told. */
static void blame_is_somebody_elses_to_remember(void **state)
{
    const char *const endpoints[] = {"one", "two"};
    char two[] = "two";
    const struct etcd_conf conf = {
            .endpoints = endpoints, .n_endpoints = 2, .memory_ctx = two, .blame = blame_of, .remember = remember};
    struct err e = ERR_INIT;
    _cleanup_(cleanup_etcd_client_free) struct etcd_client *c = etcd_client_new(NULL, &conf, &e);
    _cleanup_(cleanup_etcd_client_free) struct etcd_client *alone = make(endpoints, 2, &e);

    (void)state;
    expect_success(c, &e);
    assert_int_equal(etcd_client_blame(c, 0).rank, 0);
    assert_int_equal(etcd_client_blame(c, 1).rank, 3);
    assert_true(etcd_client_blame(c, 1).is_liar);
    etcd_client_remember(c, 1, &(struct err){.kind = ERR_INTEGRITY});
    assert_int_equal(remembered.kind, ERR_INTEGRITY);
    etcd_client_remember(c, 1, NULL);
    assert_int_equal(remembered.kind, ERR_NONE);
    etcd_client_remember(alone, 1, NULL);
    assert_int_equal(etcd_client_blame(alone, 1).rank, 0);
}

static void an_endpoint_is_named_once(void **state)
{
    static const struct {
        const char *text, *named;
    } rows[] = {
            {"grpc-status 14 UNAVAILABLE", "https://one:1: authenticating: grpc-status 14 UNAVAILABLE"},
            {"one:1: connection refused", "one:1: connection refused"},
            {"connecting to one:1: connection refused", "connecting to one:1: connection refused"},
    };
    const char *const endpoints[] = {"https://one:1"};
    struct err e = ERR_INIT;
    _cleanup_(cleanup_etcd_client_free) struct etcd_client *c = make(endpoints, 1, &e);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s", rows[i].text);
        etcd_client_name_endpoint(c, 0, "authenticating: ", &e);
        expect_error(&e, ERR_TRANSIENT, rows[i].named);
    }
}

static void each_allocation_may_fail(void **state)
{
    const char *const endpoints[] = {"one", "two"};
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct etcd_client *c;

        failing_arm(++n);
        c = make(endpoints, 2, &e);
        reached = failing_disarm();
        assert_true((c == NULL) == reached);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        etcd_client_free(c);
    } while (reached);
    assert_int_equal(n, 8); /* itself, two arrays, two endpoints, two paths; and then none failed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_configuration_is_copied),
            cmocka_unit_test(a_window_is_large_enough_for_a_message),
            cmocka_unit_test(what_cannot_be_is_refused),
            cmocka_unit_test(blame_is_somebody_elses_to_remember),
            cmocka_unit_test(an_endpoint_is_named_once),
            cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
