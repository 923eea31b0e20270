/* STS: the forms that are sent, as its reference shows them, and its answers. */
#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "cloud/sts.h"

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void expect_body(const struct cloud_sts_request *r, const char *expected)
{
    _cleanup_buf_ struct buf body = BUF_INIT(CLOUD_STS_BODY_MAX);
    struct err e = ERR_INIT;

    expect_success(cloud_sts_body(&body, r, &e) == 0, &e);
    expect_success(buf_append(&body, "", 1, &e) == 0, &e);
    assert_string_equal((const char *)body.data, expected);
}

static void test_bodies(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *token = secret_copy("a.b+c/d=", 8, &e);

    (void)state;
    expect_body(&(struct cloud_sts_request){"arn:aws:iam::1:role/r", "s@h", NULL, NULL},
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=s%40h");
    expect_body(&(struct cloud_sts_request){"r", "s", "x&y", NULL},
            "Action=AssumeRole&Version=2011-06-15&RoleArn=r&RoleSessionName=s&ExternalId=x%26y");
    expect_body(&(struct cloud_sts_request){"r", "s", NULL, token},
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=r&RoleSessionName=s&WebIdentityToken="
            "a.b%2Bc%2Fd%3D");
}

#define ANSWER(credentials)                                                                                            \
    "<AssumeRoleResponse "                                                                                             \
    "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>" credentials                  \
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
#define KEYS  "<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>"
#define TOKEN "<SessionToken>t</SessionToken>"
#define END   "<Expiration>2024-12-06T21:22:25Z</Expiration>"

static void test_answers(void **state)
{
    static const struct {
        int status;
        const char *text, *why; /* NULL: taken */
        enum err_kind kind;
    } rows[] = {
            {200, ANSWER(KEYS TOKEN END), NULL, ERR_NONE},
            {200, ANSWER(KEYS TOKEN), "no expiration", ERR_PROTOCOL},
            {200, ANSWER(KEYS END), "no session token", ERR_PROTOCOL},
            {200, ANSWER(TOKEN END), "no access key", ERR_PROTOCOL},
            {200, "<html>", "not XML", ERR_PROTOCOL},
            {200, "", "an empty answer", ERR_PROTOCOL},
            {400,
                    "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token expired</Message></Error></"
                    "ErrorResponse>",
                    "HTTP 400 ExpiredTokenException: Token expired", ERR_AUTH},
            {400, "<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>",
                    "HTTP 400 IDPCommunicationError", ERR_TRANSIENT},
            {403, "<Error><Code>AccessDenied</Code></Error>", "HTTP 403 AccessDenied", ERR_AUTH},
            {403,
                    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not with my-secret-token, "
                    "no</Message></Error></ErrorResponse>",
                    "HTTP 403 AccessDenied", ERR_AUTH},
            {503, "busy", "HTTP 503", ERR_TRANSIENT},
            {404, "<html></html>", "no answer of STS", ERR_AUTH},
    };
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *sent = secret_copy("my-secret-token", 15, &e);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cloud_credentials c = {0};
        int rc;

        e = ERR_INIT;
        rc = cloud_sts_parse(bytes_of(rows[i].text), rows[i].status, sent, &c, &e);
        if (!rows[i].why) {
            expect_success(rc == 0, &e);
            assert_string_equal(c.access_key, "ASIA");
            assert_true(c.expires == 1733520145 && secret_len(c.token) == 1);
        } else if (rc == 0 || e.kind != rows[i].kind || !strstr(e.text, rows[i].why) || strstr(e.text, "my-secret")) {
            fail_msg("row %zu: %s", i, e.text);
        } else {
            assert_null(c.secret_key);
        }
        cloud_credentials_clear(&c);
    }
}

static void test_places(void **state)
{
    static const struct {
        const char *endpoint, *region, *url, *host;
    } rows[] = {
            {NULL, "eu-central-1", "https://sts.eu-central-1.amazonaws.com/", "sts.eu-central-1.amazonaws.com"},
            {NULL, "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/", "sts.cn-north-1.amazonaws.com.cn"},
            {"http://127.0.0.1:8000", "x", "http://127.0.0.1:8000/", "127.0.0.1:8000"},
            {"ceph.example.com", "x", "https://ceph.example.com/", "ceph.example.com"},
    };
    char url[CLOUD_STS_URL_MAX], host[CLOUD_STS_HOST_MAX], name[CLOUD_STS_SESSION_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        expect_success(cloud_sts_place(rows[i].endpoint, rows[i].region, url, host, &e) == 0, &e);
        assert_string_equal(url, rows[i].url);
        assert_string_equal(host, rows[i].host);
    }
    assert_string_equal(cloud_sts_session_name("node 1/ä", name), "etcd-backupd-node-1---");
    assert_int_equal(
            strlen(cloud_sts_session_name("a-host-with-a-name-that-is-much-too-long-for-the-name-of-a-session", name)),
            64);
}

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_bodies), cmocka_unit_test(test_answers), cmocka_unit_test(test_places)};

    return cmocka_run_group_tests(tests, setup, NULL);
}
