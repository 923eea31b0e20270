#include "streams.h"

#include <string.h>

#include "failing.h"
#include "zstd/compress.h"

static void expect_fault(struct bytes stream, const char *text)
{
    static const size_t steps[] = {1 << 20, 4093};

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        _cleanup_buf_ struct buf plain = BUF_INIT(0);
        struct err e = ERR_INIT;

        assert_int_equal(stream_read(stream, steps[i], 0, &plain, &e), -1);
        expect_error(&e, ERR_INTEGRITY, text);
    }
}

static void it_begins_at_any_frame(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(3 * COMPRESS_FRAME + 100, 20, 3);

    (void)state;
    for (size_t first = 0; first <= 5; first++) {
        _cleanup_buf_ struct buf plain = BUF_INIT(0);
        size_t from = first < 4 ? first * COMPRESS_FRAME : s.plain.len;
        struct err e = ERR_INIT;

        expect_success(stream_read(buf_bytes(&s.bytes), 100000, first, &plain, &e) == 0, &e);
        assert_int_equal(plain.len, s.plain.len - from);
        if (plain.len)
            assert_memory_equal(plain.data, s.plain.data + from, plain.len);
    }
}

static void going_to_a_frame_forgets_where_it_was(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(2 * COMPRESS_FRAME, 20, 3);
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *table = stream_table(buf_bytes(&s.bytes), &e);
    _cleanup_(cleanup_decompress_free) struct decompress *d = decompress_new(table, &e);
    struct frame_place second = seek_table_at(table, 1);
    struct bytes half = {s.bytes.data, seek_table_at(table, 0).len / 2},
                 frame = {s.bytes.data + second.start, second.len}, out;

    (void)state;
    expect_success(decompress_next(d, &half, &out, &e) == 0, &e);
    assert_int_equal(out.len, 0);
    decompress_seek(d, 1);
    expect_success(decompress_next(d, &frame, &out, &e) == 0, &e);
    assert_int_equal(out.len, COMPRESS_FRAME);
    assert_memory_equal(out.data, s.plain.data + COMPRESS_FRAME, out.len);
}

/* zstd's own options, and what other writers of the format do. */
static void others_streams_are_read(void **state)
{
    static const struct foreign_frame frames[] = {
            {.len = 100},
            {.len = 5 << 20, .no_size = true},
            {.len = 300000, .no_checksum = true, .level = 19},
            {.len = 8 << 20},
            {.len = 9 << 20, .no_size = true, .window_log = 23, .level = 1},
            {.len = 0},
            {.len = 1, .no_size = true},
    };
    static const uint8_t skippable[] = {0x5F, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3};
    static const uint8_t empty_skippable[] = {0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0};

    (void)state;
    for (unsigned checksums = 0; checksums < 2; checksums++) {
        struct foreign f = {.has_checksums = checksums};
        _cleanup_stream_ struct stream s = {0};

        foreign_add_raw(&f, skippable, sizeof(skippable), 0);
        for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
            foreign_add(&f, &frames[i]);
            foreign_add_raw(&f, empty_skippable, sizeof(empty_skippable), 0);
        }
        s = foreign_finish(&f);
        stream_expect_whole(&s, 1 << 20);
        stream_expect_whole(&s, 4093);
    }
}

static void a_stream_of_no_frames_is_empty(void **state)
{
    struct foreign f = {0};
    _cleanup_stream_ struct stream s = foreign_finish(&f);

    (void)state;
    assert_int_equal(s.bytes.len, 17);
    stream_expect_whole(&s, 1);
}

static void windows_are_bounded(void **state)
{
    const struct foreign_frame with_size = {.len = (8 << 20) + 1, .window_log = 24},
                               without = {.len = 9 << 20, .window_log = 24, .no_size = true};
    struct foreign f = {0}, g = {0};
    _cleanup_stream_ struct stream s = {0}, t = {0};

    (void)state;
    foreign_add(&f, &with_size);
    s = foreign_finish(&f);
    foreign_add(&g, &without);
    t = foreign_finish(&g);
    expect_fault(buf_bytes(&t.bytes), "compressed frame 0 at byte 0: wants a window of more than 8 MiB");
    expect_fault(buf_bytes(&s.bytes), "compressed frame 0 at byte 0: wants a window of more than 8 MiB");
}

