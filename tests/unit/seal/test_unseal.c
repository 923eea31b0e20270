#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "failing.h"
#include "seal/key.h"
#include "seal/seal.h"
#include "seal/unseal.h"

/*
 * Objects are made and mistreated here chunk by chunk, and each must be told for what it is. The text and the number in
 * e->code say where: chunk 1 begins at byte 1,048,616, chunk 2 at byte 2,097,232, chunk 3 at byte 3,145,848.
 */
#define DAMAGED "does not authenticate: damaged, cut off, or sealed with another key"

static const uint8_t ours[16] = "\xeb"
                                "ETCDBK\x02"
                                "random!!";
static const uint8_t ours_other[16] = "\xeb"
                                      "ETCDBK\x02"
                                      "RANDOM??";
static const uint8_t newer[16] = "\xeb"
                                 "ETCDBK\x03"
                                 "random!!";
static const uint8_t go[16] = "\x18\xea\x74\x3b\x5f\xa3\x8a\xe9"
                              "go tool!";
static const uint64_t last = UINT64_C(1) << 63;

static struct secret *key; /* of all objects here */

/* ---- objects ---- */

struct object {
    uint8_t *data;
    size_t len;
};

static void object_free(struct object *o)
{
    free(o->data);
}

#define _cleanup_object_ _cleanup_(object_free)

/* Byte `i` of every plaintext here: chunks differ, and so do neighbours. */
static uint8_t plain_byte(size_t i)
{
    return (uint8_t)(i * 31 + i / 65521);
}

static uint8_t *make_plain(size_t len)
{
    uint8_t *plain = malloc(len ? len : 1);

    assert_non_null(plain);
    for (size_t i = 0; i < len; i++)
        plain[i] = plain_byte(i);
    return plain;
}

/* Appends a chunk that is authentic under `key`: `len` bytes of plaintext from byte `from` on, with any nonce. */
static void add_chunk(struct object *o, const uint8_t base[16], uint64_t counter, size_t from, size_t len)
{
    _cleanup_free_ uint8_t *plain = make_plain(from + len);
    uint8_t *at;

    o->data = realloc(o->data, o->len + len + SEAL_OVERHEAD);
    assert_non_null(o->data);
    at = o->data + o->len;
    memcpy(at, base, 16);
    be64_store(at + 16, counter);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt(
                             at + 24, NULL, plain + from, len, NULL, 0, NULL, at, secret_const_data(key)),
            0);
    o->len += len + SEAL_OVERHEAD;
}

/* What seal.h makes of `len` bytes. */
static struct object seal_object(size_t len)
{
    struct err e = ERR_INIT;
    _cleanup_free_ uint8_t *plain = make_plain(len);
    _cleanup_(cleanup_seal_free) struct seal *s = seal_new(key, &e);
    struct object o = {.data = malloc(seal_sealed_size(len))};

    assert_non_null(o.data);
    for (size_t at = 0; at < len; at += SEAL_CHUNK) {
        size_t n = len - at < SEAL_CHUNK ? len - at : SEAL_CHUNK;

        expect_success(seal_chunk(s, (struct bytes){plain + at, n}, at + n == len, o.data + o.len, &e) == 0, &e);
        o.len += n + SEAL_OVERHEAD;
    }
    assert_int_equal(o.len, seal_sealed_size(len));
    return o;
}

/* What the Go tool makes of `len` bytes. */
static struct object go_object(size_t len)
{
    struct object o = {0};

    for (size_t at = 0; at < len; at += SEAL_CHUNK)
        add_chunk(&o, go, at / SEAL_CHUNK, at, len - at < SEAL_CHUNK ? len - at : SEAL_CHUNK);
    return o;
}

static uint8_t *chunk_at(const struct object *o, size_t i)
{
    return o->data + i * SEAL_SEALED_CHUNK;
}

static void swap_chunks(const struct object *o, size_t i, size_t j)
{
    for (size_t at = 0; at < SEAL_SEALED_CHUNK; at++) {
        uint8_t byte = chunk_at(o, i)[at];

        chunk_at(o, i)[at] = chunk_at(o, j)[at];
        chunk_at(o, j)[at] = byte;
    }
}

static void drop_chunk(struct object *o, size_t i)
{
    memmove(chunk_at(o, i), chunk_at(o, i + 1), o->len - (i + 1) * SEAL_SEALED_CHUNK);
    o->len -= SEAL_SEALED_CHUNK;
}

static void repeat_chunk(struct object *o, size_t i)
{
    o->data = realloc(o->data, o->len + SEAL_SEALED_CHUNK);
    assert_non_null(o->data);
    memmove(chunk_at(o, i + 1), chunk_at(o, i), o->len - i * SEAL_SEALED_CHUNK);
    o->len += SEAL_SEALED_CHUNK;
}

