/* Where a bucket is, how its objects are addressed, and how queries are written. */
#include "expect.h"
#include "failing.h"
#include "s3/url.h"

#include <string.h>

static void test_targets(void **state)
{
    static const struct {
        const char *endpoint, *bucket;
        enum s3_addressing addressing;
        const char *host, *base, *root;
    } rows[] = {
            {"s3.example.com", "bucket", S3_ADDRESSING_AUTO, "s3.example.com", "https://s3.example.com", "/bucket"},
            {"https://s3.example.com:443", "bucket", S3_ADDRESSING_AUTO, "s3.example.com", "https://s3.example.com",
                    "/bucket"},
            {"http://s3.example.com:443", "bucket", S3_ADDRESSING_AUTO, "s3.example.com:443",
                    "http://s3.example.com:443", "/bucket"},
            {"http://localhost:80", "bucket", S3_ADDRESSING_AUTO, "localhost", "http://localhost", "/bucket"},
            {"https://localhost:80", "bucket", S3_ADDRESSING_PATH, "localhost:80", "https://localhost:80", "/bucket"},
            {"127.0.0.1:9000", "my.bucket_x", S3_ADDRESSING_AUTO, "127.0.0.1:9000", "https://127.0.0.1:9000",
                    "/my.bucket_x"},
            {"http://[::1]:9000", "bucket", S3_ADDRESSING_AUTO, "[::1]:9000", "http://[::1]:9000", "/bucket"},
            {"[2001:db8::5]", "bucket", S3_ADDRESSING_AUTO, "[2001:db8::5]", "https://[2001:db8::5]", "/bucket"},
            /* Looked up with the dot, asked for without it. */
            {"http://rgw.ceph.svc:8080", "bucket", S3_ADDRESSING_AUTO, "rgw.ceph.svc:8080", "http://rgw.ceph.svc:8080",
                    "/bucket"},
            {"http://rgw.ceph.svc.:8080", "bucket", S3_ADDRESSING_AUTO, "rgw.ceph.svc:8080",
                    "http://rgw.ceph.svc.:8080", "/bucket"},
            {"s3.amazonaws.com.", "bucket", S3_ADDRESSING_AUTO, "bucket.s3.amazonaws.com",
                    "https://bucket.s3.amazonaws.com.", ""},
            {"localhost:7480", "bucket", S3_ADDRESSING_VIRTUAL, "bucket.localhost:7480",
                    "https://bucket.localhost:7480", ""},
            {"s3.eu-west-3.amazonaws.com", "bucket", S3_ADDRESSING_AUTO, "bucket.s3.eu-west-3.amazonaws.com",
                    "https://bucket.s3.eu-west-3.amazonaws.com", ""},
            {"s3.cn-north-1.amazonaws.com.cn", "bucket", S3_ADDRESSING_AUTO, "bucket.s3.cn-north-1.amazonaws.com.cn",
                    "https://bucket.s3.cn-north-1.amazonaws.com.cn", ""},
            /* A dot in the bucket's name is not covered by the certificate *.s3.amazonaws.com. */
            {"s3.amazonaws.com", "my.bucket", S3_ADDRESSING_AUTO, "s3.amazonaws.com", "https://s3.amazonaws.com",
                    "/my.bucket"},
            {"s3.amazonaws.com", "My-Bucket", S3_ADDRESSING_AUTO, "s3.amazonaws.com", "https://s3.amazonaws.com",
                    "/My-Bucket"},
            {"s3.amazonaws.com", "bucket", S3_ADDRESSING_PATH, "s3.amazonaws.com", "https://s3.amazonaws.com",
                    "/bucket"},
            {"s3.notamazonaws.com", "bucket", S3_ADDRESSING_AUTO, "s3.notamazonaws.com", "https://s3.notamazonaws.com",
                    "/bucket"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct s3_conf conf = {
                .endpoint = rows[i].endpoint, .bucket = rows[i].bucket, .addressing = rows[i].addressing};
        struct s3_url_target t;
        struct err e = ERR_INIT;

        expect_success(s3_url_target(&t, &conf, &e) == 0, &e);
        assert_string_equal(t.host, rows[i].host);
        assert_string_equal(t.base, rows[i].base);
        assert_string_equal(t.root, rows[i].root);
        assert_int_equal(t.tls, strncmp(rows[i].base, "https", 5) == 0);
        s3_url_target_reset(&t);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *endpoint, *bucket;
        enum s3_addressing addressing;
        const char *text;
    } rows[] = {
            /* The rest is in tests/unit/base/test_endpoint.c. */
            {"host/path", "bucket", S3_ADDRESSING_AUTO,
                    "'host/path' is not an endpoint: there is something after host and port; they stand alone"},
            {"host\r\nX: y", "bucket", S3_ADDRESSING_AUTO,
                    "'host??X: y' is not an endpoint: no such host name or IP address"},
            {"https://key:secret@host", "bucket", S3_ADDRESSING_AUTO,
                    "is not an endpoint: a user name does not belong here"},
            {"host", "", S3_ADDRESSING_AUTO, "\"\" cannot be the name of a bucket"},
            {"host", "ab", S3_ADDRESSING_AUTO, "\"ab\" cannot be the name of a bucket"},
            {"host", "...", S3_ADDRESSING_AUTO, "\"...\" cannot be the name of a bucket"},
            {"host", "a/b", S3_ADDRESSING_AUTO, "\"a/b\" cannot be the name of a bucket"},
            {"host",
                    "b\xc3\xbc"
                    "cket",
                    S3_ADDRESSING_AUTO,
                    "\"b\xc3\xbc"
                    "cket\" cannot be the name of a bucket"},
            {"127.0.0.1:9000", "bucket", S3_ADDRESSING_VIRTUAL,
                    "addressing \"virtual\" needs a host name in the endpoint"},
            {"[::1]", "bucket", S3_ADDRESSING_VIRTUAL, "addressing \"virtual\" needs a host name in the endpoint"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct s3_conf conf = {
                .endpoint = rows[i].endpoint, .bucket = rows[i].bucket, .addressing = rows[i].addressing};
        struct s3_url_target t;
        struct err e = ERR_INIT;

        assert_int_equal(s3_url_target(&t, &conf, &e), -1);
        expect_error(&e, ERR_CONFIG, rows[i].text);
    }
}

static void test_paths(void **state)
{
    struct s3_url_target by_path = {.root = (char[]){"/bucket"}}, by_host = {.root = (char[]){""}};
    const struct {
        const struct s3_url_target *target;
        const char *key, *path;
    } rows[] = {
            {&by_path, NULL, "/bucket"},
            {&by_host, NULL, "/"},
            {&by_path, "a/b:c+d e%\xc3\xbc", "/bucket/a/b%3Ac%2Bd%20e%25%C3%BC"},
            {&by_host, "a/b", "/a/b"},
            {&by_host, "/a", "//a"},
            {&by_path, "../x/./y//z", "/bucket/../x/./y//z"},
            {&by_path, "?a=b#c", "/bucket/%3Fa%3Db%23c"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(4096);
        struct err e = ERR_INIT;

        expect_success(s3_url_path(&out, rows[i].target, rows[i].key, &e) == 0, &e);
        assert_string_equal((const char *)out.data, rows[i].path);
    }
}

static void test_key_length(void **state)
{
    struct s3_url_target t = {.root = (char[]){"/bucket"}};
    char key[S3_URL_KEY_MAX + 2];
    struct buf out = BUF_INIT(8192);
    struct err e = ERR_INIT;

    (void)state;
    memset(key, ':', sizeof(key));
    key[S3_URL_KEY_MAX + 1] = '\0';
    assert_int_equal(s3_url_path(&out, &t, key, &e), -1);
    expect_error(&e, ERR_CONFIG, "a name of 1025 bytes; S3 takes 1 to 1024");
    assert_int_equal(s3_url_path(&out, &t, "", &e), -1);
    expect_error(&e, ERR_CONFIG, "a name of 0 bytes; S3 takes 1 to 1024");
    key[S3_URL_KEY_MAX] = '\0';
    assert_int_equal(s3_url_path(&out, &t, key, &e), 0);
    assert_int_equal(out.len, strlen("/bucket/") + 3 * S3_URL_KEY_MAX + 1);
    buf_reset(&out);
}

static void test_queries(void **state)
{
    static const struct {
        struct s3_param params[4];
        size_t n;
        const char *query;
    } rows[] = {
            {.n = 0, .query = ""},
            {{{"uploads", ""}}, 1, "uploads="},
            {{{"prefix", "a b/+%"}, {"list-type", "2"}, {"continuation-token", "x=/"}}, 3,
                    "continuation-token=x%3D%2F&list-type=2&prefix=a%20b%2F%2B%25"},
            {{{"uploadId", "i"}, {"partNumber", "10"}}, 2, "partNumber=10&uploadId=i"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(4096);
        struct err e = ERR_INIT;

        expect_success(s3_url_query(&out, rows[i].params, rows[i].n, &e) == 0, &e);
        assert_string_equal((const char *)out.data, rows[i].query);
    }
}

static void test_no_memory(void **state)
{
    const struct s3_conf conf = {.endpoint = "host:1", .bucket = "bucket"};
    const struct s3_param params[] = {{"a", "1"}, {"b", "2"}};
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct s3_url_target t = {0};
        struct buf path = BUF_INIT(4096), query = BUF_INIT(4096);
        struct err e = ERR_INIT;
        int result;

        failing_arm(++n);
        result = s3_url_target(&t, &conf, &e);
        if (result == 0)
            result = s3_url_path(&path, &t, "k", &e);
        if (result == 0)
            result = s3_url_query(&query, params, 2, &e);
        reached = failing_disarm();
        assert_int_equal(result, reached ? -1 : 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        s3_url_target_reset(&t);
        buf_reset(&path);
        buf_reset(&query);
    } while (reached);
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_targets),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_paths),
            cmocka_unit_test(test_key_length),
            cmocka_unit_test(test_queries),
            cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
