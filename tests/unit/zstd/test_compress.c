#include "streams.h"

#include <string.h>
#include <zstd.h>

#include "catalog/list.h"
#include "failing.h"
#include "zstd/compress.h"

static void what_is_compressed_can_be_read(void **state)
{
    static const size_t lens[] = {1, 544, COMPRESS_FRAME - 1, COMPRESS_FRAME, COMPRESS_FRAME + 1,
            3 * COMPRESS_FRAME - 1, 3 * COMPRESS_FRAME, 3 * COMPRESS_FRAME + 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        for (int level = COMPRESS_LEVEL_MIN; level <= COMPRESS_LEVEL_MAX; level += 2) {
            _cleanup_stream_ struct stream s = stream_make(lens[i], 20, level);

            stream_expect_whole(&s, SIZE_MAX / 2);
            stream_expect_whole(&s, COMPRESS_FRAME);
            if (lens[i] < COMPRESS_FRAME)
                stream_expect_whole(&s, 1);
        }
}

static void the_frames_are_those_of_the_table(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(2 * COMPRESS_FRAME + 100, 20, 3);
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *table = stream_table(buf_bytes(&s.bytes), &e);

    (void)state;
    expect_success(table, &e);
    assert_int_equal(seek_table_count(table), 4); /* and the padding */
    for (size_t i = 0; i < 3; i++) {
        struct frame_place p = seek_table_at(table, i);

        assert_int_equal(p.plain_start, i * COMPRESS_FRAME);
        assert_int_equal(p.plain_len, i < 2 ? COMPRESS_FRAME : 100);
        assert_int_equal(ZSTD_findFrameCompressedSize(s.bytes.data + p.start, p.len), p.len);
        assert_int_equal(ZSTD_getFrameContentSize(s.bytes.data + p.start, p.len), p.plain_len);
        assert_true(decompress_recognizes((struct bytes){s.bytes.data + p.start, p.len}));
    }
    assert_int_equal(seek_table_at(table, 3).plain_len, 0);
    assert_int_equal(seek_table_plain_size(table), 2 * COMPRESS_FRAME + 100);
    assert_int_equal(seek_table_start(table) + seek_table_size(table), s.bytes.len);
}

static void libzstd_reads_the_whole_as_it_is(void **state)
{
    _cleanup_stream_ struct stream s = stream_make(3 * COMPRESS_FRAME + 7, 20, 3);
    _cleanup_free_ uint8_t *out = malloc(s.plain.len);

    (void)state;
    assert_int_equal(ZSTD_decompress(out, s.plain.len, s.bytes.data, s.bytes.len), s.plain.len);
    assert_memory_equal(out, s.plain.data, s.plain.len);
}

static void the_size_is_that_of_a_snapshot(void **state)
{
    (void)state;
    assert_int_equal(COMPRESS_UNIT, CATALOG_PAGE);
    for (size_t len = 1; len < 9000; len += 97) {
        _cleanup_stream_ struct stream s = stream_make(len, 256, 1);

        assert_int_equal(s.bytes.len % COMPRESS_UNIT, COMPRESS_REST);
        stream_expect_whole(&s, 5000);
    }
}

static void nothing_becomes_larger_than_the_bound(void **state)
{
    static const size_t lens[] = {1, 4096, COMPRESS_FRAME, 5 * COMPRESS_FRAME, 5 * COMPRESS_FRAME + 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        _cleanup_stream_ struct stream s = stream_make(lens[i], 256, 9);

        assert_true(s.bytes.len > lens[i]);
        assert_true(s.bytes.len <= compress_bound(lens[i]));
    }
    assert_true(compress_bound(UINT64_C(100) << 30) < UINT64_C(101) << 30);
    assert_true(compress_bound(UINT64_MAX) == UINT64_MAX);
}

static void levels_compress_better(void **state)
{
    size_t before = SIZE_MAX;

    (void)state;
    for (int level = 1; level <= 9; level += 4) {
        _cleanup_stream_ struct stream s = stream_make(COMPRESS_FRAME, 20, level);

        assert_true(s.bytes.len < COMPRESS_FRAME / 4);
        assert_true(s.bytes.len <= before);
        before = s.bytes.len;
    }
}

static void only_the_last_frame_is_shorter(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_compress_free) struct compress *c = compress_new(3, &e);
    struct bytes out;

    (void)state;
    expect_success(compress_frame(c, (struct bytes){(const uint8_t *)"etcd", 4}, &out, &e) == 0, &e);
    assert_int_equal(compress_frame(c, (struct bytes){(const uint8_t *)"etcd", 4}, &out, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "a frame to compress behind one that was shorter");
}

static void without_memory_it_says_so(void **state)
{
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct compress *c;
        struct bytes out = {0};
        bool done;

        failing_arm(++n);
        c = compress_new(3, &e);
        done = c && compress_frame(c, (struct bytes){(const uint8_t *)"etcd", 4}, &out, &e) == 0 &&
               compress_finish(c, &out, &e) == 0;
        reached = failing_disarm();
        assert_int_equal(done, !reached);
        assert_true(done || e.kind == ERR_RESOURCE);
        compress_free(c);
    } while (reached);
    assert_true(n > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_compressed_can_be_read),
            cmocka_unit_test(the_frames_are_those_of_the_table),
            cmocka_unit_test(libzstd_reads_the_whole_as_it_is),
            cmocka_unit_test(the_size_is_that_of_a_snapshot),
            cmocka_unit_test(nothing_becomes_larger_than_the_bound),
            cmocka_unit_test(levels_compress_better),
            cmocka_unit_test(only_the_last_frame_is_shorter),
            cmocka_unit_test(without_memory_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
