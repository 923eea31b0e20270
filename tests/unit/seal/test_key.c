#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "failing.h"
#include "fixed_random.h"
#include "seal/key.h"

/*
 * Known answers, computed from format.md with Python's hashlib (BLAKE2b with salt and person) and PyNaCl's
 * XChaCha20-Poly1305: this master key, the data key 00 01 ... 1f, r = a0 a1 ... a7, 2024-12-06T21:22:25Z.
 */
static const char master_hex[] = "5525212737270d24feb43a688215865da747059fc00d0f427da9d5fcd8171f23";
static const char wrapped_hex[] = "eb4b3200a0a1a2a3a4a5a6a7ab2c1aea7987743a4d7b0b37475b0b08e2cf3c016589e70230316834"
                                  "6a91d3877566fcb5fe4381550b3066207cec0c877da0e88660e015db1dbc4098";
static const uint8_t r[] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7};
enum { INSTANT = 1733520145 };
static const int64_t instant = INSTANT;

/* The same, but the nonce begins with EB 'K' '3' 00: authentic, and of a version that does not exist yet. */
static const char newer_hex[] = "eb4b3300a0a1a2a3a4a5a6a7ab2c1aea7987743a4d7b0b375d2f1bb92e5d035f103deb1ffc1d05f1"
                                "edfcbaf4dcef464a0f234c9432835e3bc32d0afb1bfe988022a6842e7bd08294";

/* The same as wrapped_hex but for the last bit of the tag: no key opens it. */
static const char other_hex[] = "eb4b3200a0a1a2a3a4a5a6a7ab2c1aea7987743a4d7b0b37475b0b08e2cf3c016589e70230316834"
                                "6a91d3877566fcb5fe4381550b3066207cec0c877da0e88660e015db1dbc4099";

/* Beside backup-2024-12-06T21:22:21Z.dump the Go tool wrote this key, which wraps that data key. */
static const char go_wrapped_hex[] = "18ea743b566f661a683ce4a332b11ded0dade2875662d33a6bc5b89532b757d45a616f51e6bd1f70"
                                     "e1372d56a80447a90e550a4a94bc5ff6fb10d4b55acdaadb13fd99b5c8705a99";
static const char go_data_key_hex[] = "e8c58a35dcd16b3fe5d5e59f18ed2682c0fae41e1c2e378a48fe42ea49e31215";

static struct bytes from_hex(uint8_t *out, size_t size, const char *hex)
{
    size_t len;

    assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &len, NULL), 0);
    return (struct bytes){.data = out, .len = len};
}

static struct secret *secret_from_hex(const char *hex)
{
    struct err e = ERR_INIT;
    uint8_t key[KEY_LEN];
    struct secret *s;

    assert_int_equal(from_hex(key, sizeof(key), hex).len, KEY_LEN);
    s = secret_copy(key, sizeof(key), &e);
    expect_success(s, &e);
    return s;
}

static struct secret *count_up(void)
{
    return secret_from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
}

static void new_keys_differ(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *a = key_new_data(&e), *b = key_new_data(&e);
    _cleanup_secret_ struct secret *c = key_new_master(&e), *d = key_new_master(&e);

    (void)state;
    assert_int_equal(secret_len(a), KEY_LEN);
    assert_int_equal(secret_len(b), KEY_LEN);
    assert_int_equal(secret_len(c), KEY_LEN);
    assert_int_equal(secret_len(d), KEY_LEN);
    assert_false(secret_equal(a, b) || secret_equal(c, d) || secret_equal(a, c));
}

/* Computed with Python: hashlib.blake2b(b"", digest_size=16, key=KEY, salt=2 as 8 bytes and 8 zeros, person=b"etcdbkey"
 * and 8 zeros), the first ten bytes of it. */
