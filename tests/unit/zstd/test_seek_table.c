#include "expect.h"

#include <string.h>

#include "base/cleanup.h"
#include "failing.h"
#include "zstd/seek_table.h"

/* Three frames of 16, 8 and 300 bytes, of which 1000, 0 and 70000 come out; as the description of the format says. */
static const uint8_t known[] = "\x5e\x2a\x4d\x18\x21\0\0\0"
                               "\x10\0\0\0\xe8\x03\0\0"
                               "\x08\0\0\0\0\0\0\0"
                               "\x2c\x01\0\0\x70\x11\x01\0"
                               "\x03\0\0\0\x00\xb1\xea\x92\x8f";
enum { KNOWN = sizeof(known) - 1, FRAMES = 16 + 8 + 300, STREAM = FRAMES + KNOWN };

/* The same with a checksum in each entry. */
static const uint8_t with_checksums[] = "\x5e\x2a\x4d\x18\x2d\0\0\0"
                                        "\x10\0\0\0\xe8\x03\0\0\x01\x02\x03\x04"
                                        "\x08\0\0\0\0\0\0\0\x01\x02\x03\x04"
                                        "\x2c\x01\0\0\x70\x11\x01\0\x01\x02\x03\x04"
                                        "\x03\0\0\0\x80\xb1\xea\x92\x8f";

static struct seek_table *make(void)
{
    struct err e = ERR_INIT;
    struct seek_table *t = seek_table_new(&e);

    expect_success(t, &e);
    expect_success(seek_table_add(t, 16, 1000, &e) == 0 && seek_table_add(t, 8, 0, &e) == 0 &&
                           seek_table_add(t, 300, 70000, &e) == 0,
            &e);
    return t;
}

static void expect_known(const struct seek_table *t)
{
    static const struct frame_place places[] = {
            {.start = 0, .len = 16, .plain_start = 0, .plain_len = 1000},
            {.start = 16, .len = 8, .plain_start = 1000, .plain_len = 0},
            {.start = 24, .len = 300, .plain_start = 1000, .plain_len = 70000},
    };

    assert_int_equal(seek_table_count(t), 3);
    assert_int_equal(seek_table_start(t), FRAMES);
    assert_int_equal(seek_table_plain_size(t), 71000);
    for (size_t i = 0; i < 3; i++) {
        struct frame_place p = seek_table_at(t, i);

        assert_int_equal(p.start, places[i].start);
        assert_int_equal(p.len, places[i].len);
        assert_int_equal(p.plain_start, places[i].plain_start);
        assert_int_equal(p.plain_len, places[i].plain_len);
    }
}

static void it_is_written_as_the_format_says(void **state)
{
    _cleanup_(cleanup_seek_table_free) struct seek_table *t = make();
    uint8_t out[KNOWN];

    (void)state;
    expect_known(t);
    assert_int_equal(seek_table_size_for(3), KNOWN);
    seek_table_write(t, out);
    assert_memory_equal(out, known, KNOWN);
}

static struct seek_table *parse(const uint8_t *table, size_t len, uint64_t stream_size, struct err *e)
{
    _cleanup_free_ uint8_t *copy = malloc(len);
    size_t size = 0;

    memcpy(copy, table, len);
    *e = ERR_INIT;
    if (seek_table_size_by_footer((struct bytes){copy + len - 9, 9}, stream_size, &size, e) < 0)
        return NULL;
    assert_int_equal(size, len);
    return seek_table_parse((struct bytes){copy, len}, stream_size, e);
}

static void it_is_read(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *t = parse(known, KNOWN, STREAM, &e);
    _cleanup_(cleanup_seek_table_free) struct seek_table *u =
            parse(with_checksums, sizeof(with_checksums) - 1, STREAM + 12, &e);

    (void)state;
    expect_success(t && u, &e);
    expect_known(t);
    assert_int_equal(seek_table_size(t), KNOWN);
    expect_known(u);
    assert_int_equal(seek_table_size(u), KNOWN + 12);
}

