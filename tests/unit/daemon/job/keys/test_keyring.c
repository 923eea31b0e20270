/* The master key in use and those that were before it: which of them opens what, and what is said when none does. */
#include "expect.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "failing.h"
#include "folder.h"
#include "job/keys/keyring.h"
#include "seal/sealed_key.h"

#define WRONG "wrong master key, or the key object is damaged (not opened by "
#define RIGHT "); the right one goes into previous_key_paths"

enum { INSTANT = 1733520145, KEYS = 4 };

static char *const names[] = {(char *)(uintptr_t)("current"), (char *)(uintptr_t)("older"),
        (char *)(uintptr_t)("oldest"), (char *)(uintptr_t)("other")}; /* the last is not configured */
static struct secret *keys[KEYS];
static char fingerprints[KEYS][KEY_FINGERPRINT_MAX], text[ERR_TEXT_MAX];
static struct conf conf;

static int setup(void **state)
{
    struct err e = ERR_INIT;

    if (folder_setup(state) < 0)
        return -1;
    for (size_t i = 0; i < KEYS; i++) {
        char digits[2 * KEY_LEN + 1];

        keys[i] = key_new_master(&e);
        if (!keys[i])
            return -1;
        (void)key_fingerprint(keys[i], fingerprints[i]);
        (void)sodium_bin2hex(digits, sizeof(digits), secret_const_data(keys[i]), KEY_LEN);
        folder_write(names[i], digits, 2 * KEY_LEN, 0600);
    }
    conf = (struct conf){
            .encryption_key_path = names[0],
            .previous_key_paths = (char **)(uintptr_t)&names[1],
            .n_previous_key_paths = 2,
    };
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < KEYS; i++)
        secret_free(TAKE_PTR(keys[i]));
    return folder_teardown(state);
}

static struct keyring *ring(void)
{
    struct err e = ERR_INIT;
    struct keyring *r = keyring_new(&conf, &e);

    expect_success(r, &e);
    assert_int_equal(e.kind, ERR_NONE);
    return r;
}

/* A new data key, wrapped by the key number `by`. */
static struct secret *wrap(unsigned by, int64_t instant, uint8_t wrapped[KEY_WRAPPED_LEN])
{
    struct err e = ERR_INIT;
    struct secret *data_key = key_new_data(&e);

    expect_success(data_key && key_wrap(keys[by], data_key, instant, wrapped, &e) == 0, &e);
    return data_key;
}

static void expect_opens(const struct keyring *r, unsigned by, size_t expected)
{
    uint8_t wrapped[KEY_WRAPPED_LEN];
    _cleanup_secret_ struct secret *data_key = wrap(by, INSTANT, wrapped), *found = NULL, *again = NULL;
    struct err e = ERR_INIT;
    size_t at = 99;

    found = keyring_unwrap(r, (struct bytes){wrapped, sizeof(wrapped)}, INSTANT, false, &at, &e);
    expect_success(found, &e);
    assert_true(secret_equal(found, data_key));
    assert_int_equal(at, expected);
    assert_string_equal(keyring_fingerprint(r, at), fingerprints[by]);
    again = keyring_unwrap(r, (struct bytes){wrapped, sizeof(wrapped)}, INSTANT, false, NULL, &e);
    assert_true(again && secret_equal(again, data_key));
}

static void expect_refused(const struct keyring *r, unsigned by, const char *expected)
{
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct err e = ERR_INIT;

    secret_free(wrap(by, INSTANT, wrapped));
    assert_null(keyring_unwrap(r, (struct bytes){wrapped, sizeof(wrapped)}, INSTANT, false, NULL, &e));
    expect_error(&e, ERR_INTEGRITY, expected);
    assert_int_equal(e.domain, ERR_DOMAIN_KEY);
    assert_int_equal(e.code, KEY_FAULT_DOES_NOT_OPEN);
}

/* ---- what opens ---- */

static void test_each_opens_its_own(void **state)
{
    _cleanup_(cleanup_keyring_free) struct keyring *r = ring();

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        expect_opens(r, i, i);
    (void)snprintf(text, sizeof(text), WRONG "%s of current, %s of older, %s of oldest" RIGHT, fingerprints[0],
            fingerprints[1], fingerprints[2]);
    expect_refused(r, 3, text);
}