static void fingerprints_are_the_known_answers(void **state)
{
    static const struct {
        const char *key, *fingerprint;
    } rows[] = {
            {master_hex, "d7b2-f9a7-28ea-55e5-3642"},
            {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "9cd5-6d86-56c4-5183-d2c8"},
            {"0000000000000000000000000000000000000000000000000000000000000000", "4eb5-b206-de71-d613-438e"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_secret_ struct secret *key = secret_from_hex(rows[i].key);
        char out[KEY_FINGERPRINT_MAX];

        memset(out, 'x', sizeof(out));
        assert_ptr_equal(key_fingerprint(key, out), out);
        assert_string_equal(out, rows[i].fingerprint);
        assert_int_equal(strlen(out), KEY_FINGERPRINT_MAX - 1);
    }
}

/* Every bit of the key counts, and the shape is the same for all. */
static void fingerprints_tell_keys_apart(void **state)
{
    _cleanup_secret_ struct secret *key = secret_from_hex(master_hex);
    char first[KEY_FINGERPRINT_MAX], out[KEY_FINGERPRINT_MAX];

    (void)state;
    (void)key_fingerprint(key, first);
    for (size_t bit = 0; bit < 8 * KEY_LEN; bit++) {
        secret_data(key)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        (void)key_fingerprint(key, out);
        secret_data(key)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_string_not_equal(out, first);
        assert_int_equal(strlen(out), KEY_FINGERPRINT_MAX - 1);
        assert_int_equal(strspn(out, "0123456789abcdef-"), KEY_FINGERPRINT_MAX - 1);
        for (size_t i = 0; i < KEY_FINGERPRINT_MAX - 1; i++)
            assert_int_equal(out[i] == '-', i % 5 == 4);
    }
    assert_string_equal(key_fingerprint(key, out), first);
}

/* As above: subkey 3, 32 bytes of it, keys BLAKE2b-16 over wrapped_hex. */
static const char mark_text[] = "d7b2-f9a7-28ea-55e5-3642/48908f90ee5d830d622d3029f1a1935d";

static void a_mark_is_the_known_answer(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex);
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct bytes bytes = from_hex(wrapped, sizeof(wrapped), wrapped_hex);
    char out[KEY_MARK_MAX];

    (void)state;
    memset(out, 'x', sizeof(out));
    assert_ptr_equal(key_mark(master, bytes, out), out);
    assert_string_equal(out, mark_text);
    assert_int_equal(strlen(out), KEY_MARK_MAX - 1);
    assert_true(key_has_mark(master, bytes, out));
}

/* Of another key, of other bytes, or changed, cut or lengthened by a letter: it is none. */
static void no_other_mark_is_taken_for_it(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex), *other = count_up();
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct bytes bytes = from_hex(wrapped, sizeof(wrapped), wrapped_hex);
    char mark[KEY_MARK_MAX + 1];

    (void)state;
    assert_false(key_has_mark(other, bytes, mark_text));
    for (size_t bit = 0; bit < 8 * sizeof(wrapped); bit++) {
        wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(key_has_mark(master, bytes, mark_text));
        wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(key_has_mark(master, (struct bytes){wrapped, sizeof(wrapped) - 1}, mark_text));
    assert_false(key_has_mark(master, (struct bytes){wrapped, 0}, mark_text));
    for (size_t i = 0; i < KEY_MARK_MAX; i++) {
        strcpy(mark, mark_text);
        mark[i] = i == KEY_MARK_MAX - 1 ? 'a' : '\0';
        mark[KEY_MARK_MAX] = '\0';
        assert_false(key_has_mark(master, bytes, mark));
        strcpy(mark, mark_text);
        mark[i] ^= 1;
        mark[KEY_MARK_MAX] = '\0';
        assert_false(key_has_mark(master, bytes, mark));
    }
    assert_true(key_has_mark(master, bytes, mark_text));
}

static void wrapping_gives_the_known_answer(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex), *data_key = count_up();
    struct err e = ERR_INIT;
    uint8_t wrapped[KEY_WRAPPED_LEN];
    char hex[2 * KEY_WRAPPED_LEN + 1];

    (void)state;
    fixed_random_set(r, sizeof(r));
    expect_success(key_wrap(master, data_key, instant, wrapped, &e) == 0, &e);
    fixed_random_set(NULL, 0);
    assert_string_equal(sodium_bin2hex(hex, sizeof(hex), wrapped, sizeof(wrapped)), wrapped_hex);
}

static void unwrapping_reads_the_known_answer(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex), *expected = count_up(), *data_key = NULL;
    struct err e = ERR_INIT;
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct bytes bytes = from_hex(wrapped, sizeof(wrapped), wrapped_hex);

    (void)state;
    data_key = key_unwrap(master, bytes, instant, false, &e);
    expect_success(data_key, &e);
    assert_true(secret_equal(data_key, expected));
    assert_true(key_is_bound_to(master, bytes, instant));
}

