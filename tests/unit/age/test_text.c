#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "age/hkdf.h"
#include "age/identity.h"
#include "age/recipient.h"
#include "expect.h"
#include "failing.h"

/* Made by age-keygen 1.1.1. */
#define IDENTITY  "AGE-SECRET-KEY-1347C287ZRJVEF5P6H0FVFC7QLQSKRA6GVE6DJDJJ473H46VRYW3Q8SMMM9"
#define RECIPIENT "age1kmwm8ns7lt9p7xzryuxjrwhv0xcusnyqrrn0e8t85nv5rkkr2f3qlertnu"

static struct secret *parse(const char *text, struct err *e)
{
    return age_identities_parse("my.key", (struct bytes){(const uint8_t *)text, strlen(text)}, e);
}

static void an_identity_has_its_recipient(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *s = parse("# created: today\r\n\n" IDENTITY "\r\n", &e);
    _cleanup_secret_ struct secret *file = NULL;
    char text[AGE_RECIPIENT_MAX], brief[AGE_RECIPIENT_SHORT_MAX];
    struct age_recipient r, parsed;

    (void)state;
    expect_success(s, &e);
    assert_int_equal(age_identity_count(s), 1);
    age_identity_recipient(s, 0, &r);
    assert_string_equal(age_recipient_format(&r, text), RECIPIENT);
    assert_memory_equal(age_recipient_short(&r, brief), RECIPIENT, AGE_RECIPIENT_SHORT_MAX - 1);
    assert_int_equal(strlen(brief), AGE_RECIPIENT_SHORT_MAX - 1);
    expect_success(age_recipient_parse(RECIPIENT, &parsed, &e) == 0, &e);
    assert_memory_equal(parsed.point, r.point, AGE_KEY_LEN);
    file = age_identity_file(s, &e);
    expect_success(file, &e);
    assert_int_equal(secret_len(file), strlen("# public key: " RECIPIENT "\n" IDENTITY "\n"));
    assert_memory_equal(secret_const_data(file), "# public key: " RECIPIENT "\n" IDENTITY "\n", secret_len(file));
}

static void each_new_identity_can_be_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 50; i++) {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *s = age_identity_new(&e), *file = NULL, *again = NULL;

        expect_success(s, &e);
        file = age_identity_file(s, &e);
        expect_success(file, &e);
        again = age_identities_parse("new", (struct bytes){secret_const_data(file), secret_len(file)}, &e);
        expect_success(again, &e);
        assert_true(secret_equal(s, again));
    }
}

static void what_is_no_recipient_is_refused_in_words(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
            {"", "is not a recipient of age (age1…)"},
            {"age", "is not a recipient of age (age1…)"},
            {"Age1", "is not a recipient of age (age1…)"},
            {"age1", "is not a recipient of age: it is too short or too long"},
            {RECIPIENT "q", "is not a recipient of age: it is too short or too long"},
            {RECIPIENT "\n", "is not a recipient of age: it has a character that cannot be there"},
            {"age1kmwm8ns7lt9p7xzruyxjrwhv0xcusnyqrrn0e8t85nv5rkkr2f3qlertnu",
                    "is not a recipient of age: it has a wrong checksum: it was mistyped"},
            {"AGE1KMWM8NS7LT9P7XZRYUXJRWHV0XCUSNYQRRN0E8T85NV5RKKR2F3QLERTNU", "is not a recipient of age (age1…)"},
            {"age1kmwm8nS7lt9p7xzryuxjrwhv0xcusnyqrrn0e8t85nv5rkkr2f3qlertnu",
                    "is not a recipient of age: it has a character that cannot be there"},
            {"age1kmwm8ns7lt9p7xzryuxjrwhv0xcusnyqrrn0e8t85nv5rkkr2f3pz0h7ww",
                    "is not a recipient of age: it is not in the one form that its bytes have"},
            {"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
                    "is not a recipient of age: it is a point of low order, which everybody can open"},
            {"age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
                    "is not a recipient of age: it is a point of low order, which everybody can open"},
            {"age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt",
                    "is a recipient of a plugin of age, or of a newer kind: only X25519's can be sealed to here (age1 "
                    "and 58 characters)"},
            {IDENTITY, "is a secret key of age, which belongs on no machine that makes backups: name its recipient "
                       "(age1…, age-keygen -y shows it), and make a new key if others could read this file"},
            {"age-secret-key-1", "is a secret key of age, which belongs on no machine that makes backups: name its "
                                 "recipient (age1…, age-keygen -y shows it), and make a new key if others could read "
                                 "this file"},
            {"ssh-ed25519 AAAA", "is an SSH key, not a recipient of age (age1…)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;
        struct age_recipient r;

        assert_int_equal(age_recipient_parse(rows[i].text, &r, &e), -1);
        expect_error(&e, ERR_CONFIG, rows[i].why);
    }
}

