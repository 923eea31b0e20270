/* Frames of the control protocol, cut anywhere. */
#include "expect.h"

#include <string.h>

#include "control.pb-c.h"
#include "control/wire.h"
#include "failing.h"

static void append_hello(struct buf *out, uint32_t version)
{
    Control__Hello hello = CONTROL__HELLO__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    struct err e = ERR_INIT;

    hello.version = version;
    request.body_case = CONTROL__REQUEST__BODY_HELLO;
    request.hello = &hello;
    expect_success(wire_append(out, &request.base, &e) == 0, &e);
}

static void test_frames_in_a_row(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    struct bytes left, message;
    struct err e = ERR_INIT;
    size_t used;

    (void)state;
    for (uint32_t v = 1; v <= 3; v++)
        append_hello(&out, v);
    left = buf_bytes(&out);
    for (uint32_t v = 1; v <= 3; v++) {
        Control__Request *m;

        assert_int_equal(wire_next(left, &message, &used, &e), 1);
        assert_ptr_equal(message.data, left.data + 4);
        assert_int_equal(used, message.len + 4);
        m = control__request__unpack(NULL, message.len, message.data);
        assert_non_null(m);
        assert_int_equal(m->body_case, CONTROL__REQUEST__BODY_HELLO);
        assert_int_equal(m->hello->version, v);
        control__request__free_unpacked(m, NULL);
        left.data += used;
        left.len -= used;
    }
    assert_int_equal(wire_next(left, &message, &used, &e), 0);
}

/* However few bytes have come: more are asked for, until there is one whole message. */
static void test_every_prefix(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    struct bytes message;
    struct err e = ERR_INIT;
    size_t used = 0;

    (void)state;
    append_hello(&out, 7);
    for (size_t len = 0; len < out.len; len++) {
        _cleanup_free_ uint8_t *exact = malloc(len ? len : 1); /* so that a byte too far is noticed */

        assert_non_null(exact);
        memcpy(exact, out.data, len);
        assert_int_equal(wire_next((struct bytes){exact, len}, &message, &used, &e), 0);
        assert_int_equal(used, 0);
    }
    assert_int_equal(wire_next(buf_bytes(&out), &message, &used, &e), 1);
}

static void test_lengths(void **state)
{
    static uint8_t frame[4 + WIRE_FRAME_MAX];
    static const uint32_t refused[] = {0, WIRE_FRAME_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff};
    struct bytes message;
    struct err e = ERR_INIT;
    size_t used = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        char text[64];

        be32_store(frame, refused[i]);
        (void)snprintf(text, sizeof(text), "control message of %u bytes", (unsigned)refused[i]);
        assert_int_equal(wire_next((struct bytes){frame, 4}, &message, &used, &e), -1);
        expect_error(&e, ERR_PROTOCOL, text);
    }
    be32_store(frame, WIRE_FRAME_MAX);
    assert_int_equal(wire_next((struct bytes){frame, sizeof(frame) - 1}, &message, &used, &e), 0);
    assert_int_equal(wire_next((struct bytes){frame, sizeof(frame)}, &message, &used, &e), 1);
    assert_int_equal(message.len, WIRE_FRAME_MAX);
}

/* A note of so many characters; returns what wire_append does. */
static int append_note(struct buf *out, size_t len, struct err *e)
{
    _cleanup_free_ char *text = malloc(len + 1);
    Control__Note note = CONTROL__NOTE__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    assert_non_null(text);
    memset(text, 'n', len);
    text[len] = '\0';
    note.text = text;
    reply.body_case = CONTROL__REPLY__BODY_NOTE;
    reply.note = &note;
    return wire_append(out, &reply.base, e);
}

/* What the other side would refuse is not sent. */
static void test_too_long_to_send(void **state)
{
    enum { AROUND = 8 }; /* tags and lengths of the two messages */
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
    struct bytes message;
    struct err e = ERR_INIT;
    size_t used;

    (void)state;
    expect_success(append_note(&out, WIRE_FRAME_MAX - AROUND, &e) == 0, &e);
    assert_int_equal(out.len, 4 + WIRE_FRAME_MAX);
    assert_int_equal(wire_next(buf_bytes(&out), &message, &used, &e), 1);
    assert_int_equal(append_note(&out, WIRE_FRAME_MAX - AROUND + 1, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "control message of 65537 bytes is too long to send");
    assert_int_equal(out.len, 4 + WIRE_FRAME_MAX);
}

static void test_no_room(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(16);
    struct err e = ERR_INIT;

    (void)state;
    append_hello(&out, 1);
    assert_int_equal(append_note(&out, 10, &e), -1);
    assert_int_equal(e.kind, ERR_PROTOCOL);
    assert_int_equal(out.len, 8);
    buf_reset(&out);
    failing_arm(2); /* the text of the note is the first */
    assert_int_equal(append_note(&out, 1, &e), -1);
    assert_true(failing_disarm());
    assert_int_equal(e.kind, ERR_RESOURCE);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_frames_in_a_row),
            cmocka_unit_test(test_every_prefix),
            cmocka_unit_test(test_lengths),
            cmocka_unit_test(test_too_long_to_send),
            cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