static void two_wrappings_of_one_key_differ(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex), *data_key = count_up();
    struct err e = ERR_INIT;
    uint8_t a[KEY_WRAPPED_LEN], b[KEY_WRAPPED_LEN];

    (void)state;
    assert_int_equal(key_wrap(master, data_key, instant, a, &e), 0);
    assert_int_equal(key_wrap(master, data_key, instant, b, &e), 0);
    assert_memory_equal(a, b, 4);
    for (size_t field = 4; field + 8 <= sizeof(a); field += 8)
        assert_memory_not_equal(a + field, b + field, 8);
}

static void what_is_wrapped_can_be_unwrapped(void **state)
{
    static const int64_t instants[] = {0, -1, 1733520145, INT64_C(253402300799), -INT64_C(62135596800)};
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(instants); i++) {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *data_key = key_new_data(&e), *back = NULL;
        uint8_t wrapped[KEY_WRAPPED_LEN];

        assert_int_equal(key_wrap(master, data_key, instants[i], wrapped, &e), 0);
        back = key_unwrap(master, (struct bytes){wrapped, sizeof(wrapped)}, instants[i], false, &e);
        expect_success(back, &e);
        assert_true(secret_equal(back, data_key));
    }
}

static void a_renamed_backup_is_refused_unless_allowed(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex), *expected = count_up(), *data_key = NULL;
    struct err e = ERR_INIT;
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct bytes bytes = from_hex(wrapped, sizeof(wrapped), wrapped_hex);

    (void)state;
    assert_null(key_unwrap(master, bytes, instant + 1, false, &e));
    expect_error(&e, ERR_INTEGRITY,
            "the key is bound to another instant than 2024-12-06T21:22:26Z: the backup was renamed, or its key "
            "exchanged");
    assert_false(key_is_bound_to(master, bytes, instant + 1));
    assert_false(key_is_bound_to(master, bytes, instant - 1));
    data_key = key_unwrap(master, bytes, instant + 1, true, &e);
    expect_success(data_key, &e);
    assert_true(secret_equal(data_key, expected));
}

/* A thief of the wrapping: takes the binding of another wrapped key, or makes one up, and lacks the master key. */
static void no_bit_of_a_wrapped_key_can_be_changed(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex);
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct bytes bytes = from_hex(wrapped, sizeof(wrapped), wrapped_hex);

    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(wrapped); bit++) {
        struct err e = ERR_INIT;

        wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_null(key_unwrap(master, bytes, instant, true, &e));
        wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit / 8 >= 1 && bit / 8 <= 3)
            expect_error(&e, ERR_INTEGRITY, "the key object was written by a newer version");
        else
            expect_error(&e, ERR_INTEGRITY, "wrong master key, or the key object is damaged");
    }
}

static void another_master_key_opens_nothing(void **state)
{
    _cleanup_secret_ struct secret *other = count_up();
    struct err e = ERR_INIT;
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct bytes bytes = from_hex(wrapped, sizeof(wrapped), wrapped_hex);

    (void)state;
    assert_null(key_unwrap(other, bytes, instant, false, &e));
    expect_error(&e, ERR_INTEGRITY, "wrong master key, or the key object is damaged");
    assert_false(key_is_bound_to(other, bytes, instant));
}

static void any_other_length_is_refused(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex);
    uint8_t wrapped[KEY_WRAPPED_LEN + 1] = {0};
    char text[64];

    (void)state;
    (void)from_hex(wrapped, sizeof(wrapped), wrapped_hex);
    for (size_t len = 0; len <= sizeof(wrapped); len++) {
        struct err e = ERR_INIT;
        _cleanup_free_ uint8_t *copy = malloc(len ? len : 1);

        if (len == KEY_WRAPPED_LEN)
            continue;
        assert_non_null(copy);
        memcpy(copy, wrapped, len);
        assert_null(key_unwrap(master, (struct bytes){copy, len}, instant, true, &e));
        (void)snprintf(text, sizeof(text), "the key object has %zu bytes instead of 72", len);
        expect_error(&e, ERR_INTEGRITY, text);
        assert_false(key_is_bound_to(master, (struct bytes){copy, len}, instant));
    }
}

