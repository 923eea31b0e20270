/* What is learnt of a store, from which answers, and what is said to it then. */
#include "expect.h"

#include <string.h>

#include "s3/dialect.h"

/* What becomes of an answer: of no account, does without this once, or from now on. */
enum meaning { NOTHING, ONCE, SURE };

static void check(enum s3_feature feature, bool was_heard, const struct s3_dialect *d, enum meaning meaning)
{
    assert_int_equal(was_heard, meaning != NOTHING);
    for (unsigned i = 0; i < S3_FEATURES; i++)
        assert_int_equal(s3_dialect_lacks(d, i), meaning == SURE && i == feature);
}

static void an_error_says_what_a_store_lacks(void **state)
{
    static const struct {
        enum s3_feature feature;
        int status;
        enum meaning meaning;
    } cases[] = {
            {S3_LIST_OBJECTS_V2, 400, ONCE},
            {S3_LIST_OBJECTS_V2, 405, SURE},
            {S3_LIST_OBJECTS_V2, 501, SURE},
            {S3_LIST_OBJECTS_V2, 404, NOTHING},
            {S3_DELETE_OBJECTS, 400, ONCE},
            {S3_DELETE_OBJECTS, 405, SURE},
            {S3_DELETE_OBJECTS, 501, SURE},
            {S3_DELETE_OBJECTS, 412, NOTHING},
            {S3_LIST_UPLOADS, 400, NOTHING},
            {S3_LIST_UPLOADS, 405, ONCE},
            {S3_LIST_UPLOADS, 501, ONCE},
            {S3_OBJECT_LOCK, 400, ONCE},
            {S3_OBJECT_LOCK, 404, ONCE},
            {S3_OBJECT_LOCK, 405, ONCE},
            {S3_OBJECT_LOCK, 409, ONCE},
            {S3_OBJECT_LOCK, 501, ONCE},
            {S3_OBJECT_LOCK, 412, NOTHING},
            {S3_IF_NONE_MATCH, 400, NOTHING},
            {S3_IF_NONE_MATCH, 412, NOTHING},
            {S3_IF_NONE_MATCH, 501, SURE},
            {S3_COMMIT_IF_NONE, 400, ONCE},
            {S3_COMMIT_IF_NONE, 412, NOTHING},
            {S3_COMMIT_IF_NONE, 501, SURE},
            {S3_BODY_WITHOUT_MD5, 400, NOTHING}, /* these two need more than a status */
            {S3_UNSIGNED_BODY, 400, NOTHING},
            {S3_LIST_OBJECTS_V2, 0, NOTHING},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_dialect d = {0};
        struct err e = ERR_INIT;

        err_set(&e, cases[i].status == 404 ? ERR_NOT_FOUND : ERR_CONFIG, ERR_DOMAIN_HTTP, cases[i].status, "no");
        check(cases[i].feature, s3_dialect_hears(&d, cases[i].feature, &e), &d, cases[i].meaning);
    }
}