/* ---- reading them ---- */

/* Reads all of it. What is released is compared; after a failure nothing of the chunk may be there. */
static int read_object(const struct object *o, const struct secret *with, bool *lacks_end_mark, struct err *e)
{
    _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new(with, o->len, e);
    _cleanup_free_ uint8_t *out = malloc(SEAL_CHUNK);
    size_t at = 0, plain_at = 0, n;

    assert_non_null(out);
    if (!u)
        return -1;
    while ((n = unseal_next_len(u)) > 0) {
        assert_in_range(n, 41, SEAL_SEALED_CHUNK);
        assert_in_range(n, 1, o->len - at);
        memset(out, 0xdb, SEAL_CHUNK);
        if (unseal_chunk(u, (struct bytes){o->data + at, n}, out, e) < 0) {
            for (size_t i = 0; i < n - SEAL_OVERHEAD; i++)
                if (out[i] != 0 && out[i] != 0xdb)
                    fail_msg("plaintext released");
            return -1;
        }
        for (size_t i = 0; i < n - SEAL_OVERHEAD; i++, plain_at++)
            if (out[i] != plain_byte(plain_at))
                fail_msg("byte %zu differs", plain_at);
        at += n;
    }
    assert_int_equal(at, o->len);
    assert_true(unseal_plain_size(o->len) == plain_at);
    *lacks_end_mark = unseal_lacks_end_mark(u);
    return 0;
}

static void expect_whole(const struct object *o, bool expect_end_mark)
{
    struct err e = ERR_INIT;
    bool lacks_end_mark;

    expect_success(read_object(o, key, &lacks_end_mark, &e) == 0, &e);
    assert_int_equal(e.kind, ERR_NONE);
    assert_int_equal(lacks_end_mark, !expect_end_mark);
}

static void expect_fault(const struct object *o, unsigned chunk, const char *what)
{
    struct err e = ERR_INIT;
    bool lacks_end_mark;
    char text[ERR_TEXT_MAX];

    assert_int_equal(read_object(o, key, &lacks_end_mark, &e), -1);
    (void)snprintf(text, sizeof(text), "chunk %u at byte %u: %s", chunk, chunk * 1048616u, what);
    expect_error(&e, ERR_INTEGRITY, text);
    assert_int_equal(e.domain, ERR_DOMAIN_FORMAT);
    assert_int_equal(e.code, chunk * 1048616u);
}

/* ---- ours ---- */

static void what_is_sealed_can_be_read(void **state)
{
    static const size_t lens[] = {1, 2, 544, SEAL_CHUNK - 1, SEAL_CHUNK, SEAL_CHUNK + 1, 3 * SEAL_CHUNK - 1,
            3 * SEAL_CHUNK, 3 * SEAL_CHUNK + 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        _cleanup_object_ struct object o = seal_object(lens[i]);

        expect_whole(&o, true);
    }
}

static void a_flipped_bit_is_found_in_its_chunk(void **state)
{
    _cleanup_object_ struct object o = seal_object(2 * SEAL_CHUNK + 100);
    static const size_t places[] = {8, 15, 16, 23, 24, 24 + 50, 24 + 99, 24 + 100, 24 + 115};

    (void)state;
    for (unsigned chunk = 0; chunk < 3; chunk++)
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
            uint8_t *byte = chunk_at(&o, chunk) + places[i];

            *byte ^= 0x40;
            expect_fault(&o, chunk, DAMAGED);
            *byte ^= 0x40;
        }
    /* The first chunk of all begins with the magic, whose bits decide how to read on. */
    for (size_t i = 1; i < 8; i++) {
        o.data[i] ^= 1;
        expect_fault(&o, 0, "written by a newer version");
        o.data[i] ^= 1;
    }
    o.data[0] ^= 0x80; /* looks like the Go tool's now */
    expect_fault(&o, 0, DAMAGED);
    o.data[0] ^= 0x80;
    chunk_at(&o, 1)[0] ^= 1;
    expect_fault(&o, 1, DAMAGED);
    chunk_at(&o, 1)[0] ^= 1;
    expect_whole(&o, true);
}

static void a_tag_s_last_bit_counts(void **state)
{
    _cleanup_object_ struct object o = seal_object(SEAL_CHUNK + 100);

    (void)state;
    chunk_at(&o, 1)[-1] ^= 1;
    expect_fault(&o, 0, DAMAGED);
    chunk_at(&o, 1)[-1] ^= 1;
    o.data[o.len - 1] ^= 0x80;
    expect_fault(&o, 1, DAMAGED);
}

