/* Profiles of the AWS CLI, and command lines as they are cut. */
#include "expect.h"

#include <string.h>

#include "cloud/profile.h"

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static bool is(struct bytes b, const char *text)
{
    return text ? b.len == strlen(text) && memcmp(b.data, text, b.len) == 0 : b.data == NULL;
}

static void test_taken(void **state)
{
    static const struct {
        const char *text, *id, *token, *process;
    } rows[] = {
            {"[p]\naws_access_key_id=A\naws_secret_access_key=s", "A", NULL, NULL},
            {"# c\n; c\n[x]\naws_access_key_id = B\n[ profile  p ]\r\n aws_x = y\r\naws_access_key_id = A\r\n"
             "aws_secret_access_key= s \naws_session_token = t=t\n",
                    "A", "t=t", NULL},
            {"[p]\ns3 =\n  aws_access_key_id = B\ncredential_process = /a \"b c\"\nregion = x", NULL, NULL,
                    "/a \"b c\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cloud_profile p;
        struct err e = ERR_INIT;

        expect_success(cloud_profile_parse(bytes_of(rows[i].text), "p", &p, &e) == 0, &e);
        assert_true(is(p.access_key, rows[i].id) && is(p.token, rows[i].token) && is(p.process, rows[i].process));
        assert_true(is(p.secret_key, rows[i].id ? "s" : NULL));
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
            {"", "there is no profile [p]"},
            {"[q]\naws_access_key_id=A\naws_secret_access_key=s3cret", "there is no profile [p]"},
            {"[p]\naws_access_key_id=A", "has no aws_secret_access_key"},
            {"[p]\naws_secret_access_key=s3cret", "has no aws_access_key_id"},
            {"[p]\n[q]\n", "nor credential_process"},
            {"[p]\ns3cret\n", "line 2: is not 'key = value'"},
            {"[p]\nsource_profile = q\n", "line 2: source_profile is not understood here"},
            {"[p]\naws_access_key_id=A\naws_access_key_id=B\n", "line 3: aws_access_key_id is there a second time"},
            {"[p]\n[profile p]\n", "line 2: the profile [p] is there a second time"},
            {"[p]\ncredential_process=x\naws_access_key_id=A\n", "one of them, please"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cloud_profile p;
        struct err e = ERR_INIT;

        assert_int_equal(cloud_profile_parse(bytes_of(rows[i].text), "p", &p, &e), -1);
        if (!strstr(e.text, rows[i].why) || strstr(e.text, "s3cret"))
            fail_msg("row %zu: %s", i, e.text);
    }
}

static void test_split(void **state)
{
    static const struct {
        const char *line, *words[5]; /* none: refused */
    } rows[] = {
            {"/a", {"/a"}},
            {"  /a  b\tc ", {"/a", "b", "c"}},
            {"/a \"b c\"'d e'f", {"/a", "b cd ef"}},
            {"/a\\ b \"x\\\"y\" 'x\\y' \"\"", {"/a b", "x\"y", "x\\y", ""}},
            {"", {NULL}},
            {"/a \"b", {NULL}},
            {"/a b\\", {NULL}},
            {"\"\" b", {NULL}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;
        _cleanup_free_ char **words = cloud_profile_split(bytes_of(rows[i].line), &e);

        if (!rows[i].words[0]) {
            assert_null(words);
            assert_int_equal(e.kind, ERR_CONFIG);
            continue;
        }
        expect_success(words, &e);
        for (size_t j = 0; j < 5 && rows[i].words[j]; j++)
            assert_string_equal(words[j], rows[i].words[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_taken), cmocka_unit_test(test_refused), cmocka_unit_test(test_split)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