static void what_is_a_matter_of_rights_or_of_another_attempt_says_nothing(void **state)
{
    static const struct {
        enum err_kind kind;
        enum err_domain domain;
    } cases[] = {
            {ERR_AUTH, ERR_DOMAIN_HTTP}, /* 400 ExpiredToken */
            {ERR_TRANSIENT, ERR_DOMAIN_HTTP},
            {ERR_PROTOCOL, ERR_DOMAIN_HTTP}, /* a web page */
            {ERR_CONFIG, ERR_DOMAIN_NONE},
            {ERR_CONFIG, ERR_DOMAIN_CURL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_dialect d = {0};
        struct err e = ERR_INIT;

        err_set(&e, cases[i].kind, cases[i].domain, 501, "no");
        check(S3_IF_NONE_MATCH, s3_dialect_hears(&d, S3_IF_NONE_MATCH, &e), &d, NOTHING);
    }
}

static void a_code_or_its_words_say_what_a_body_needs(void **state)
{
    static const struct {
        enum s3_feature feature;
        struct s3_refusal refusal;
        enum meaning meaning;
    } cases[] = {
            {S3_BODY_WITHOUT_MD5, {400, "MissingContentMD5", ""}, SURE},
            {S3_BODY_WITHOUT_MD5, {400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required"},
                    SURE},
            {S3_BODY_WITHOUT_MD5, {400, "InvalidRequest", "Missing required header"}, NOTHING},
            {S3_BODY_WITHOUT_MD5, {400, "InvalidDigest", "The Content-MD5 you specified is not valid"}, NOTHING},
            {S3_BODY_WITHOUT_MD5, {403, "MissingContentMD5", ""}, NOTHING},
            {S3_UNSIGNED_BODY, {403, "AccessDenied", ""}, ONCE},
            {S3_UNSIGNED_BODY, {403, "SignatureDoesNotMatch", ""}, ONCE},
            {S3_UNSIGNED_BODY, {400, "XAmzContentSHA256Mismatch", ""}, ONCE},
            {S3_UNSIGNED_BODY, {400, "InvalidRequest", ""}, ONCE},
            {S3_UNSIGNED_BODY, {400, "InvalidArgument", ""}, ONCE},
            {S3_UNSIGNED_BODY, {501, "NotImplemented", ""}, ONCE},
            {S3_UNSIGNED_BODY, {403, "", ""}, NOTHING},
            {S3_UNSIGNED_BODY, {404, "NoSuchBucket", ""}, NOTHING},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_dialect d = {0};

        check(cases[i].feature, s3_dialect_hears_refusal(&d, cases[i].feature, &cases[i].refusal), &d,
                cases[i].meaning);
    }
}

static void the_first_that_is_learnt_stays(void **state)
{
    const struct s3_refusal refusal = {403, "AccessDenied", ""};
    struct s3_dialect d = {0};

    (void)state;
    s3_dialect_learn(&d, S3_UNSIGNED_BODY, true);
    assert_false(s3_dialect_hears_refusal(&d, S3_UNSIGNED_BODY, &refusal));
    s3_dialect_learn(&d, S3_UNSIGNED_BODY, false);
    assert_false(s3_dialect_lacks(&d, S3_UNSIGNED_BODY));

    d = (struct s3_dialect){0};
    s3_dialect_learn(&d, S3_UNSIGNED_BODY, false);
    s3_dialect_learn(&d, S3_UNSIGNED_BODY, true);
    assert_true(s3_dialect_lacks(&d, S3_UNSIGNED_BODY));
}

static void if_match_is_said_as_the_store_wants_it(void **state)
{
    static const struct {
        const char *etag, *quoted, *bare;
    } cases[] = {
            {"\"abc\"", "\"abc\"", "abc"},
            {"abc", "abc", "abc"},
            {"W/\"abc\"", "W/\"abc\"", "abc"},
            {"\"abc-2\"", "\"abc-2\"", "abc-2"},
            {"\"", "\"", ""},
            {"", NULL, NULL},
    };
    char out[S3_ETAG_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (enum s3_match form = S3_MATCH_QUOTED; form <= S3_MATCH_NONE; form++) {
            const struct s3_dialect d = {.match = form};
            const char *expected = form == S3_MATCH_QUOTED ? cases[i].quoted
                                   : form == S3_MATCH_BARE ? cases[i].bare
                                                           : NULL;
            const char *said = s3_dialect_if_match(&d, cases[i].etag, out);

            if (expected)
                assert_string_equal(said, expected);
            else
                assert_null(said);
        }
}

static void a_refused_form_leads_to_the_next_once(void **state)
{
    struct s3_dialect d = {0};

    (void)state;
    s3_dialect_refuses_match(&d, S3_MATCH_QUOTED);
    assert_int_equal(d.match, S3_MATCH_BARE);
    s3_dialect_refuses_match(&d, S3_MATCH_QUOTED); /* another, sent at the same time */
    assert_int_equal(d.match, S3_MATCH_BARE);
    s3_dialect_refuses_match(&d, S3_MATCH_BARE);
    assert_int_equal(d.match, S3_MATCH_NONE);
    s3_dialect_refuses_match(&d, S3_MATCH_NONE);
    assert_int_equal(d.match, S3_MATCH_NONE);
}

static void a_new_client_finds_out_anew_what_settings_change(void **state)
{
    struct s3_dialect d = {.match = S3_MATCH_NONE};

    (void)state;
    s3_dialect_learn(&d, S3_DELETE_OBJECTS, false);
    s3_dialect_begin(&d);
    assert_int_equal(d.match, S3_MATCH_QUOTED);
    assert_true(s3_dialect_lacks(&d, S3_DELETE_OBJECTS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_error_says_what_a_store_lacks),
            cmocka_unit_test(what_is_a_matter_of_rights_or_of_another_attempt_says_nothing),
            cmocka_unit_test(a_code_or_its_words_say_what_a_body_needs),
            cmocka_unit_test(the_first_that_is_learnt_stays),
            cmocka_unit_test(if_match_is_said_as_the_store_wants_it),
            cmocka_unit_test(a_refused_form_leads_to_the_next_once),
            cmocka_unit_test(a_new_client_finds_out_anew_what_settings_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