static void swapped_chunks_are_found(void **state)
{
    _cleanup_object_ struct object o = seal_object(4 * SEAL_CHUNK);

    (void)state;
    swap_chunks(&o, 1, 2);
    expect_fault(&o, 1, "out of order: its counter says 2");
    swap_chunks(&o, 1, 2);
    swap_chunks(&o, 0, 1);
    expect_fault(&o, 0, "out of order: its counter says 1");
    swap_chunks(&o, 0, 1);
    swap_chunks(&o, 2, 3); /* the one with the end mark */
    expect_fault(&o, 2, "out of order: its counter says 3");
}

static void a_dropped_chunk_is_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        _cleanup_object_ struct object o = seal_object(3 * SEAL_CHUNK + 5);
        char what[64];

        drop_chunk(&o, i);
        (void)snprintf(what, sizeof(what), "out of order: its counter says %u", i + 1);
        expect_fault(&o, i, what);
    }
}

static void a_repeated_chunk_is_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        _cleanup_object_ struct object o = seal_object(3 * SEAL_CHUNK + 5);
        char what[64];

        repeat_chunk(&o, i);
        (void)snprintf(what, sizeof(what), "out of order: its counter says %u", i);
        expect_fault(&o, i + 1, what);
    }
}

static void truncation_at_a_border_is_found(void **state)
{
    (void)state;
    for (unsigned left = 1; left < 3; left++) {
        _cleanup_object_ struct object o = seal_object(2 * SEAL_CHUNK + 7);

        o.len = left * SEAL_SEALED_CHUNK;
        expect_fault(&o, left - 1, "end mark missing: the dump was cut off after this chunk");
    }
}

static void truncation_inside_a_chunk_is_found(void **state)
{
    static const size_t cuts[] = {1, 16, 17, 100, SEAL_CHUNK - 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        _cleanup_object_ struct object o = seal_object(3 * SEAL_CHUNK);

        o.len -= cuts[i];
        expect_fault(&o, 2, DAMAGED);
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

        assert_null(unseal_new(key, cases[i].len, &e));
        expect_error(&e, ERR_INTEGRITY, cases[i].text);
        assert_true(unseal_plain_size(cases[i].len) == UINT64_MAX);
    }
}

static void bytes_after_the_end_are_found(void **state)
{
    _cleanup_object_ struct object o = seal_object(2 * SEAL_CHUNK), p = seal_object(100);

    (void)state;
    o.data = realloc(o.data, o.len + 1000);
    assert_non_null(o.data);
    memset(o.data + o.len, 'x', 1000);
    o.len += 1000;
    expect_fault(&o, 1, "end mark too early: 1000 bytes follow");
    p.data = realloc(p.data, p.len + 1);
    assert_non_null(p.data);
    p.data[p.len++] = 0;
    expect_fault(&p, 0, DAMAGED);
}

static void an_end_mark_too_early_is_found(void **state)
{
    _cleanup_object_ struct object o = {0};

    (void)state;
    add_chunk(&o, ours, last | 0, 0, SEAL_CHUNK);
    add_chunk(&o, ours, last | 1, SEAL_CHUNK, SEAL_CHUNK);
    add_chunk(&o, ours, last | 2, 2 * SEAL_CHUNK, 1);
    expect_fault(&o, 0, "end mark too early: 1048657 bytes follow");
}

static void a_missing_end_mark_is_found(void **state)
{
    _cleanup_object_ struct object o = {0};

    (void)state;
    add_chunk(&o, ours, 0, 0, SEAL_CHUNK);
    add_chunk(&o, ours, 1, SEAL_CHUNK, 10);
    expect_fault(&o, 1, "end mark missing: the dump was cut off after this chunk");
}

static void mixed_backups_under_one_key_are_found(void **state)
{
    _cleanup_object_ struct object o = {0};

    (void)state;
    add_chunk(&o, ours, 0, 0, SEAL_CHUNK);
    add_chunk(&o, ours_other, last | 1, SEAL_CHUNK, 10);
    expect_fault(&o, 1, "belongs to another backup (its nonce has another base)");
}

static void another_version_in_the_middle_is_found(void **state)
{
    _cleanup_object_ struct object o = {0}, p = {0};

    (void)state;
    add_chunk(&o, ours, 0, 0, SEAL_CHUNK);
    add_chunk(&o, newer, last | 1, SEAL_CHUNK, 10);
    expect_fault(&o, 1, "belongs to another backup (its nonce has another base)");
    add_chunk(&p, ours, 0, 0, SEAL_CHUNK);
    add_chunk(&p, go, 1, SEAL_CHUNK, 10);
    expect_fault(&p, 1, "belongs to another backup (its nonce has another base)");
}

