#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "failing.h"
#include "objects.h"
#include "seal/key.h"
#include "seal/seal.h"
#include "seal/unseal.h"

static void what_is_sealed_can_be_read(void **state)
{
    static const size_t lens[] = {1, 2, 544, SEAL_CHUNK - 1, SEAL_CHUNK, SEAL_CHUNK + 1, 3 * SEAL_CHUNK - 1,
            3 * SEAL_CHUNK, 3 * SEAL_CHUNK + 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        _cleanup_object_ struct object o = object_seal(lens[i]);

        object_expect_whole(&o, true);
    }
}

static void a_flipped_bit_is_found_in_its_chunk(void **state)
{
    _cleanup_object_ struct object o = object_seal(2 * SEAL_CHUNK + 100);
    static const size_t places[] = {8, 15, 16, 23, 24, 24 + 50, 24 + 99, 24 + 100, 24 + 115};

    (void)state;
    for (unsigned chunk = 0; chunk < 3; chunk++)
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
            uint8_t *byte = object_chunk(&o, chunk) + places[i];

            *byte ^= 0x40;
            object_expect_fault(&o, chunk, OBJECT_DAMAGED);
            *byte ^= 0x40;
        }
    /* The first chunk of all begins with the magic, whose bits decide how to read on. */
    for (size_t i = 1; i < 7; i++) {
        o.data[i] ^= 1;
        object_expect_fault(&o, 0, "written by a newer version");
        o.data[i] ^= 1;
    }
    o.data[7] ^= 4;
    object_expect_fault(&o, 0, "written by a newer version");
    o.data[7] ^= 4;
    o.data[7] ^= 1; /* says that it is compressed */
    object_expect_fault(&o, 0, OBJECT_DAMAGED);
    o.data[7] ^= 1;
    o.data[0] ^= 0x80; /* looks like the Go tool's now */
    object_expect_fault(&o, 0, OBJECT_DAMAGED);
    o.data[0] ^= 0x80;
    object_chunk(&o, 1)[0] ^= 1;
    object_expect_fault(&o, 1, OBJECT_DAMAGED);
    object_chunk(&o, 1)[0] ^= 1;
    object_expect_whole(&o, true);
}

static void what_is_sealed_is_vouched_for(void **state)
{
    static const size_t lens[] = {1, SEAL_CHUNK, 2 * SEAL_CHUNK + 100};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        for (unsigned compressed = 0; compressed < 2; compressed++) {
            _cleanup_object_ struct object o = compressed ? object_seal_compressed(lens[i]) : object_seal(lens[i]);
            enum seal_content content = compressed ? SEAL_COMPRESSED : SEAL_SNAPSHOT;
            struct err e = ERR_INIT;
            _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new(object_key, o.len, &e);
            _cleanup_free_ uint8_t *out = malloc(SEAL_CHUNK);

            object_expect_whole(&o, true);
            assert_int_equal(unseal_hint(o.data), content);
            expect_success(unseal_chunk(u, (struct bytes){o.data, unseal_next_len(u)}, out, &e) == 0, &e);
            assert_int_equal(unseal_content(u), content);
            for (unsigned chunk = 0; chunk * (size_t)SEAL_SEALED_CHUNK < o.len; chunk++) {
                object_chunk(&o, chunk)[7] ^= 1;
                object_expect_fault(&o, chunk, OBJECT_DAMAGED);
                object_chunk(&o, chunk)[7] ^= 1;
            }
        }
    {
        _cleanup_object_ struct object o = object_go(100);

        assert_int_equal(unseal_hint(o.data), SEAL_SNAPSHOT);
    }
}