static void a_byte_is_found(void **state)
{
    _cleanup_(cleanup_seek_table_free) struct seek_table *t = make();

    (void)state;
    assert_int_equal(seek_table_find(t, 0), 0);
    assert_int_equal(seek_table_find(t, 999), 0);
    assert_int_equal(seek_table_find(t, 1000), 2); /* nothing comes out of the one between */
    assert_int_equal(seek_table_find(t, 70999), 2);
}

static void every_byte_of_many_is_found(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *t = seek_table_new(&e);

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        expect_success(seek_table_add(t, 10, i % 7, &e) == 0, &e);
    for (uint64_t at = 0; at < seek_table_plain_size(t); at++) {
        struct frame_place p = seek_table_at(t, seek_table_find(t, at));

        assert_true(p.plain_start <= at && at < p.plain_start + p.plain_len);
    }
}

static void what_contradicts_itself_is_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
        const char *text;
    } faults[] = {
            {0, 0x50, "the seek table does not begin where its end says"},
            {4, 0x22, "the seek table does not begin where its end says"},
            {8, 0x11, "the seek table's frames have 325 bytes, and there are 324"},
            {16, 0x07, "the seek table claims that frame 1 has 7 bytes and 0 come out of it"},
            {23, 0xff, "the seek table claims that frame 1 has 8 bytes and 4278190080 come out of it"},
            {KNOWN - 9, 0xff, "the seek table claims 255 frames, and the whole stream has 365 bytes"},
            {KNOWN - 6, 0x01, "the seek table claims 16777219 frames"},
            {KNOWN - 5, 0x04, "the seek table is of a kind that is not known here"},
            {KNOWN - 5, 0x40, "the seek table is of a kind that is not known here"},
            {KNOWN - 1, 0x8e,
                    "the compressed stream ends without a seek table: it was cut off, or another program wrote it"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        uint8_t table[KNOWN];
        struct err e = ERR_INIT;

        memcpy(table, known, KNOWN);
        table[faults[i].at] = faults[i].byte;
        assert_null(parse(table, KNOWN, STREAM, &e));
        expect_error(&e, ERR_INTEGRITY, faults[i].text);
    }
}

static void a_stream_of_another_size_is_refused(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_null(parse(known, KNOWN, STREAM + 1, &e));
    expect_error(&e, ERR_INTEGRITY, "the seek table's frames have 324 bytes, and there are 325");
    assert_null(parse(known, KNOWN, KNOWN - 1, &e));
    expect_error(&e, ERR_INTEGRITY, "the seek table claims 3 frames, and the whole stream has 40 bytes");
}

static void frames_are_counted(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *t = seek_table_new(&e);

    (void)state;
    for (size_t i = 0; i < SEEK_TABLE_FRAMES_MAX; i++)
        expect_success(seek_table_add(t, UINT32_MAX, UINT32_MAX, &e) == 0, &e);
    assert_int_equal(seek_table_add(t, 8, 0, &e), -1);
    expect_error(&e, ERR_RESOURCE, "more than 1048576 frames to compress");
    assert_true(seek_table_plain_size(t) == (uint64_t)SEEK_TABLE_FRAMES_MAX * UINT32_MAX);
}

static void without_memory_it_says_so(void **state)
{
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct seek_table *t;

        failing_arm(++n);
        t = seek_table_parse((struct bytes){known, KNOWN}, STREAM, &e);
        reached = failing_disarm();
        assert_int_equal(t != NULL, !reached);
        assert_true(t || e.kind == ERR_RESOURCE);
        seek_table_free(t);
    } while (reached);
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(it_is_written_as_the_format_says),
            cmocka_unit_test(it_is_read),
            cmocka_unit_test(a_byte_is_found),
            cmocka_unit_test(every_byte_of_many_is_found),
            cmocka_unit_test(what_contradicts_itself_is_refused),
            cmocka_unit_test(a_stream_of_another_size_is_refused),
            cmocka_unit_test(frames_are_counted),
            cmocka_unit_test(without_memory_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