/* What is read was there when the ring was made; what is there later is for the next ring. */
static void test_files_are_read_anew(void **state)
{
    _cleanup_(cleanup_keyring_free) struct keyring *before = ring(), *after = NULL;

    (void)state;
    assert_int_equal(rename("other", "current"), 0);
    after = ring();
    expect_opens(before, 0, 0);
    expect_opens(after, 3, 0);
}

/* The same key twice: the one in use comes first. */
static void test_in_use_comes_first(void **state)
{
    char *paths[] = {names[0], names[1], names[1]};
    _cleanup_(cleanup_keyring_free) struct keyring *r = NULL;

    (void)state;
    conf.previous_key_paths = paths;
    conf.n_previous_key_paths = 3;
    r = ring();
    expect_opens(r, 0, KEYRING_CURRENT);
    expect_opens(r, 1, 2);
}

static void test_current_alone(void **state)
{
    _cleanup_(cleanup_keyring_free) struct keyring *r = NULL;

    (void)state;
    conf.previous_key_paths = NULL;
    conf.n_previous_key_paths = 0;
    r = ring();
    assert_true(secret_equal(keyring_current(r), keys[0]));
    expect_opens(r, 0, KEYRING_CURRENT);
    (void)snprintf(text, sizeof(text), WRONG "%s of current" RIGHT, fingerprints[0]);
    expect_refused(r, 1, text);
}

/* New backups are not encrypted any more; the old ones can still be read. */
static void test_previous_alone(void **state)
{
    _cleanup_(cleanup_keyring_free) struct keyring *r = NULL;

    (void)state;
    conf.encryption_key_path = NULL;
    r = ring();
    assert_null(keyring_current(r));
    expect_opens(r, 1, 1);
    expect_opens(r, 2, 2);
    (void)snprintf(text, sizeof(text), WRONG "%s of older, %s of oldest" RIGHT, fingerprints[1], fingerprints[2]);
    expect_refused(r, 0, text);
}

