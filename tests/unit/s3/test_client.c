/*
 * Clients and requests without a network: what they refuse, what starting and cancelling leaves behind, and each
 * allocation failing in turn.
 */
#include "expect.h"
#include "failing.h"
#include "s3/client.h"
#include "s3/object.h"

#include <signal.h>
#include <sodium.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_failing_credentials),
            cmocka_unit_test(test_cancel_never_calls_back),
            cmocka_unit_test(test_refused_requests),
            cmocka_unit_test(test_no_memory),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