static void a_newer_version_is_told_before_it_is_decrypted(void **state)
{
    _cleanup_object_ struct object o = {0};

    (void)state;
    add_chunk(&o, newer, last | 0, 0, 10);
    expect_fault(&o, 0, "written by a newer version");
    o.data[30] ^= 1; /* it may well authenticate in another way */
    expect_fault(&o, 0, "written by a newer version");
}

static void counters_must_not_only_grow_but_count(void **state)
{
    static const uint64_t wrong[] = {0, 2, UINT64_C(1) << 32, UINT64_C(0x0100000000000000), UINT64_MAX >> 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        _cleanup_object_ struct object o = {0};
        char what[64];

        add_chunk(&o, ours, 0, 0, SEAL_CHUNK);
        add_chunk(&o, ours, last | wrong[i], SEAL_CHUNK, 10);
        (void)snprintf(what, sizeof(what), "out of order: its counter says %llu", (unsigned long long)wrong[i]);
        expect_fault(&o, 1, what);
    }
}

static void another_data_key_opens_nothing(void **state)
{
    _cleanup_object_ struct object o = seal_object(SEAL_CHUNK + 1);
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *other = key_new_data(&e);
    bool lacks_end_mark;

    (void)state;
    assert_int_equal(read_object(&o, other, &lacks_end_mark, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "chunk 0 at byte 0: " DAMAGED);
}

/* ---- the Go tool's ---- */

static void what_the_go_tool_writes_can_be_read(void **state)
{
    static const size_t lens[] = {1, 544, SEAL_CHUNK - 1, SEAL_CHUNK, SEAL_CHUNK + 1, 3 * SEAL_CHUNK};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        _cleanup_object_ struct object o = go_object(lens[i]);

        expect_whole(&o, false);
    }
}

static void the_go_tool_s_order_is_checked_too(void **state)
{
    _cleanup_object_ struct object swapped = go_object(3 * SEAL_CHUNK), dropped = go_object(3 * SEAL_CHUNK),
                                   beheaded = go_object(3 * SEAL_CHUNK), repeated = go_object(2 * SEAL_CHUNK),
                                   mixed = {0}, marked = {0};

    (void)state;
    swap_chunks(&swapped, 1, 2);
    expect_fault(&swapped, 1, "out of order: its counter says 2");
    drop_chunk(&dropped, 1);
    expect_fault(&dropped, 1, "out of order: its counter says 2");
    drop_chunk(&beheaded, 0);
    expect_fault(&beheaded, 0, "out of order: its counter says 1");
    repeat_chunk(&repeated, 1);
    expect_fault(&repeated, 2, "out of order: its counter says 1");

    add_chunk(&mixed, go, 0, 0, SEAL_CHUNK);
    add_chunk(&mixed, ours, last | 1, SEAL_CHUNK, 10);
    expect_fault(&mixed, 1, "belongs to another backup (its nonce has another base)");

    /* Bit 63 is no mark there. */
    add_chunk(&marked, go, last | 0, 0, 10);
    expect_fault(&marked, 0, "out of order: its counter says 9223372036854775808");
}

/* The fault of that format which only etcd's SHA-256 can find. */
static void a_cut_at_a_border_is_not_visible_in_the_go_tool_s_chunks(void **state)
{
    _cleanup_object_ struct object o = go_object(3 * SEAL_CHUNK);

    (void)state;
    o.len = 2 * SEAL_SEALED_CHUNK;
    expect_whole(&o, false);
    o.len -= 1;
    expect_fault(&o, 1, DAMAGED);
}

/* ---- sizes and memory ---- */

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
    _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new(key, UINT64_C(1) << 62, &e),
                                                 *v = unseal_new(key, 41, &e);

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
        u = unseal_new(key, 1000, &e);
        reached = failing_disarm();
        assert_int_equal(reached, u == NULL);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_int_equal(n, 5); /* the struct, and three for the copy of the key */
    unseal_free(NULL);
}

static int make_key(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    key = key_new_data(&e);
    return key ? 0 : -1;
}

static int free_key(void **state)
{
    (void)state;
    secret_free(key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_sealed_can_be_read),
            cmocka_unit_test(a_flipped_bit_is_found_in_its_chunk),
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
            cmocka_unit_test(what_the_go_tool_writes_can_be_read),
            cmocka_unit_test(the_go_tool_s_order_is_checked_too),
            cmocka_unit_test(a_cut_at_a_border_is_not_visible_in_the_go_tool_s_chunks),
            cmocka_unit_test(sizes_go_both_ways),
            cmocka_unit_test(the_length_wanted_follows_from_the_size),
            cmocka_unit_test(each_allocation_may_fail),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, make_key, free_key);
}
