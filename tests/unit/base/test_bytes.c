#include "expect.h"

#include <string.h>

#include "base/bytes.h"
#include "failing.h"

/* What is freed is looked at first (--wrap): whether this block was, and then held nothing but 0. */
static const uint8_t *watched;
static size_t watched_len;
static bool was_freed, was_wiped;

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
    if (p && p == watched) {
        watched = NULL;
        was_freed = was_wiped = true;
        for (size_t i = 0; i < watched_len; i++)
            was_wiped = was_wiped && ((const uint8_t *)p)[i] == 0;
    }
    __real_free(p);
}

static void watch(const struct buf *b)
{
    watched = b->data;
    watched_len = b->cap;
    was_freed = was_wiped = false;
}

/* Also what is behind the end, since it was there before something was dropped. */
static void nothing_is_left_in_memory_that_is_given_up(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    uint8_t data[300];

    (void)state;
    memset(data, 's', sizeof(data));
    assert_int_equal(buf_append(&b, data, 200, &e), 0);
    buf_drop_front(&b, 100);
    watch(&b);
    assert_int_equal(buf_append(&b, data, 300, &e), 0);
    assert_true(was_freed && was_wiped);
    assert_memory_equal(b.data, data, 300);
    assert_int_equal(b.len, 400);
    b.len = 0;
    watch(&b);
    buf_reset(&b);
    assert_true(was_freed && was_wiped);
}

static void grows_as_it_is_filled(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)i;

        assert_int_equal(buf_append(&b, &byte, 1, &e), 0);
        assert_true(b.cap <= b.limit);
    }
    assert_int_equal(buf_bytes(&b).len, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(buf_bytes(&b).data[i], (uint8_t)i);
    assert_int_equal(e.kind, ERR_NONE);
}

static void the_limit_is_exact_and_a_refusal_changes_nothing(void **state)
{
    static const size_t limits[] = {1, 10, 255, 256, 257, 300, 511, 512, 513, 1000};
    uint8_t data[1024];

    (void)state;
    memset(data, 'x', sizeof(data));
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(limits[i]);
        struct err e = ERR_INIT;
        char text[64];

        assert_int_equal(buf_append(&b, data, limits[i] - 1, &e), 0);
        assert_int_equal(buf_append(&b, data, 2, &e), -1);
        (void)snprintf(text, sizeof(text), "more than %zu bytes", limits[i]);
        expect_error(&e, ERR_PROTOCOL, text);
        assert_int_equal(b.len, limits[i] - 1);
        assert_int_equal(buf_append(&b, data, 1, &e), 0);
        assert_int_equal(buf_append(&b, data, 0, &e), 0);
        assert_int_equal(b.cap, limits[i]); /* no byte of memory more either */
        assert_int_equal(buf_reserve(&b, 1, &e), -1);
        assert_int_equal(buf_reserve(&b, SIZE_MAX, &e), -1);
    }
}

static void a_limit_of_zero_holds_nothing(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(buf_append(&b, "", 0, &e), 0);
    assert_int_equal(buf_append(&b, "x", 1, &e), -1);
    assert_null(b.data);
}

static void reserve_makes_room_without_taking_it(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(buf_append(&b, "abc", 3, &e), 0);
    assert_int_equal(buf_reserve(&b, 1000, &e), 0);
    assert_int_equal(b.len, 3);
    assert_true(b.cap >= 1003);
    memset(b.data + b.len, 'z', 1000);
    assert_memory_equal(b.data, "abc", 3);
}

static void front_can_be_dropped(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    struct err e = ERR_INIT;

    (void)state;
    buf_drop_front(&b, 0); /* empty: no memory yet */
    assert_int_equal(buf_append(&b, "hello", 5, &e), 0);
    buf_drop_front(&b, 0);
    assert_int_equal(b.len, 5);
    buf_drop_front(&b, 2);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "llo", 3);
    buf_drop_front(&b, 3);
    assert_int_equal(b.len, 0);
    assert_int_equal(buf_append(&b, "again", 5, &e), 0);
    assert_memory_equal(b.data, "again", 5);
}

static void reset_keeps_the_limit(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(3);
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(buf_append(&b, "abc", 3, &e), 0);
    buf_reset(&b);
    assert_null(b.data);
    assert_int_equal(b.len + b.cap, 0);
    assert_int_equal(buf_append(&b, "abcd", 4, &e), -1);
    assert_int_equal(buf_append(&b, "abc", 3, &e), 0);
}

static void out_of_memory_changes_nothing(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct err e = ERR_INIT;
    uint8_t data[256] = {7};

    (void)state;
    assert_int_equal(buf_append(&b, data, 1, &e), 0);
    failing_arm(1);
    assert_int_equal(buf_append(&b, data, 256, &e), -1);
    assert_true(failing_disarm());
    expect_error(&e, ERR_RESOURCE, "out of memory for 512 bytes");
    assert_int_equal(b.len, 1);
    assert_int_equal(b.data[0], 7);
    assert_int_equal(buf_append(&b, data, 256, &e), 0);
}

static void numbers_are_in_network_order(void **state)
{
    uint8_t p[8];

    (void)state;
    be32_store(p, 0x80fe0102);
    assert_memory_equal(p, "\x80\xfe\x01\x02", 4);
    assert_int_equal(be32_load(p), 0x80fe0102);
    be64_store(p, UINT64_C(0x8102030405060708));
    assert_memory_equal(p, "\x81\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_true(be64_load(p) == UINT64_C(0x8102030405060708));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(grows_as_it_is_filled),
            cmocka_unit_test(the_limit_is_exact_and_a_refusal_changes_nothing),
            cmocka_unit_test(a_limit_of_zero_holds_nothing),
            cmocka_unit_test(reserve_makes_room_without_taking_it),
            cmocka_unit_test(front_can_be_dropped),
            cmocka_unit_test(reset_keeps_the_limit),
            cmocka_unit_test(nothing_is_left_in_memory_that_is_given_up),
            cmocka_unit_test(out_of_memory_changes_nothing),
            cmocka_unit_test(numbers_are_in_network_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
