#include "expect.h"

#include <string.h>

#include "failing.h"
#include "h2/framing.h"

/* Three messages: "hello", an empty one, "abc". */
static const uint8_t stream[] = "\0\0\0\0\5hello\0\0\0\0\0\0\0\0\0\3abc";
enum { STREAM_LEN = sizeof(stream) - 1 };
static const char *const expected[] = {"hello", "", "abc"};

/* Feeds a block of exactly `len` bytes, so that the address sanitizer sees what is read past it. */
static int feed(struct grpc_framing *f, const uint8_t *data, size_t len, size_t *n, struct err *e)
{
    _cleanup_free_ uint8_t *copy = malloc(len ? len : 1);
    struct bytes piece = {.data = copy, .len = len}, message;
    int rc;

    assert_non_null(copy);
    memcpy(copy, data, len);
    while ((rc = grpc_framing_next(f, &piece, &message, e)) > 0) {
        assert_true(*n < 3);
        assert_int_equal(message.len, strlen(expected[*n]));
        assert_memory_equal(message.data, expected[*n], message.len);
        ++*n;
    }
    if (rc == 0)
        assert_int_equal(piece.len, 0);
    return rc;
}

static void pieces_are_cut_anywhere(void **state)
{
    (void)state;
    for (size_t a = 0; a <= STREAM_LEN; a++)
        for (size_t b = a; b <= STREAM_LEN; b++) {
            struct err e = ERR_INIT;
            _cleanup_framing_ struct grpc_framing *f = grpc_framing_new(5, &e);
            size_t n = 0;

            assert_non_null(f);
            assert_int_equal(feed(f, stream, a, &n, &e), 0);
            assert_int_equal(feed(f, stream + a, b - a, &n, &e), 0);
            assert_int_equal(grpc_framing_at_boundary(f), b == 0 || b == 10 || b == 15 || b == STREAM_LEN);
            assert_int_equal(feed(f, stream + b, STREAM_LEN - b, &n, &e), 0);
            assert_int_equal(n, 3);
            assert_true(grpc_framing_at_boundary(f));
        }
}

/* The same, part by part: nothing is gathered. */
static int feed_parts(struct grpc_framing *f, const uint8_t *data, size_t len, char *out, struct err *e)
{
    _cleanup_free_ uint8_t *copy = malloc(len ? len : 1);
    struct bytes piece = {.data = copy, .len = len};
    struct grpc_part part;
    int rc;

    assert_non_null(copy);
    memcpy(copy, data, len);
    while ((rc = grpc_framing_part(f, &piece, &part, e)) > 0) {
        if (part.begins)
            strcat(out, part.message_len == 5 ? "<5:" : part.message_len == 3 ? "<3:" : "<0:");
        strncat(out, (const char *)part.bytes.data, part.bytes.len);
        if (part.ends)
            strcat(out, ">");
    }
    assert_int_equal(piece.len, 0);
    return rc;
}

static void parts_are_what_there_is(void **state)
{
    (void)state;
    for (size_t a = 0; a <= STREAM_LEN; a++)
        for (size_t b = a; b <= STREAM_LEN; b++) {
            struct err e = ERR_INIT;
            _cleanup_framing_ struct grpc_framing *f = grpc_framing_new(5, &e);
            char out[64] = "";

            assert_non_null(f);
            assert_int_equal(feed_parts(f, stream, a, out, &e), 0);
            assert_int_equal(feed_parts(f, stream + a, b - a, out, &e), 0);
            assert_int_equal(grpc_framing_at_boundary(f), b == 0 || b == 10 || b == 15 || b == STREAM_LEN);
            assert_int_equal(feed_parts(f, stream + b, STREAM_LEN - b, out, &e), 0);
            assert_string_equal(out, "<5:hello><0:><3:abc>");
            assert_true(grpc_framing_at_boundary(f));
        }
}

