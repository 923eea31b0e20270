#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "failing.h"
#include "fixed_random.h"
#include "seal/key.h"
#include "seal/seal.h"

/*
 * Known answers, computed from format.md with PyNaCl: data key 00 01 ... 1f, random half of the base a0 a1 ... a7.
 */
static const uint8_t random_half[] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7};

static struct seal *new_seal_of(enum seal_content content)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *key = secret_new(KEY_LEN, &e);
    struct seal *s;

    for (uint8_t i = 0; i < KEY_LEN; i++)
        secret_data(key)[i] = i;
    fixed_random_set(random_half, sizeof(random_half));
    s = seal_new(key, content, &e);
    fixed_random_set(NULL, 0);
    expect_success(s, &e);
    return s;
}

static struct seal *new_seal(void)
{
    return new_seal_of(SEAL_SNAPSHOT);
}

static uint8_t *new_sealed_chunk(void)
{
    uint8_t *out = malloc(SEAL_SEALED_CHUNK);

    assert_non_null(out);
    return out;
}

static void expect_hex(const uint8_t *data, size_t len, const char *hex)
{
    char text[256];

    assert_string_equal(sodium_bin2hex(text, sizeof(text), data, len), hex);
}

static void one_short_chunk_gives_the_known_answer(void **state)
{
    _cleanup_(cleanup_seal_free) struct seal *s = new_seal();
    struct err e = ERR_INIT;
    uint8_t out[4 + SEAL_OVERHEAD];

    (void)state;
    assert_false(seal_is_finished(s));
    expect_success(seal_chunk(s, (struct bytes){(const uint8_t *)"etcd", 4}, true, out, &e) == 0, &e);
    assert_true(seal_is_finished(s));
    expect_hex(out, sizeof(out),
            "eb45544344424b02a0a1a2a3a4a5a6a78000000000000000ae1b9e1e8b2d98833fa3bce9e821b0d36d5b9b24");
}

static void two_chunks_give_the_known_answer(void **state)
{
    _cleanup_(cleanup_seal_free) struct seal *s = new_seal();
    _cleanup_free_ uint8_t *zeros = calloc(1, SEAL_CHUNK), *out = new_sealed_chunk();
    struct err e = ERR_INIT;
    uint8_t sha[32];

    (void)state;
    expect_success(seal_chunk(s, (struct bytes){zeros, SEAL_CHUNK}, false, out, &e) == 0, &e);
    assert_false(seal_is_finished(s));
    expect_hex(out, 24, "eb45544344424b02a0a1a2a3a4a5a6a70000000000000000");
    expect_hex(out + 24, 16, "e7b802bcf718d5c4d30fb5192375c216");
    expect_hex(out + SEAL_SEALED_CHUNK - 16, 16, "de41dfde011fd646af2331d681fdfe76");
    crypto_hash_sha256(sha, out, SEAL_SEALED_CHUNK);
    expect_hex(sha, sizeof(sha), "6d97746a63a9fc039454c94a8efd4ec9a8649e630b4356bf28d89f4849f0f0d8");
    expect_success(seal_chunk(s, (struct bytes){(const uint8_t *)"etcd", 4}, true, out, &e) == 0, &e);
    expect_hex(out, 44, "eb45544344424b02a0a1a2a3a4a5a6a7800000000000000193fa5c722b742e65f329a0194f4cbc0b782213d9");
}

/* As the first, with another byte in the magic. */
static void what_is_compressed_gives_the_known_answer(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seal_free) struct seal *s = new_seal_of(SEAL_COMPRESSED);
    uint8_t out[4 + SEAL_OVERHEAD];

    (void)state;
    expect_success(seal_chunk(s, (struct bytes){(const uint8_t *)"etcd", 4}, true, out, &e) == 0, &e);
    expect_hex(out, sizeof(out),
            "eb45544344424b03a0a1a2a3a4a5a6a780000000000000002319cd6f4894dc02220ba70e92bd98ccbe40a20b");
}

static void counters_count_up_and_the_last_is_marked(void **state)
{
    _cleanup_(cleanup_seal_free) struct seal *s = new_seal();
    _cleanup_free_ uint8_t *zeros = calloc(1, SEAL_CHUNK), *out = new_sealed_chunk();
    struct err e = ERR_INIT;

    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        expect_success(seal_chunk(s, (struct bytes){zeros, SEAL_CHUNK}, i == 9, out, &e) == 0, &e);
        assert_true(be64_load(out + 16) == (i < 9 ? i : UINT64_C(0x8000000000000009)));
    }
}