/* A block of one byte repeated, 128 KiB, is four bytes. */
static void a_frame_of_which_more_comes_out_is_stopped(void **state)
{
    /* No content size, a window of 128 KiB, and 1000 such blocks. */
    _cleanup_buf_ struct buf bomb = BUF_INIT(1 << 20);
    _cleanup_stream_ struct stream s = {0};
    struct foreign f = {0};
    struct err e = ERR_INIT;

    (void)state;
    (void)buf_append(&bomb, "\x28\xb5\x2f\xfd\x00\x38", 6, &e);
    for (unsigned i = 0; i < 1000; i++)
        (void)buf_append(&bomb, i < 999 ? "\x02\x00\x10z" : "\x03\x00\x10z", 4, &e);
    foreign_add_raw(&f, bomb.data, bomb.len, 1000u * (128 << 10));
    s = foreign_finish(&f);
    {
        _cleanup_buf_ struct buf plain = BUF_INIT(0);

        expect_success(stream_read(buf_bytes(&s.bytes), 1000, 0, &plain, &e) == 0, &e);
        assert_int_equal(plain.len, 1000u * (128 << 10));
    }
    stream_free(&s);
    f = (struct foreign){0};
    foreign_add_raw(&f, bomb.data, bomb.len, 100000);
    s = foreign_finish(&f);
    expect_fault(buf_bytes(&s.bytes),
            "compressed frame 0 at byte 0: more comes out of it than the 100000 bytes that the seek table says");
}

/* The header says a terabyte, and one block of "etcd" follows. */
static void a_frame_that_claims_a_terabyte_is_refused(void **state)
{
    static const uint8_t single[] = "\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x01\x00\x00\x21\x00\x00"
                                    "etcd";
    static const uint8_t windowed[] = "\x28\xb5\x2f\xfd\xc0\x38\x00\x00\x00\x00\x00\x01\x00\x00\x21\x00\x00"
                                      "etcd";
    struct foreign f = {0}, g = {0};
    _cleanup_stream_ struct stream s = {0}, t = {0};

    (void)state;
    foreign_add_raw(&f, single, sizeof(single) - 1, 4);
    s = foreign_finish(&f);
    expect_fault(buf_bytes(&s.bytes), "compressed frame 0 at byte 0: wants a window of more than 8 MiB");
    foreign_add_raw(&g, windowed, sizeof(windowed) - 1, 4);
    t = foreign_finish(&g);
    expect_fault(buf_bytes(&t.bytes), "compressed frame 0 at byte 0: Data corruption detected");
}

static uint8_t *entry(const struct stream *s, size_t count, size_t i)
{
    return s->bytes.data + s->bytes.len - 9 - 8 * (count - i);
}

static void add_to(uint8_t *le32, int delta)
{
    uint32_t v = (uint32_t)le32[0] | (uint32_t)le32[1] << 8 | (uint32_t)le32[2] << 16 | (uint32_t)le32[3] << 24;

    v += (uint32_t)delta;
    for (unsigned i = 0; i < 4; i++)
        le32[i] = (uint8_t)(v >> 8 * i);
}

static void a_table_that_lies_is_found_out(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(2 * COMPRESS_FRAME, 20, 3);
    uint8_t *first = entry(&s, 3, 0), *second = entry(&s, 3, 1);

    (void)state;
    add_to(first + 4, -1);
    expect_fault(buf_bytes(&s.bytes),
            "compressed frame 0 at byte 0: more comes out of it than the 1048575 bytes that the seek table says");
    add_to(first + 4, 2);
    expect_fault(buf_bytes(&s.bytes),
            "compressed frame 0 at byte 0: 1048576 bytes come out of it, and the seek table says 1048577");
    add_to(first + 4, -1);
    add_to(first, 10); /* the sum stays */
    add_to(second, -10);
    expect_fault(buf_bytes(&s.bytes), "compressed frame 0 at byte 0: ends 10 bytes before the seek table says");
    add_to(first, -11);
    add_to(second, 11);
    expect_fault(buf_bytes(&s.bytes), "compressed frame 0 at byte 0: does not end where the seek table says");
    add_to(first, 1);
    add_to(second, -1);
    stream_expect_whole(&s, 1 << 20);
}

static void a_flipped_bit_is_found(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(100000, 256, 3);
    struct err e = ERR_INIT;
    size_t end;

    (void)state;
    {
        _cleanup_(cleanup_seek_table_free) struct seek_table *table = stream_table(buf_bytes(&s.bytes), &e);
        end = (size_t)seek_table_at(table, 1).start;
    }
    for (size_t at = 0; at < end; at += 777) {
        _cleanup_buf_ struct buf plain = BUF_INIT(0);

        s.bytes.data[at] ^= 0x10;
        assert_int_equal(stream_read(buf_bytes(&s.bytes), 1 << 20, 0, &plain, &e), -1);
        assert_int_equal(e.kind, ERR_INTEGRITY);
        s.bytes.data[at] ^= 0x10;
    }
}

