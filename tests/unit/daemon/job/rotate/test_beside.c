/* What a rotation makes and what a running daemon says that it makes, as words; and what comes of it where they differ.
 */
#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "age/identity.h"
#include "base/secret.h"
#include "failing.h"
#include "job/rotate/beside.h"

#define MASTER "0123-4567-89ab-cdef-0123"

static struct age_recipient ann, ben;

static int setup(void **state)
{
    struct age_recipient *const people[] = {&ann, &ben};
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        _cleanup_secret_ struct secret *identity = age_identity_new(&e);

        if (!identity)
            return -1;
        age_identity_recipient(identity, 0, people[i]);
    }
    return 0;
}

static void expect_words(const char *expected, const struct key_form *f, const char *master)
{
    char words[KEY_FORM_WORDS_MAX];

    assert_string_equal(key_form_words(f, master, words), expected);
}

static void test_words(void **state)
{
    const struct key_form of_both = {.recipients = {ann, ben}, .n = 2}, turned = {.recipients = {ben, ann}, .n = 2},
                          twice = {.recipients = {ann, ben, ann}, .n = 3}, of_one = {.recipients = {ann}, .n = 1},
                          of_other = {.recipients = {ben}, .n = 1};
    char words[KEY_FORM_WORDS_MAX], others[KEY_FORM_WORDS_MAX];
    struct key_form of_all = {.n = AGE_RECIPIENTS_MAX};

    (void)state;
    expect_words("none", &(struct key_form){.n = 0}, "");
    expect_words("wrapped by master key " MASTER, &(struct key_form){.n = 0}, MASTER);
    (void)key_form_words(&of_both, MASTER, words);
    assert_true(strncmp(words, "sealed to 2 people (", 20) == 0);
    assert_string_equal(words + 20 + 24, "), vouched for by master key " MASTER);
    expect_words(words, &turned, MASTER);
    expect_words(words, &twice, MASTER);
    (void)key_form_words(&of_one, "", words);
    assert_true(strncmp(words, "sealed to 1 person (", 20) == 0);
    assert_string_equal(words + 20 + 24, "), vouched for by nobody");
    assert_string_not_equal(words, key_form_words(&of_other, "", others));
    /* As many as there may be. */
    for (size_t i = 0; i < of_all.n; i++)
        randombytes_buf(of_all.recipients[i].point, AGE_KEY_LEN);
    assert_true(strstr(key_form_words(&of_all, MASTER, words), "16 people (") != NULL);
    assert_string_equal(words + 21 + 24, "), vouched for by master key " MASTER);
}

static void test_check(void **state)
{
    static const struct {
        struct beside beside;
        enum err_kind kind;
        const char *text;
    } rows[] = {
            {{0}, ERR_NONE, ""},
            {{"s", "other", "g", ""}, ERR_NONE, ""},
            {{"s", "https://a/b/p-", "g", ""}, ERR_CONFIG,
                    "the daemon on s goes on with another configuration: reload it, and run this again (its next key "
                    "would be g, and not f)"},
            {{"s", "https://a/b/p-", "f", ""}, ERR_NONE, ""},
            {{"s", "https://a/c/p-", "g", ""}, ERR_NONE, ""},
            {{"s", "https://a/b/q-", "g", ""}, ERR_NONE, ""},
            {{"s", "https://a:443/b/p-", "g", ""}, ERR_CONFIG,
                    "the daemon on s goes on with another configuration: reload it, and run this again (its next key "
                    "in https://a:443/b/p- would be g, and not f)"},
            {{"s", "https://a/b/p-", "", ""}, ERR_CONFIG,
                    "the daemon on s does not say what its next key would be: it is of another version; restart it, "
                    "and run this again"},
            {{"s", "", "", "why"}, ERR_TRANSIENT,
                    "the daemon on s could not be asked what its next key would be: stop it or mend that, and run this "
                    "again: why"},
            {{"s", "", "", ""}, ERR_TRANSIENT,
                    "the daemon on s could not be asked what its next key would be: stop it or mend that, and run this "
                    "again: "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;
        struct beside copy;

        assert_int_equal(beside_copy(&rows[i].beside, &copy, &e), 0);
        assert_int_equal(beside_check(&copy, "https://a/b/p-", "f", &e), rows[i].kind == ERR_NONE ? 0 : -1);
        if (rows[i].kind != ERR_NONE)
            expect_error(&e, rows[i].kind, rows[i].text);
        beside_clear(&copy);
        assert_null(copy.socket);
        beside_clear(&copy);
    }
}

static void test_out_of_memory(void **state)
{
    const struct beside b = {"s", "b", "f", ""};

    (void)state;
    for (unsigned i = 1; i <= 4; i++) {
        struct err e = ERR_INIT;
        struct beside copy;

        failing_arm(i);
        assert_int_equal(beside_copy(&b, &copy, &e), -1);
        assert_true(failing_disarm());
        assert_int_equal(e.kind, ERR_RESOURCE);
        assert_true(!copy.socket && !copy.trouble);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_words),
            cmocka_unit_test(test_check),
            cmocka_unit_test(test_out_of_memory),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, setup, NULL);
}