static void two_backups_have_bases_of_their_own(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *key = key_new_data(&e);
    _cleanup_(cleanup_seal_free) struct seal *a = seal_new(key, SEAL_SNAPSHOT, &e),
                                             *b = seal_new(key, SEAL_SNAPSHOT, &e);
    uint8_t out_a[1 + SEAL_OVERHEAD], out_b[1 + SEAL_OVERHEAD];

    (void)state;
    assert_int_equal(seal_chunk(a, (struct bytes){(const uint8_t *)"x", 1}, true, out_a, &e), 0);
    assert_int_equal(seal_chunk(b, (struct bytes){(const uint8_t *)"x", 1}, true, out_b, &e), 0);
    assert_memory_equal(out_a, out_b, 8);
    assert_memory_not_equal(out_a + 8, out_b + 8, 8);
}

static void what_could_not_be_read_back_is_not_sealed(void **state)
{
    static const struct {
        size_t len;
        bool last;
        const char *why;
    } cases[] = {
            {0, true, "a chunk of 0 bytes to seal that is the last"},
            {0, false, "a chunk of 0 bytes to seal that is not the last"},
            {1, false, "a chunk of 1 bytes to seal that is not the last"},
            {SEAL_CHUNK - 1, false, "a chunk of 1048575 bytes to seal that is not the last"},
            {SEAL_CHUNK + 1, false, "a chunk of 1048577 bytes to seal that is not the last"},
            {SEAL_CHUNK + 1, true, "a chunk of 1048577 bytes to seal that is the last"},
    };
    _cleanup_(cleanup_seal_free) struct seal *s = new_seal();
    _cleanup_free_ uint8_t *plain = calloc(1, SEAL_CHUNK + 1), *out = new_sealed_chunk();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;

        assert_int_equal(seal_chunk(s, (struct bytes){plain, cases[i].len}, cases[i].last, out, &e), -1);
        expect_error(&e, ERR_INTEGRITY, cases[i].why);
        assert_false(seal_is_finished(s));
    }
}

static void nothing_follows_the_last_chunk(void **state)
{
    _cleanup_(cleanup_seal_free) struct seal *s = new_seal();
    _cleanup_free_ uint8_t *plain = calloc(1, SEAL_CHUNK), *out = new_sealed_chunk();
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(seal_chunk(s, (struct bytes){plain, SEAL_CHUNK}, true, out, &e), 0);
    assert_int_equal(seal_chunk(s, (struct bytes){plain, SEAL_CHUNK}, false, out, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "a chunk to seal after the last one");
    assert_int_equal(seal_chunk(s, (struct bytes){plain, 1}, true, out, &e), -1);
    assert_true(seal_is_finished(s));
}

static void sealed_sizes_are_known_beforehand(void **state)
{
    static const struct {
        uint64_t plain, sealed;
    } cases[] = {
            {1, 41},
            {544, 584},
            {1048575, 1048615},
            {1048576, 1048616},
            {1048577, 1048657},
            {3145248, 3145368},
            {UINT64_C(1) << 40, (UINT64_C(1) << 40) + 40 * (UINT64_C(1) << 20)},
            {UINT64_MAX, UINT64_MAX},
            {UINT64_MAX - 40, UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(seal_sealed_size(cases[i].plain) == cases[i].sealed);
}

static void each_allocation_may_fail(void **state)
{
    struct err key_e = ERR_INIT;
    _cleanup_secret_ struct secret *key = key_new_data(&key_e);
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;
        _cleanup_(cleanup_seal_free) struct seal *s = NULL;

        failing_arm(++n);
        s = seal_new(key, SEAL_SNAPSHOT, &e);
        reached = failing_disarm();
        assert_int_equal(reached, s == NULL);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_int_equal(n, 6); /* the struct, its cipher, and three for the copy of the key */
    seal_free(NULL);
}

static void sealing_allocates_nothing(void **state)
{
    _cleanup_(cleanup_seal_free) struct seal *s = new_seal();
    _cleanup_free_ uint8_t *plain = calloc(1, SEAL_CHUNK), *out = new_sealed_chunk();
    struct err e = ERR_INIT;

    (void)state;
    failing_arm(1);
    assert_int_equal(seal_chunk(s, (struct bytes){plain, SEAL_CHUNK}, false, out, &e), 0);
    assert_int_equal(seal_chunk(s, (struct bytes){plain, 0}, false, out, &e), -1);
    assert_int_equal(seal_chunk(s, (struct bytes){plain, 1}, true, out, &e), 0);
    assert_false(failing_disarm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(one_short_chunk_gives_the_known_answer),
            cmocka_unit_test(two_chunks_give_the_known_answer),
            cmocka_unit_test(what_is_compressed_gives_the_known_answer),
            cmocka_unit_test(counters_count_up_and_the_last_is_marked),
            cmocka_unit_test(two_backups_have_bases_of_their_own),
            cmocka_unit_test(what_could_not_be_read_back_is_not_sealed),
            cmocka_unit_test(nothing_follows_the_last_chunk),
            cmocka_unit_test(sealed_sizes_are_known_beforehand),
            cmocka_unit_test(each_allocation_may_fail),
            cmocka_unit_test(sealing_allocates_nothing),
    };

    fixed_random_install();
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