/* Reads from chunk `first` to the end; `bytes` of plaintext come out. */
static int read_from(const struct object *o, uint64_t first, size_t *bytes, struct err *e)
{
    _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new_from(object_key, o->len, first, e);
    _cleanup_free_ uint8_t *out = malloc(SEAL_CHUNK);
    size_t at = (size_t)first * SEAL_SEALED_CHUNK, n;

    expect_success(u, e);
    *bytes = 0;
    while ((n = unseal_next_len(u)) > 0) {
        if (unseal_chunk(u, (struct bytes){o->data + at, n}, out, e) < 0)
            return -1;
        assert_int_equal(out[0],
                (uint8_t)((at / SEAL_SEALED_CHUNK * SEAL_CHUNK) * 31 + at / SEAL_SEALED_CHUNK * SEAL_CHUNK / 65521));
        at += n;
        *bytes += n - SEAL_OVERHEAD;
    }
    assert_int_equal(at, o->len);
    return 0;
}

static void it_begins_at_any_chunk(void **state)
{
    _cleanup_object_ struct object o = object_seal_compressed(3 * SEAL_CHUNK + 100);
    struct err e = ERR_INIT;
    size_t bytes;

    (void)state;
    for (uint64_t first = 0; first < 4; first++) {
        expect_success(read_from(&o, first, &bytes, &e) == 0, &e);
        assert_int_equal(bytes, (3 - first) * SEAL_CHUNK + 100);
    }
    object_swap(&o, 1, 2);
    assert_int_equal(read_from(&o, 2, &bytes, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "chunk 2 at byte 2097232: out of order: its counter says 1");
    object_swap(&o, 1, 2);
    o.len = 3 * SEAL_SEALED_CHUNK;
    assert_int_equal(read_from(&o, 2, &bytes, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "chunk 2 at byte 2097232: end mark missing: the dump was cut off after this chunk");
}

static void a_tag_s_last_bit_counts(void **state)
{
    _cleanup_object_ struct object o = object_seal(SEAL_CHUNK + 100);

    (void)state;
    object_chunk(&o, 1)[-1] ^= 1;
    object_expect_fault(&o, 0, OBJECT_DAMAGED);
    object_chunk(&o, 1)[-1] ^= 1;
    o.data[o.len - 1] ^= 0x80;
    object_expect_fault(&o, 1, OBJECT_DAMAGED);
}

static void swapped_chunks_are_found(void **state)
{
    _cleanup_object_ struct object o = object_seal(4 * SEAL_CHUNK);

    (void)state;
    object_swap(&o, 1, 2);
    object_expect_fault(&o, 1, "out of order: its counter says 2");
    object_swap(&o, 1, 2);
    object_swap(&o, 0, 1);
    object_expect_fault(&o, 0, "out of order: its counter says 1");
    object_swap(&o, 0, 1);
    object_swap(&o, 2, 3); /* the one with the end mark */
    object_expect_fault(&o, 2, "out of order: its counter says 3");
}

static void a_dropped_chunk_is_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        _cleanup_object_ struct object o = object_seal(3 * SEAL_CHUNK + 5);
        char what[64];

        object_drop(&o, i);
        (void)snprintf(what, sizeof(what), "out of order: its counter says %u", i + 1);
        object_expect_fault(&o, i, what);
    }
}

static void a_repeated_chunk_is_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        _cleanup_object_ struct object o = object_seal(3 * SEAL_CHUNK + 5);
        char what[64];

        object_repeat(&o, i);
        (void)snprintf(what, sizeof(what), "out of order: its counter says %u", i);
        object_expect_fault(&o, i + 1, what);
    }
}

static void truncation_at_a_border_is_found(void **state)
{
    (void)state;
    for (unsigned left = 1; left < 3; left++) {
        _cleanup_object_ struct object o = object_seal(2 * SEAL_CHUNK + 7);

        o.len = left * SEAL_SEALED_CHUNK;
        object_expect_fault(&o, left - 1, "end mark missing: the dump was cut off after this chunk");
    }
}

static void truncation_inside_a_chunk_is_found(void **state)
{
    static const size_t cuts[] = {1, 16, 17, 100, SEAL_CHUNK - 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        _cleanup_object_ struct object o = object_seal(3 * SEAL_CHUNK);

        o.len -= cuts[i];
        object_expect_fault(&o, 2, OBJECT_DAMAGED);
    }
}