static void what_is_no_frame_is_named(void **state)
{
    struct foreign f = {0};
    _cleanup_stream_ struct stream s = {0};

    (void)state;
    foreign_add_raw(&f,
            "\x27\xb5\x2f\xfd\x20\x04\x21\x00\x00"
            "etcd",
            13, 4); /* as of a zstd before 1.0 */
    s = foreign_finish(&f);
    expect_fault(buf_bytes(&s.bytes), "compressed frame 0 at byte 0: is none: it begins with 27 b5 2f fd");
}

static void swapped_frames_are_found(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(COMPRESS_FRAME + 1000, 20, 3);
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *table = stream_table(buf_bytes(&s.bytes), &e);
    struct frame_place a = seek_table_at(table, 0), b = seek_table_at(table, 1);
    _cleanup_free_ uint8_t *copy = malloc(a.len);

    (void)state;
    memcpy(copy, s.bytes.data, a.len);
    memmove(s.bytes.data, s.bytes.data + b.start, b.len);
    memcpy(s.bytes.data + b.len, copy, a.len);
    {
        _cleanup_buf_ struct buf plain = BUF_INIT(0);

        assert_int_equal(stream_read(buf_bytes(&s.bytes), 1 << 20, 0, &plain, &e), -1);
        assert_non_null(strstr(e.text, "compressed frame 0 at byte 0: ends "));
    }
}

/* Whoever has the table learns of all that is missing or too much. */
static void cut_off_or_longer_is_found(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(2 * COMPRESS_FRAME, 20, 3);
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *table = stream_table(buf_bytes(&s.bytes), &e);

    (void)state;
    for (size_t len = 0; len <= s.bytes.len + 1; len += len + 1000 < s.bytes.len ? 997 : 1) {
        _cleanup_(cleanup_decompress_free) struct decompress *d = decompress_new(table, &e);
        _cleanup_free_ uint8_t *copy = calloc(1, len + 1);
        struct bytes in = {copy, len}, out;
        int ret = 0;

        memcpy(copy, s.bytes.data, len < s.bytes.len ? len : s.bytes.len);
        do
            ret = decompress_next(d, &in, &out, &e);
        while (ret == 0 && (in.len || out.len));
        if (len > s.bytes.len) {
            assert_int_equal(ret, -1);
            expect_error(&e, ERR_INTEGRITY, "1 bytes stand behind the seek table");
        } else {
            expect_success(ret == 0, &e);
            assert_int_equal(decompress_end(d, &e), len == s.bytes.len ? 0 : -1);
            assert_true(len == s.bytes.len || strstr(e.text, "the compressed stream was cut off in frame "));
        }
    }
}

static void a_stream_is_recognized(void **state)
{
    (void)state;
    assert_true(decompress_recognizes((struct bytes){(const uint8_t *)"\x28\xb5\x2f\xfd", 4}));
    assert_true(decompress_recognizes((struct bytes){(const uint8_t *)"\x5a\x2a\x4d\x18...", 7}));
    assert_false(decompress_recognizes((struct bytes){(const uint8_t *)"\x28\xb5\x2f", 3}));
    assert_false(decompress_recognizes((struct bytes){(const uint8_t *)"\0\0\0\0\0\0\0\0", 8}));
    assert_false(decompress_recognizes((struct bytes){0}));
}

static void without_memory_it_says_so(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(1000, 20, 3);
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *table = stream_table(buf_bytes(&s.bytes), &e);
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct decompress *d;

        failing_arm(++n);
        d = decompress_new(table, &e);
        reached = failing_disarm();
        assert_int_equal(d != NULL, !reached);
        assert_true(d || e.kind == ERR_RESOURCE);
        decompress_free(d);
    } while (reached);
    assert_true(n > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(it_begins_at_any_frame),
            cmocka_unit_test(going_to_a_frame_forgets_where_it_was),
            cmocka_unit_test(others_streams_are_read),
            cmocka_unit_test(a_stream_of_no_frames_is_empty),
            cmocka_unit_test(windows_are_bounded),
            cmocka_unit_test(a_frame_of_which_more_comes_out_is_stopped),
            cmocka_unit_test(a_frame_that_claims_a_terabyte_is_refused),
            cmocka_unit_test(a_table_that_lies_is_found_out),
            cmocka_unit_test(a_flipped_bit_is_found),
            cmocka_unit_test(what_is_no_frame_is_named),
            cmocka_unit_test(swapped_frames_are_found),
            cmocka_unit_test(cut_off_or_longer_is_found),
            cmocka_unit_test(a_stream_is_recognized),
            cmocka_unit_test(without_memory_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
