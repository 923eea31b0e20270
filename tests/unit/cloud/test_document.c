/* Credentials as JSON: what is taken, and what each kind of nonsense is called. */
#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "cloud/document.h"

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static bool is(const struct secret *s, const char *text)
{
    return s && secret_len(s) == strlen(text) && memcmp(secret_const_data(s), text, strlen(text)) == 0;
}

#define KEYS "\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"s3cret/+=\""

static void test_taken(void **state)
{
    static const struct {
        enum cloud_document kind;
        const char *text, *token;
        int64_t expires;
    } rows[] = {
            {CLOUD_DOCUMENT_INSTANCE,
                    "{\"Code\":\"Success\"," KEYS ",\"Token\":\"t\",\"Expiration\":\"2024-12-06T21:22:25Z\"}", "t",
                    1733520145},
            {CLOUD_DOCUMENT_INSTANCE, "{" KEYS ",\"Token\":\"t\",\"Expiration\":\"2024-12-06T21:22:25Z\"}", "t",
                    1733520145},
            {CLOUD_DOCUMENT_CONTAINER,
                    " {" KEYS ",\"Token\":null,\"Expiration\":\"2024-12-06T22:22:25.123456+01:00\",\"RoleArn\":{}}\n",
                    NULL, 1733520145},
            {CLOUD_DOCUMENT_PROCESS, "{\"Version\":1," KEYS "}", NULL, 0},
            {CLOUD_DOCUMENT_PROCESS,
                    "{\"Version\":1," KEYS ",\"SessionToken\":\"t\",\"Expiration\":\"2024-12-06T21:22:25Z\"}", "t",
                    1733520145},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cloud_credentials c = {0};
        struct err e = ERR_INIT;

        expect_success(cloud_document_parse(bytes_of(rows[i].text), rows[i].kind, &c, &e) == 0, &e);
        assert_string_equal(c.access_key, "AKIA");
        assert_true(is(c.secret_key, "s3cret/+="));
        assert_true(rows[i].token ? is(c.token, rows[i].token) : !c.token);
        assert_true(c.expires == rows[i].expires);
        cloud_credentials_clear(&c);
        assert_null(c.secret_key);
    }
}

static void test_refused(void **state)
{
    static const struct {
        enum cloud_document kind;
        const char *text, *why;
    } rows[] = {
            {CLOUD_DOCUMENT_INSTANCE, "", "not JSON"},
            {CLOUD_DOCUMENT_INSTANCE, "{" KEYS, "not JSON"},
            {CLOUD_DOCUMENT_INSTANCE, "[]", "is no JSON object"},
            {CLOUD_DOCUMENT_INSTANCE, "{\"Code\":\"Failed\"," KEYS "}", "Code Failed"},
            {CLOUD_DOCUMENT_INSTANCE, "{" KEYS ",\"Token\":\"t\"}", "Expiration is missing"},
            {CLOUD_DOCUMENT_CONTAINER, "{" KEYS ",\"Token\":\"t\",\"Expiration\":\"tomorrow\"}", "no instant"},
            {CLOUD_DOCUMENT_CONTAINER, "{" KEYS ",\"Token\":\"t\",\"Expiration\":1733520145}", "is no string"},
            {CLOUD_DOCUMENT_CONTAINER, "{" KEYS ",\"AccessKeyId\":\"B\"}", "not JSON"},
            {CLOUD_DOCUMENT_PROCESS, "{" KEYS "}", "Version is not 1"},
            {CLOUD_DOCUMENT_PROCESS, "{\"Version\":2," KEYS "}", "Version is not 1"},
            {CLOUD_DOCUMENT_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A\"}", "no secret key"},
            {CLOUD_DOCUMENT_PROCESS, "{\"Version\":1,\"SecretAccessKey\":\"A\"}", "no access key"},
            {CLOUD_DOCUMENT_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A B\",\"SecretAccessKey\":\"s3cret\"}",
                    "the access key has a character"},
            {CLOUD_DOCUMENT_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\\n\"}",
                    "the secret key has a character"},
            {CLOUD_DOCUMENT_PROCESS, "{\"Version\":1,\"AccessKeyId\":[],\"SecretAccessKey\":\"s3cret\"}",
                    "AccessKeyId is no string"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cloud_credentials c = {0};
        struct err e = ERR_INIT;

        assert_int_equal(cloud_document_parse(bytes_of(rows[i].text), rows[i].kind, &c, &e), -1);
        if (!strstr(e.text, rows[i].why))
            fail_msg("row %zu: %s", i, e.text);
        assert_null(strstr(e.text, "s3cret"));
        assert_true(!c.access_key && !c.secret_key && !c.token);
    }
}

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_taken), cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, setup, NULL);
}
