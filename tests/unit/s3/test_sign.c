/*
 * Signatures against those that Amazon has published (S3 API, "Signature Calculations for the Authorization Header",
 * Examples), and against botocore's for what these leave out: ports, session tokens, encoded paths, spaces in values.
 */
#include "expect.h"
#include "failing.h"
#include "s3/sign.h"

#include <sodium.h>
#include <string.h>

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum { MAY_2013 = 1369353600, DECEMBER_2024 = 1733520145 };

static const char amazon_secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
static const char botocore_secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct example {
    struct sign_request request;
    const char *secret_key;
    const char *signed_headers, *signature;
};

#define AMAZON(...)                                                                                                    \
    .secret_key = amazon_secret,                                                                                       \
    .request = {.access_key = "AKIAIOSFODNN7EXAMPLE", .region = "us-east-1", .instant = MAY_2013, __VA_ARGS__}
#define BOTOCORE(...)                                                                                                  \
    .secret_key = botocore_secret,                                                                                     \
    .request = {.access_key = "AKIDEXAMPLE", .region = "eu-west-3", .instant = DECEMBER_2024, __VA_ARGS__}
#define HEADERS(...)                                                                                                   \
    .headers = (const struct sign_header[]){__VA_ARGS__},                                                              \
    .n_headers = ARRAY_LEN(((const struct sign_header[]){__VA_ARGS__}))