static void truncation_to_less_than_a_chunk_is_found_before_reading(void **state)
{
    static const struct {
        size_t len;
        const char *text;
    } cases[] = {
            {0, "no encrypted dump has 0 bytes: it was cut off"},
            {1, "no encrypted dump has 1 bytes: it was cut off"},
            {40, "no encrypted dump has 40 bytes: it was cut off"},
            {SEAL_SEALED_CHUNK + 1, "no encrypted dump has 1048617 bytes: it was cut off"},
            {SEAL_SEALED_CHUNK + 40, "no encrypted dump has 1048656 bytes: it was cut off"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;

        assert_null(unseal_new(object_key, cases[i].len, &e));
        expect_error(&e, ERR_INTEGRITY, cases[i].text);
        assert_true(unseal_plain_size(cases[i].len) == UINT64_MAX);
    }
}

static void bytes_after_the_end_are_found(void **state)
{
    _cleanup_object_ struct object o = object_seal(2 * SEAL_CHUNK), p = object_seal(100);

    (void)state;
    o.data = realloc(o.data, o.len + 1000);
    assert_non_null(o.data);
    memset(o.data + o.len, 'x', 1000);
    o.len += 1000;
    object_expect_fault(&o, 1, "end mark too early: 1000 bytes follow");
    p.data = realloc(p.data, p.len + 1);
    assert_non_null(p.data);
    p.data[p.len++] = 0;
    object_expect_fault(&p, 0, OBJECT_DAMAGED);
}

static void an_end_mark_too_early_is_found(void **state)
{
    _cleanup_object_ struct object o = {0};

    (void)state;
    object_add_chunk(&o, object_base_ours, OBJECT_LAST | 0, 0, SEAL_CHUNK);
    object_add_chunk(&o, object_base_ours, OBJECT_LAST | 1, SEAL_CHUNK, SEAL_CHUNK);
    object_add_chunk(&o, object_base_ours, OBJECT_LAST | 2, 2 * SEAL_CHUNK, 1);
    object_expect_fault(&o, 0, "end mark too early: 1048657 bytes follow");
}

static void a_missing_end_mark_is_found(void **state)
{
    _cleanup_object_ struct object o = {0};

    (void)state;
    object_add_chunk(&o, object_base_ours, 0, 0, SEAL_CHUNK);
    object_add_chunk(&o, object_base_ours, 1, SEAL_CHUNK, 10);
    object_expect_fault(&o, 1, "end mark missing: the dump was cut off after this chunk");
}

static void mixed_backups_under_one_key_are_found(void **state)
{
    _cleanup_object_ struct object o = {0};

    (void)state;
    object_add_chunk(&o, object_base_ours, 0, 0, SEAL_CHUNK);
    object_add_chunk(&o, object_base_other, OBJECT_LAST | 1, SEAL_CHUNK, 10);
    object_expect_fault(&o, 1, "belongs to another backup (its nonce has another base)");
}

static void another_version_in_the_middle_is_found(void **state)
{
    _cleanup_object_ struct object o = {0}, p = {0};

    (void)state;
    object_add_chunk(&o, object_base_ours, 0, 0, SEAL_CHUNK);
    object_add_chunk(&o, object_base_newer, OBJECT_LAST | 1, SEAL_CHUNK, 10);
    object_expect_fault(&o, 1, "belongs to another backup (its nonce has another base)");
    object_add_chunk(&p, object_base_ours, 0, 0, SEAL_CHUNK);
    object_add_chunk(&p, object_base_go, 1, SEAL_CHUNK, 10);
    object_expect_fault(&p, 1, "belongs to another backup (its nonce has another base)");
}

static void a_newer_version_is_told_before_it_is_decrypted(void **state)
{
    _cleanup_object_ struct object o = {0};

    (void)state;
    object_add_chunk(&o, object_base_newer, OBJECT_LAST | 0, 0, 10);
    object_expect_fault(&o, 0, "written by a newer version");
    o.data[30] ^= 1; /* it may well authenticate in another way */
    object_expect_fault(&o, 0, "written by a newer version");
}

static void counters_must_not_only_grow_but_count(void **state)
{
    static const uint64_t wrong[] = {0, 2, UINT64_C(1) << 32, UINT64_C(0x0100000000000000), UINT64_MAX >> 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        _cleanup_object_ struct object o = {0};
        char what[64];

        object_add_chunk(&o, object_base_ours, 0, 0, SEAL_CHUNK);
        object_add_chunk(&o, object_base_ours, OBJECT_LAST | wrong[i], SEAL_CHUNK, 10);
        (void)snprintf(what, sizeof(what), "out of order: its counter says %llu", (unsigned long long)wrong[i]);
        object_expect_fault(&o, 1, what);
    }
}

static void another_data_key_opens_nothing(void **state)
{
    _cleanup_object_ struct object o = object_seal(SEAL_CHUNK + 1);
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *other = key_new_data(&e);
    bool lacks_end_mark;

    (void)state;
    assert_int_equal(object_read(&o, other, &lacks_end_mark, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "chunk 0 at byte 0: " OBJECT_DAMAGED);
}

static void sizes_go_both_ways(void **state)
{
    static const uint64_t around[] = {SEAL_CHUNK, 2 * (uint64_t)SEAL_CHUNK, 5 * (uint64_t)SEAL_CHUNK,
            (UINT64_C(1) << 40) + 12345, UINT64_C(1) << 62};

    (void)state;
    for (uint64_t n = 1; n < 5000; n++)
        assert_true(unseal_plain_size(seal_sealed_size(n)) == n);
    for (size_t i = 0; i < ARRAY_LEN(around); i++)
        for (uint64_t n = around[i] - 100; n < around[i] + 100; n++)
            assert_true(unseal_plain_size(seal_sealed_size(n)) == n);
    for (uint64_t n = 0; n < 3 * (uint64_t)SEAL_SEALED_CHUNK + 100; n++) {
        uint64_t plain = unseal_plain_size(n);

        assert_true(plain == UINT64_MAX || seal_sealed_size(plain) == n);
    }
}

static void the_length_wanted_follows_from_the_size(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new(object_key, UINT64_C(1) << 62, &e),
                                                 *v = unseal_new(object_key, 41, &e);

    (void)state;
    assert_int_equal(unseal_next_len(u), SEAL_SEALED_CHUNK);
    assert_int_equal(unseal_next_len(v), 41);
}

static void each_allocation_may_fail(void **state)
{
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;
        _cleanup_(cleanup_unseal_free) struct unseal *u = NULL;

        failing_arm(++n);
        u = unseal_new(object_key, 1000, &e);
        reached = failing_disarm();
        assert_int_equal(reached, u == NULL);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_int_equal(n, 6); /* the struct, its cipher, and three for the copy of the key */
    unseal_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_sealed_can_be_read),
            cmocka_unit_test(a_flipped_bit_is_found_in_its_chunk),
            cmocka_unit_test(what_is_sealed_is_vouched_for),
            cmocka_unit_test(it_begins_at_any_chunk),
            cmocka_unit_test(a_tag_s_last_bit_counts),
            cmocka_unit_test(swapped_chunks_are_found),
            cmocka_unit_test(a_dropped_chunk_is_found),
            cmocka_unit_test(a_repeated_chunk_is_found),
            cmocka_unit_test(truncation_at_a_border_is_found),
            cmocka_unit_test(truncation_inside_a_chunk_is_found),
            cmocka_unit_test(truncation_to_less_than_a_chunk_is_found_before_reading),
            cmocka_unit_test(bytes_after_the_end_are_found),
            cmocka_unit_test(an_end_mark_too_early_is_found),
            cmocka_unit_test(a_missing_end_mark_is_found),
            cmocka_unit_test(mixed_backups_under_one_key_are_found),
            cmocka_unit_test(another_version_in_the_middle_is_found),
            cmocka_unit_test(a_newer_version_is_told_before_it_is_decrypted),
            cmocka_unit_test(counters_must_not_only_grow_but_count),
            cmocka_unit_test(another_data_key_opens_nothing),
            cmocka_unit_test(sizes_go_both_ways),
            cmocka_unit_test(the_length_wanted_follows_from_the_size),
            cmocka_unit_test(each_allocation_may_fail),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, object_make_key, object_free_key);
}