static void what_is_no_identity_is_refused_in_words(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
            {"", "my.key: no identity of age in it (AGE-SECRET-KEY-1…)"},
            {"# nothing\n\n", "my.key: no identity of age in it (AGE-SECRET-KEY-1…)"},
            {IDENTITY "\n" RECIPIENT "\n",
                    "my.key: line 2 is a recipient, which only seals: its identity begins with AGE-SECRET-KEY-1"},
            {IDENTITY " \n", "my.key: line 1 is no identity of age (AGE-SECRET-KEY-1…): it has a character that cannot "
                             "be there"},
            {"AGE-SECRET-KEY-1\n", "my.key: line 1 is no identity of age (AGE-SECRET-KEY-1…): it is too short or too "
                                   "long"},
            {"\nage-secret-key-1", "my.key: line 2 is no identity of age (AGE-SECRET-KEY-1…): it begins with something "
                                   "else"},
            {"AGE-SECRET-KEY-1347C287ZRJVEF56PH0FVFC7QLQSKRA6GVE6DJDJJ473H46VRYW3Q8SMMM9",
                    "my.key: line 1 is no identity of age (AGE-SECRET-KEY-1…): it has a wrong checksum: it "
                    "was mistyped"},
            {"AGE-PLUGIN-YUBIKEY-1QQQ", "my.key: line 1 is an identity of a plugin: let age open the key, and hand "
                                        "that over: age -d -i FILE BACKUP.key | etcd-backupctl restore … --data-key -"},
            {"age-encryption.org/v1\n-> scrypt", "my.key: this identity is itself encrypted: let age open it, and hand "
                                                 "over what comes out: age -d FILE | etcd-backupctl … --identity -"},
            {"-----BEGIN OPENSSH PRIVATE KEY-----\n", "my.key: an SSH key, and no identity of age (AGE-SECRET-KEY-1…)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        assert_null(parse(rows[i].text, &e));
        expect_error(&e, ERR_CONFIG, rows[i].why);
    }
}

static void a_file_has_some_identities_and_not_any_number(void **state)
{
    static char text[(AGE_IDENTITIES_MAX + 1) * (AGE_IDENTITY_LEN + 1) + 1];

    (void)state;
    for (size_t n = 1; n <= AGE_IDENTITIES_MAX + 1; n++) {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *s = NULL;

        strcat(text, IDENTITY "\n");
        s = parse(text, &e);
        assert_int_equal(s ? age_identity_count(s) : 0, n > AGE_IDENTITIES_MAX ? 0 : n);
        if (!s)
            expect_error(&e, ERR_CONFIG, "my.key: more than 64 identities");
    }
}

static void each_character_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < strlen(RECIPIENT); i++) {
        char text[] = RECIPIENT;
        struct err e = ERR_INIT;
        struct age_recipient r;

        text[i] = text[i] == 'q' ? 'p' : 'q';
        assert_int_equal(age_recipient_parse(text, &r, &e), -1);
    }
}

static void memory_runs_out_anywhere(void **state)
{
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *s = NULL, *file = NULL;

        failing_arm(++n);
        s = parse(IDENTITY, &e);
        file = s ? age_identity_file(s, &e) : NULL;
        reached = failing_disarm();
        assert_int_equal(!file, reached);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
}

/* RFC 5869, A.1 and A.3, the first 32 bytes; A.1's info is no text, so this one's answer is Python's (hmac, hashlib).
 */
static void hkdf_gives_the_known_answers(void **state)
{
    uint8_t key[22], salt[13], out[HKDF_LEN];
    char hex[2 * HKDF_LEN + 1];

    (void)state;
    memset(key, 0x0b, sizeof(key));
    for (size_t i = 0; i < sizeof(salt); i++)
        salt[i] = (uint8_t)i;
    hkdf_derive((struct bytes){key, sizeof(key)}, (struct bytes){(const uint8_t *)"", 0}, "", out);
    assert_string_equal(sodium_bin2hex(hex, sizeof(hex), out, sizeof(out)),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    hkdf_derive((struct bytes){key, sizeof(key)}, (struct bytes){salt, sizeof(salt)}, "header", out);
    assert_string_equal(sodium_bin2hex(hex, sizeof(hex), out, sizeof(out)),
            "8de6eb6b9d5b7bc1595a4430ff731d21f4f3a2f2402a41a8661df682524bd83f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_identity_has_its_recipient),
            cmocka_unit_test(each_new_identity_can_be_read),
            cmocka_unit_test(what_is_no_recipient_is_refused_in_words),
            cmocka_unit_test(what_is_no_identity_is_refused_in_words),
            cmocka_unit_test(a_file_has_some_identities_and_not_any_number),
            cmocka_unit_test(each_character_counts),
            cmocka_unit_test(memory_runs_out_anywhere),
            cmocka_unit_test(hkdf_gives_the_known_answers),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("age_text", tests, NULL, NULL);
}