static void a_key_of_a_newer_version_is_told(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex);
    struct err e = ERR_INIT;
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct bytes bytes = from_hex(wrapped, sizeof(wrapped), newer_hex);

    (void)state;
    assert_null(key_unwrap(master, bytes, instant, true, &e));
    expect_error(&e, ERR_INTEGRITY, "the key object was written by a newer version");
    assert_false(key_is_bound_to(master, bytes, instant));
}

static void a_key_of_the_go_tool_is_of_any_backup(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex), *expected = secret_from_hex(go_data_key_hex);
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct bytes bytes = from_hex(wrapped, sizeof(wrapped), go_wrapped_hex);

    (void)state;
    for (int64_t at = 1733520141; at < 1733520143; at++) {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *data_key = key_unwrap(master, bytes, at, false, &e);

        expect_success(data_key, &e);
        assert_true(secret_equal(data_key, expected));
        assert_false(key_is_bound_to(master, bytes, at));
    }
}

/* Who asks another key after this one goes by the code, not by the words. */
static void errors_tell_which_fault_it_is(void **state)
{
    static const struct {
        const char *hex;
        int64_t at;
        bool allow_renamed;
        enum key_fault fault;
    } rows[] = {
            {"", INSTANT, true, KEY_FAULT_SHAPE},
            {"eb4b3200", INSTANT, false, KEY_FAULT_SHAPE},
            {newer_hex, INSTANT, true, KEY_FAULT_SHAPE},
            {other_hex, INSTANT, false, KEY_FAULT_DOES_NOT_OPEN},
            {other_hex, INSTANT + 1, true, KEY_FAULT_DOES_NOT_OPEN},
            {wrapped_hex, INSTANT + 1, false, KEY_FAULT_BOUND_ELSEWHERE},
    };
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t wrapped[KEY_WRAPPED_LEN];
        struct err e = ERR_INIT;

        assert_null(key_unwrap(
                master, from_hex(wrapped, sizeof(wrapped), rows[i].hex), rows[i].at, rows[i].allow_renamed, &e));
        assert_int_equal(e.kind, ERR_INTEGRITY);
        assert_int_equal(e.domain, ERR_DOMAIN_KEY);
        assert_int_equal(e.code, rows[i].fault);
    }
}

static void wrapping_allocates_nothing_and_unwrapping_fails_cleanly(void **state)
{
    _cleanup_secret_ struct secret *master = secret_from_hex(master_hex), *data_key = count_up();
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct err wrap_e = ERR_INIT;
    bool reached;
    size_t n = 0;

    (void)state;
    failing_arm(1);
    assert_int_equal(key_wrap(master, data_key, instant, wrapped, &wrap_e), 0);
    assert_false(failing_disarm());
    do {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *back = NULL;

        failing_arm(++n);
        back = key_unwrap(master, (struct bytes){wrapped, sizeof(wrapped)}, instant, false, &e);
        reached = failing_disarm();
        assert_int_equal(reached, back == NULL);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_int_equal(n, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(new_keys_differ),
            cmocka_unit_test(fingerprints_are_the_known_answers),
            cmocka_unit_test(fingerprints_tell_keys_apart),
            cmocka_unit_test(a_mark_is_the_known_answer),
            cmocka_unit_test(no_other_mark_is_taken_for_it),
            cmocka_unit_test(wrapping_gives_the_known_answer),
            cmocka_unit_test(unwrapping_reads_the_known_answer),
            cmocka_unit_test(two_wrappings_of_one_key_differ),
            cmocka_unit_test(what_is_wrapped_can_be_unwrapped),
            cmocka_unit_test(a_renamed_backup_is_refused_unless_allowed),
            cmocka_unit_test(no_bit_of_a_wrapped_key_can_be_changed),
            cmocka_unit_test(another_master_key_opens_nothing),
            cmocka_unit_test(any_other_length_is_refused),
            cmocka_unit_test(a_key_of_a_newer_version_is_told),
            cmocka_unit_test(a_key_of_the_go_tool_is_of_any_backup),
            cmocka_unit_test(errors_tell_which_fault_it_is),
            cmocka_unit_test(wrapping_allocates_nothing_and_unwrapping_fails_cleanly),
    };

    fixed_random_install();
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
