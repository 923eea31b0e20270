#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "failing.h"
#include "seal/digest.h"

/* Something of `pages` times 512 bytes and its SHA-256, computed by another library. The caller frees. */
static uint8_t *make_snapshot(size_t pages, size_t *len)
{
    uint8_t *snapshot = malloc(pages * 512 + DIGEST_LEN);

    assert_non_null(snapshot);
    for (size_t i = 0; i < pages * 512; i++)
        snapshot[i] = (uint8_t)(i * 7 + i / 251);
    crypto_hash_sha256(snapshot + pages * 512, snapshot, pages * 512);
    *len = pages * 512 + DIGEST_LEN;
    return snapshot;
}

/* The verdict over `len` bytes that come in pieces of `piece`. */
static int verdict_in_pieces(const uint8_t *data, size_t len, size_t piece, struct err *e)
{
    _cleanup_(cleanup_digest_free) struct digest *d = digest_new(e);

    expect_success(d, e);
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        _cleanup_free_ uint8_t *copy = malloc(n); /* nothing is kept: the piece is gone before the next one */

        assert_non_null(copy);
        memcpy(copy, data + at, n);
        expect_success(digest_update(d, (struct bytes){copy, n}, e) == 0, e);
    }
    return digest_verdict(d, e);
}

static void a_whole_snapshot_passes_in_pieces_of_any_size(void **state)
{
    struct err e = ERR_INIT;
    size_t len;
    _cleanup_free_ uint8_t *snapshot = make_snapshot(5, &len);

    (void)state;
    for (size_t piece = 1; piece <= len; piece++)
        expect_success(verdict_in_pieces(snapshot, len, piece, &e) == 0, &e);
    assert_int_equal(e.kind, ERR_NONE);
}

static void the_pieces_may_differ_and_be_empty(void **state)
{
    static const size_t pieces[] = {0, 31, 1, 32, 0, 33, 500, 3, 29, 7, 64, 1000, 0, 2, 30, 31};
    struct err e = ERR_INIT;
    size_t len, at = 0;
    _cleanup_free_ uint8_t *snapshot = make_snapshot(8, &len);
    _cleanup_(cleanup_digest_free) struct digest *d = digest_new(&e);

    (void)state;
    for (size_t i = 0; at < len; i++) {
        size_t piece = pieces[i % ARRAY_LEN(pieces)], n = len - at < piece ? len - at : piece;

        assert_int_equal(digest_update(d, (struct bytes){n ? snapshot + at : NULL, n}, &e), 0);
        at += n;
    }
    expect_success(digest_verdict(d, &e) == 0, &e);
}

static void one_bit_anywhere_is_noticed(void **state)
{
    size_t len;
    _cleanup_free_ uint8_t *snapshot = make_snapshot(1, &len);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        struct err e = ERR_INIT;

        snapshot[i] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(verdict_in_pieces(snapshot, len, 100, &e), -1);
        snapshot[i] ^= (uint8_t)(1 << i % 8);
        expect_error(&e, ERR_INTEGRITY, "SHA-256 does not match: the snapshot of 544 bytes is not what etcd sent");
    }
}

static void a_stream_that_ends_early_is_noticed(void **state)
{
    size_t len;
    _cleanup_free_ uint8_t *snapshot = make_snapshot(2, &len);
    char text[128];

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        struct err e = ERR_INIT;

        assert_int_equal(verdict_in_pieces(snapshot, cut, 50, &e), -1);
        if (cut <= 32)
            (void)snprintf(text, sizeof(text), "too short for a snapshot: %zu bytes", cut);
        else if (cut % 512 != 32)
            (void)snprintf(text, sizeof(text), "the snapshot of %zu bytes ends without etcd's SHA-256", cut);
        else
            (void)snprintf(
                    text, sizeof(text), "SHA-256 does not match: the snapshot of %zu bytes is not what etcd sent", cut);
        expect_error(&e, ERR_INTEGRITY, text);
    }
}

/* The SHA-256 decides alone: the Go tool's vectors hold snapshots that are no whole number of pages. */
static void a_matching_trailer_is_enough_for_any_length(void **state)
{
    uint8_t snapshot[100 + DIGEST_LEN];

    (void)state;
    for (size_t len = 1; len <= 100; len++) {
        struct err e = ERR_INIT;

        memset(snapshot, 'x', len);
        crypto_hash_sha256(snapshot + len, snapshot, len);
        expect_success(verdict_in_pieces(snapshot, len + DIGEST_LEN, 40, &e) == 0, &e);
    }
}

static void each_allocation_may_fail(void **state)
{
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;
        _cleanup_(cleanup_digest_free) struct digest *d = NULL;

        failing_arm(++n);
        d = digest_new(&e);
        reached = failing_disarm();
        assert_int_equal(reached, d == NULL);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_int_equal(n, 5); /* the struct, SHA-256, its state, starting it */
}

static void updating_allocates_nothing(void **state)
{
    struct err e = ERR_INIT;
    size_t len;
    _cleanup_free_ uint8_t *snapshot = make_snapshot(2, &len);
    _cleanup_(cleanup_digest_free) struct digest *d = digest_new(&e);

    (void)state;
    failing_arm(1);
    assert_int_equal(digest_update(d, (struct bytes){snapshot, len}, &e), 0);
    assert_int_equal(digest_verdict(d, &e), 0);
    assert_false(failing_disarm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_whole_snapshot_passes_in_pieces_of_any_size),
            cmocka_unit_test(the_pieces_may_differ_and_be_empty),
            cmocka_unit_test(one_bit_anywhere_is_noticed),
            cmocka_unit_test(a_stream_that_ends_early_is_noticed),
            cmocka_unit_test(a_matching_trailer_is_enough_for_any_length),
            cmocka_unit_test(each_allocation_may_fail),
            cmocka_unit_test(updating_allocates_nothing),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