static void test_none_configured(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    static const char sealed[] = "age-encryption.org/v1\n";
    static const uint8_t wrapped[KEY_WRAPPED_LEN];
    struct keyring *ring;

    conf = (struct conf){.file = NULL};
    ring = keyring_new(&conf, &e);
    expect_success(ring, &e);
    assert_null(keyring_current(ring));
    assert_null(keyring_unwrap(ring, (struct bytes){wrapped, sizeof(wrapped)}, 0, false, NULL, &e));
    expect_error(&e, ERR_CONFIG, "is encrypted, and encryption_key_path is not configured");
    assert_int_equal(
            keyring_check(ring, (struct bytes){(const uint8_t *)sealed, strlen(sealed)}, 0, false, NULL, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "is sealed, and there is no encryption_key_path whose key could vouch for it");
    assert_int_equal(e.code, KEY_FAULT_UNVOUCHED);
    keyring_free(ring);
}

/* What is sealed is opened by none, and vouched for by the one that is in use, or was before. */
static void test_sealed(void **state)
{
    static const struct age_recipient recipient = {.point = {9}};
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *data_key = key_new_data(&e);
    _cleanup_(cleanup_keyring_free) struct keyring *ring = NULL;
    _cleanup_secret_ struct secret *vouching = NULL;
    _cleanup_buf_ struct buf object = BUF_INIT(SEALED_KEY_MAX);
    struct sealed_key_spec spec = {.recipients = &recipient, .n = 1, .data_key = data_key, .instant = 1733520145};
    size_t by = 99;

    (void)state;
    ring = keyring_new(&conf, &e);
    expect_success(ring, &e);
    vouching = secret_copy(secret_const_data(keyring_current(ring)), KEY_LEN, &e);
    spec.vouching = vouching;
    expect_success(sealed_key_make(&spec, &object, &e) == 0, &e);
    expect_success(keyring_check(ring, buf_bytes(&object), 1733520145, false, &by, &e) == 0, &e);
    assert_int_equal(by, KEYRING_CURRENT);
    assert_null(keyring_unwrap(ring, buf_bytes(&object), 1733520145, false, &by, &e));
    assert_int_equal(e.code, KEY_FAULT_SEALED);
    assert_int_equal(keyring_check(ring, buf_bytes(&object), 1733520146, false, &by, &e), -1);
    assert_int_equal(e.code, KEY_FAULT_BOUND_ELSEWHERE);
    expect_success(keyring_check(ring, buf_bytes(&object), 1733520146, true, &by, &e) == 0, &e);
    object.data[object.len - 1] ^= 1;
    assert_int_equal(keyring_check(ring, buf_bytes(&object), 1733520145, false, &by, &e), -1);
    assert_int_equal(e.code, KEY_FAULT_DOES_NOT_OPEN);
}

/* ---- files that are not there ---- */

/* The other half of a ceremony is to destroy the previous key. */
static void test_previous_is_missing(void **state)
{
    _cleanup_(cleanup_keyring_free) struct keyring *r = NULL;

    (void)state;
    assert_int_equal(unlink(names[1]), 0);
    r = ring();
    expect_opens(r, 0, 0);
    expect_opens(r, 2, 2);
    (void)snprintf(text, sizeof(text),
            WRONG "%s of current, %s of oldest; not tried: older: No such file or directory" RIGHT, fingerprints[0],
            fingerprints[2]);
    expect_refused(r, 1, text);
}

static void test_no_previous_can_be_read(void **state)
{
    _cleanup_(cleanup_keyring_free) struct keyring *r = NULL;

    (void)state;
    conf.encryption_key_path = NULL;
    folder_write(names[1], "0123", 4, 0600);
    assert_int_equal(unlink(names[2]), 0);
    r = ring();
    expect_refused(
            r, 1, WRONG "any; not tried: older: 4 hexadecimal digits instead of 64" RIGHT); /* one of them will do */
}

/* Whoever reads it must see what is wrong with the one in use. */
static void test_current_is_missing(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(unlink(names[0]), 0);
    assert_null(keyring_new(&conf, &e));
    expect_error(&e, ERR_NOT_FOUND, "current: No such file or directory");
    folder_write(names[0], "x", 1, 0600);
    assert_null(keyring_new(&conf, &e));
    expect_error(&e, ERR_CONFIG, "current: byte 1 is not a hexadecimal digit");
    folder_write(names[0], "x", 1, 0644);
    assert_null(keyring_new(&conf, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "open to all users"));
}

/* As many as there may be; the line is cut, but it is one. */
static void test_many(void **state)
{
    char *paths[16];
    char files[16][8];
    uint8_t wrapped[KEY_WRAPPED_LEN];
    _cleanup_(cleanup_keyring_free) struct keyring *r = NULL;
    struct err e = ERR_INIT;

    (void)state;
    secret_free(wrap(3, INSTANT, wrapped));
    for (size_t i = 0; i < 16; i++) {
        struct buf one = folder_read(names[i % 3]);

        (void)snprintf(files[i], sizeof(files[i]), "k%zu", i);
        folder_write(files[i], one.data, one.len, 0600);
        buf_reset(&one);
        paths[i] = files[i];
    }
    conf.previous_key_paths = paths;
    conf.n_previous_key_paths = 16;
    r = ring();
    expect_opens(r, 2, 3);
    assert_null(keyring_unwrap(r, (struct bytes){wrapped, sizeof(wrapped)}, INSTANT, false, NULL, &e));
    assert_int_equal(e.kind, ERR_INTEGRITY);
    assert_non_null(strstr(e.text, fingerprints[0]));
    assert_non_null(strstr(e.text, RIGHT));
    assert_true(strlen(e.text) < ERR_TEXT_MAX);
}

/* ---- other faults ---- */

/* A key that opens it knows better than those that do not: what it says is not hidden by them. */
static void test_bound_elsewhere(void **state)
{
    _cleanup_(cleanup_keyring_free) struct keyring *r = ring();

    (void)state;
    for (unsigned by = 0; by < 3; by++) {
        uint8_t wrapped[KEY_WRAPPED_LEN];
        struct bytes bytes = {wrapped, sizeof(wrapped)};
        _cleanup_secret_ struct secret *data_key = wrap(by, INSTANT, wrapped), *found = NULL;
        struct err e = ERR_INIT;
        size_t at = 99;

        assert_null(keyring_unwrap(r, bytes, INSTANT + 1, false, &at, &e));
        expect_error(&e, ERR_INTEGRITY,
                "the key is bound to another instant than 2024-12-06T21:22:26Z: the backup was renamed, or its key "
                "exchanged");
        assert_int_equal(e.code, KEY_FAULT_BOUND_ELSEWHERE);
        assert_int_equal(at, 99);
        found = keyring_unwrap(r, bytes, INSTANT + 1, true, &at, &e);
        assert_true(found && secret_equal(found, data_key));
        assert_int_equal(at, by);
    }
}

static void test_no_key_object(void **state)
{
    _cleanup_(cleanup_keyring_free) struct keyring *r = ring();
    static const uint8_t wrapped[KEY_WRAPPED_LEN] = {0xeb, 'K', '9'};
    struct err e = ERR_INIT;

    (void)state;
    assert_null(keyring_unwrap(r, (struct bytes){wrapped, 71}, INSTANT, true, NULL, &e));
    expect_error(&e, ERR_INTEGRITY, "the key object has 71 bytes instead of 72");
    assert_int_equal(e.code, KEY_FAULT_SHAPE);
    assert_null(keyring_unwrap(r, (struct bytes){wrapped, 72}, INSTANT, true, NULL, &e));
    expect_error(&e, ERR_INTEGRITY, "the key object was written by a newer version");
}

/* ---- the fingerprint of the one in use ---- */

static void test_current_fingerprint(void **state)
{
    char out[KEY_FINGERPRINT_MAX] = "x";
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(keyring_current_fingerprint(&conf, out, &e), 0);
    assert_string_equal(out, fingerprints[0]);
    assert_int_equal(unlink(names[0]), 0);
    assert_int_equal(keyring_current_fingerprint(&conf, out, &e), -1);
    expect_error(&e, ERR_NOT_FOUND, "current: No such file or directory");
    assert_string_equal(out, "");
    conf.encryption_key_path = NULL;
    (void)strcpy(out, "x");
    e = ERR_INIT;
    assert_int_equal(keyring_current_fingerprint(&conf, out, &e), 0);
    assert_string_equal(out, "");
    assert_int_equal(e.kind, ERR_NONE);
}

/* ---- memory ---- */

/* Each allocation fails: of the key in use that is an error, of a previous one a key that was not tried; and no lack of
 * memory is taken for a backup that cannot be read. */
static void test_out_of_memory_anywhere(void **state)
{
    uint8_t wrapped[KEY_WRAPPED_LEN];
    bool reached;
    size_t n = 0;

    (void)state;
    secret_free(wrap(2, INSTANT, wrapped));
    do {
        struct err e = ERR_INIT;
        struct keyring *r;
        struct secret *found = NULL;

        failing_arm(++n);
        r = keyring_new(&conf, &e);
        if (r)
            found = keyring_unwrap(r, (struct bytes){wrapped, sizeof(wrapped)}, INSTANT, false, NULL, &e);
        reached = failing_disarm();
        assert_int_equal(!r, reached && n <= 1 + 6);
        /* The second of three is not needed. */
        assert_int_equal(!found, reached && !(n > 1 + 6 && n <= 1 + 12));
        assert_int_equal(e.kind, found ? ERR_NONE : ERR_RESOURCE);
        secret_free(found);
        keyring_free(r);
    } while (reached);
    assert_int_equal(n, 1 + 3 * 6 + 3 * 3 + 1); /* a ring, two secrets for each file, one for each key that is tried */
    keyring_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_each_opens_its_own, setup, teardown),
            cmocka_unit_test_setup_teardown(test_files_are_read_anew, setup, teardown),
            cmocka_unit_test_setup_teardown(test_in_use_comes_first, setup, teardown),
            cmocka_unit_test_setup_teardown(test_current_alone, setup, teardown),
            cmocka_unit_test_setup_teardown(test_previous_alone, setup, teardown),
            cmocka_unit_test_setup_teardown(test_none_configured, setup, teardown),
            cmocka_unit_test_setup_teardown(test_sealed, setup, teardown),
            cmocka_unit_test_setup_teardown(test_previous_is_missing, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_previous_can_be_read, setup, teardown),
            cmocka_unit_test_setup_teardown(test_current_is_missing, setup, teardown),
            cmocka_unit_test_setup_teardown(test_many, setup, teardown),
            cmocka_unit_test_setup_teardown(test_bound_elsewhere, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_key_object, setup, teardown),
            cmocka_unit_test_setup_teardown(test_current_fingerprint, setup, teardown),
            cmocka_unit_test_setup_teardown(test_out_of_memory_anywhere, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