static const struct example examples[] = {
        {AMAZON(.method = "GET", .path = "/test.txt", .query = "", .payload_hash = EMPTY_HASH,
                 HEADERS({"host", "examplebucket.s3.amazonaws.com"}, {"range", "bytes=0-9"},
                         {"x-amz-content-sha256", EMPTY_HASH}, {"x-amz-date", "20130524T000000Z"})),
                .signed_headers = "host;range;x-amz-content-sha256;x-amz-date",
                .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        /* The order in which headers are given does not matter. */
        {AMAZON(.method = "PUT", .path = "/test%24file.text", .query = "",
                 .payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
                 HEADERS({"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"host", "examplebucket.s3.amazonaws.com"},
                         {"x-amz-date", "20130524T000000Z"},
                         {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
                         {"date", "Fri, 24 May 2013 00:00:00 GMT"})),
                .signed_headers = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {AMAZON(.method = "GET", .path = "/", .query = "lifecycle=", .payload_hash = EMPTY_HASH,
                 HEADERS({"host", "examplebucket.s3.amazonaws.com"}, {"x-amz-content-sha256", EMPTY_HASH},
                         {"x-amz-date", "20130524T000000Z"})),
                .signed_headers = "host;x-amz-content-sha256;x-amz-date",
                .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {AMAZON(.method = "GET", .path = "/", .query = "max-keys=2&prefix=J", .payload_hash = EMPTY_HASH,
                 HEADERS({"host", "examplebucket.s3.amazonaws.com"}, {"x-amz-content-sha256", EMPTY_HASH},
                         {"x-amz-date", "20130524T000000Z"})),
                .signed_headers = "host;x-amz-content-sha256;x-amz-date",
                .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
        {BOTOCORE(.method = "PUT", .path = "/backup-2024-12-06T21%3A22%3A25Z.dump",
                 .query = "partNumber=7&uploadId=2~a%2Fb%3D%3D", .payload_hash = "UNSIGNED-PAYLOAD",
                 HEADERS({"host", "b.s3.eu-west-3.amazonaws.com"}, {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"},
                         {"x-amz-date", "20241206T212225Z"})),
                .signed_headers = "host;x-amz-content-sha256;x-amz-date",
                .signature = "359ceef69c04abb8a15331ef626ba37704fa07d4ceb6e6c09da5608a57fc8de7"},
        {BOTOCORE(.method = "GET", .path = "/bucket/a%20b/%C3%BC%2B%25", .query = "list-type=2&prefix=a%20b%2F%2B",
                 .payload_hash = "UNSIGNED-PAYLOAD",
                 HEADERS({"host", "s3.example.com:9000"}, {"x-amz-meta-note", "  two   words "},
                         {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}, {"x-amz-date", "20241206T212225Z"})),
                .signed_headers = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-note",
                .signature = "187eed508c7ef526b386d4dcc215830f37f93960c07d18975c938c6f97372573"},
        {BOTOCORE(.method = "POST", .path = "/bucket/k", .query = "uploads=", .payload_hash = EMPTY_HASH,
                 HEADERS({"host", "[::1]:9000"}, {"x-amz-content-sha256", EMPTY_HASH},
                         {"x-amz-date", "20241206T212225Z"}, {"x-amz-security-token", "FwoGZXIvYXdzEXAMPLETOKEN//=="})),
                .signed_headers = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
                .signature = "abb1a8d3fbe48aa806750e7792812dd1a9ca3a9c9f237f8f4a6cf609baefd332"},
};

/* The value of Authorization as it must be. */
static char *expected(const struct example *x)
{
    char time[SIGN_TIME_MAX], *text;

    assert_true(asprintf(&text, "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request,SignedHeaders=%s,Signature=%s",
                        x->request.access_key, sign_time(x->request.instant, time), x->request.region,
                        x->signed_headers, x->signature) > 0);
    return text;
}

static void check(struct sign_cache *cache, const struct example *x)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *secret_key = secret_copy(x->secret_key, strlen(x->secret_key), &e);
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    _cleanup_free_ char *want = expected(x);
    struct sign_request r = x->request;

    r.secret_key = secret_key;
    expect_success(secret_key && sign_authorization(cache, &r, &out, &e) == 0 && buf_append(&out, "", 1, &e) == 0, &e);
    assert_string_equal((const char *)out.data, want);
}

static void test_examples(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct sign_cache *cache = sign_cache_new(&e);

        expect_success(cache, &e);
        check(cache, &examples[i]);
        sign_cache_free(cache);
    }
}

/* One cache for changing days, regions and secret keys: never the key of before. */
static void test_cache(void **state)
{
    struct err e = ERR_INIT;
    struct sign_cache *cache = sign_cache_new(&e);

    (void)state;
    expect_success(cache, &e);
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < ARRAY_LEN(examples); i++)
            check(cache, &examples[i]);
    sign_cache_free(cache);
}

/* What alone makes another key: each in turn, and back. */
static void test_cache_is_exact(void **state)
{
    struct example other[] = {examples[0], examples[0], examples[0]};
    struct err e = ERR_INIT;
    struct sign_cache *cache = sign_cache_new(&e);
    _cleanup_free_ char *was = expected(&examples[0]);

    (void)state;
    expect_success(cache, &e);
    other[0].request.instant += 86400;
    other[1].request.region = "us-east-2";
    other[2].secret_key = botocore_secret;
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        _cleanup_secret_ struct secret *secret_key = secret_copy(other[i].secret_key, strlen(other[i].secret_key), &e);
        _cleanup_buf_ struct buf out = BUF_INIT(4096);
        struct sign_request r = other[i].request;
        const char *signature;

        check(cache, &examples[0]);
        r.secret_key = secret_key;
        expect_success(sign_authorization(cache, &r, &out, &e) == 0 && buf_append(&out, "", 1, &e) == 0, &e);
        signature = strstr((const char *)out.data, "Signature=");
        assert_non_null(signature);
        assert_null(strstr(was, signature));
    }
    check(cache, &examples[0]);
    sign_cache_free(cache);
}

static void test_encode(void **state)
{
    static const struct {
        const char *text;
        bool keep_slash;
        const char *encoded;
    } rows[] = {
            {"", false, ""},
            {"azAZ09-._~", false, "azAZ09-._~"},
            {"backup-2024-12-06T21:22:25Z.dump", true, "backup-2024-12-06T21%3A22%3A25Z.dump"},
            {"a/b c+d", true, "a/b%20c%2Bd"},
            {"a/b c+d", false, "a%2Fb%20c%2Bd"},
            {"%2F", false, "%252F"},
            {"!*'();@&=$,?#[]", false, "%21%2A%27%28%29%3B%40%26%3D%24%2C%3F%23%5B%5D"},
            {"\xc3\xbc\xe2\x82\xac", false, "%C3%BC%E2%82%AC"},
            {"\x01\x7f\xff\"<>\\^`{|}", false, "%01%7F%FF%22%3C%3E%5C%5E%60%7B%7C%7D"},
            {"../..", true, "../.."},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(256);
        struct err e = ERR_INIT;

        expect_success(
                sign_encode(&out, rows[i].text, rows[i].keep_slash, &e) == 0 && buf_append(&out, "", 1, &e) == 0, &e);
        assert_string_equal((const char *)out.data, rows[i].encoded);
    }
}

static void test_encode_stops_at_the_limit(void **state)
{
    struct buf out = BUF_INIT(4);
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(sign_encode(&out, "a::", false, &e), -1);
    assert_int_equal(e.kind, ERR_PROTOCOL);
    assert_true(out.len <= 4);
    buf_reset(&out);
}

static void test_time(void **state)
{
    char out[SIGN_TIME_MAX];

    (void)state;
    assert_string_equal(sign_time(0, out), "19700101T000000Z");
    assert_string_equal(sign_time(MAY_2013, out), "20130524T000000Z");
    assert_string_equal(sign_time(DECEMBER_2024, out), "20241206T212225Z");
    assert_int_equal(strlen(sign_time(INT64_MAX, out)), 16);
    assert_int_equal(strlen(sign_time(INT64_MIN, out)), 16);
    assert_int_equal(strlen(sign_time(253402300800, out)), 16);
}

static void test_no_memory(void **state)
{
    struct sign_request r = examples[0].request;
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *secret_key = secret_copy(amazon_secret, strlen(amazon_secret), &e);
    size_t n = 0;
    bool reached;

    (void)state;
    r.secret_key = secret_key;
    do {
        struct buf out = BUF_INIT(4096);
        struct sign_cache *cache;
        int result = -1;

        e = ERR_INIT;
        failing_arm(++n);
        cache = sign_cache_new(&e);
        if (cache)
            result = sign_authorization(cache, &r, &out, &e);
        reached = failing_disarm();
        assert_int_equal(result, reached ? -1 : 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        sign_cache_free(cache);
        buf_reset(&out);
    } while (reached);
    assert_true(n > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_examples),
            cmocka_unit_test(test_cache),
            cmocka_unit_test(test_cache_is_exact),
            cmocka_unit_test(test_encode),
            cmocka_unit_test(test_encode_stops_at_the_limit),
            cmocka_unit_test(test_time),
            cmocka_unit_test(test_no_memory),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