static void a_message_within_a_piece_stays_where_it_is(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_framing_ struct grpc_framing *f = grpc_framing_new(5, &e);
    struct bytes piece = {.data = stream, .len = STREAM_LEN}, message;

    (void)state;
    assert_int_equal(grpc_framing_next(f, &piece, &message, &e), 1);
    assert_ptr_equal(message.data, stream + 5);
    assert_int_equal(grpc_framing_next(f, &piece, &message, &e), 1);
    assert_int_equal(grpc_framing_next(f, &piece, &message, &e), 1);
    assert_ptr_equal(message.data, stream + 20);

    /* Also when its prefix came before. */
    piece = (struct bytes){.data = stream, .len = 5};
    assert_int_equal(grpc_framing_next(f, &piece, &message, &e), 0);
    piece = (struct bytes){.data = stream + 5, .len = 5};
    assert_int_equal(grpc_framing_next(f, &piece, &message, &e), 1);
    assert_ptr_equal(message.data, stream + 5);
}

static void refuse(const char *data, size_t len, size_t limit, const char *why)
{
    struct err e = ERR_INIT;
    _cleanup_framing_ struct grpc_framing *f = grpc_framing_new(limit, &e);
    size_t n = 0;

    assert_int_equal(feed(f, (const uint8_t *)data, len, &n, &e), -1);
    expect_error(&e, ERR_PROTOCOL, why);
    assert_int_equal(n, 0);
}

static void what_breaks_the_protocol_is_refused(void **state)
{
    (void)state;
    refuse("\1\0\0\0\1x", 6, 10, "the server sent a compressed message, which was not offered");
    refuse("\2\0\0\0\1x", 6, 10, "gRPC message with unknown flags 0x02");
    refuse("\xff\0\0\0\1x", 6, 10, "gRPC message with unknown flags 0xff");
    refuse("\0\0\0\0\6hello!", 11, 5, "gRPC message of 6 bytes, more than the 5 allowed");
    refuse("\0\xff\xff\xff\xff", 5, 1 << 20, "gRPC message of 4294967295 bytes, more than the 1048576 allowed");
}

/* A prefix that promises the whole limit makes us take no more memory than what has really arrived. */
static void a_promise_takes_no_memory(void **state)
{
    static const uint8_t prefix[] = {0, 0x7f, 0xff, 0xff, 0xff};
    struct err e = ERR_INIT;
    _cleanup_framing_ struct grpc_framing *f = grpc_framing_new(0x7fffffff, &e);
    struct bytes piece = {.data = prefix, .len = sizeof(prefix)}, message;
    uint8_t one = 1;

    (void)state;
    assert_int_equal(grpc_framing_next(f, &piece, &message, &e), 0);
    piece = (struct bytes){.data = &one, .len = 1};
    assert_int_equal(grpc_framing_next(f, &piece, &message, &e), 0);
    assert_false(grpc_framing_at_boundary(f));
}

static void memory_may_run_out(void **state)
{
    struct err e = ERR_INIT;
    struct grpc_framing *f;
    size_t n = 0;

    (void)state;
    failing_arm(1);
    assert_null(grpc_framing_new(5, &e));
    assert_true(failing_disarm());
    assert_int_equal(e.kind, ERR_RESOURCE);

    f = grpc_framing_new(5, &e);
    assert_int_equal(feed(f, stream, 5, &n, &e), 0);
    failing_arm(2); /* the first is `feed`'s own */
    assert_int_equal(feed(f, stream + 5, 3, &n, &e), -1);
    assert_true(failing_disarm());
    assert_int_equal(e.kind, ERR_RESOURCE);
    grpc_framing_free(f);
    grpc_framing_free(NULL);
}

static void prefix_is_written_as_it_is_read(void **state)
{
    uint8_t out[GRPC_PREFIX_LEN];

    (void)state;
    grpc_framing_prefix(out, 0x01020304);
    assert_memory_equal(out, "\0\1\2\3\4", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(pieces_are_cut_anywhere),
            cmocka_unit_test(parts_are_what_there_is),
            cmocka_unit_test(a_message_within_a_piece_stays_where_it_is),
            cmocka_unit_test(what_breaks_the_protocol_is_refused),
            cmocka_unit_test(a_promise_takes_no_memory),
            cmocka_unit_test(memory_may_run_out),
            cmocka_unit_test(prefix_is_written_as_it_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
