/* What a look at a file tells where it is not the usual one. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "bolt/stream.h"
#include "expect.h"
#include "failing.h"
#include "made_up.h"

/* The first seed whose database is as wanted. */
static void make(struct made_up *m, bool (*is_wanted)(const struct made_up *m))
{
    for (uint64_t seed = 1;; seed++) {
        made_up_make(m, seed);
        if (is_wanted(m))
            return;
        made_up_release(m);
    }
}

static bool is_any(const struct made_up *m)
{
    return m->page_size == 4096 && m->n_pages > 8;
}

static bool is_of_large_pages(const struct made_up *m)
{
    return m->page_size == 65536;
}

static void expect_report(struct bytes bytes, const char *structure, const char *why)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_bolt_stream_free) struct bolt_stream *s = bolt_stream_new(&e);
    const struct bolt_report *r;

    assert_non_null(s);
    bolt_stream_update(s, bytes);
    r = bolt_stream_finish(s);
    assert_string_equal(r->why, why);
    assert_string_equal(bolt_structure_name(r->structure), structure);
    assert_int_equal(r->n_buckets == 0, r->structure != BOLT_SOUND || r->n_buckets == 0);
}

static void test_ends(void **state)
{
    static const uint8_t noise[100] = {1, 2, 3};
    struct made_up m;
    size_t len;
    uint8_t *with_hash;

    (void)state;
    make(&m, is_any);
    len = m.n_pages * 4096;
    with_hash = calloc(1, len + 4096);
    assert_non_null(with_hash);
    memcpy(with_hash, m.bytes, len);
    expect_report((struct bytes){with_hash, len}, "sound", "");
    expect_report((struct bytes){with_hash, len + 32}, "sound", "");
    expect_report((struct bytes){with_hash, 0}, "damaged", "page 0: the file ends within it");
    expect_report((struct bytes){with_hash, 79}, "damaged", "page 0: the file ends within it");
    expect_report((struct bytes){with_hash, 4095}, "damaged", "page 0: the file ends within it");
    expect_report((struct bytes){with_hash, 4096 * 3 + 100}, "damaged", "page 3: the file ends within it");
    expect_report((struct bytes){with_hash, len - 4096}, "damaged",
            "page 0: it tells another number of pages than the file has");
    expect_report((struct bytes){with_hash, len + 4096}, "damaged",
            "page 0: it tells another number of pages than the file has");
    expect_report((struct bytes){noise, sizeof(noise)}, "damaged", "page 0: it is no meta of a bbolt file");
    free(with_hash);
    made_up_release(&m);
}

/* What we do not know is no damage. */
static void test_not_inspected(void **state)
{
    struct made_up m;
    uint8_t magic[] = {0xED, 0x0C, 0xDA, 0xED};

    (void)state;
    make(&m, is_any);
    m.bytes[20] = 3;
    made_up_sign_meta(m.bytes);
    expect_report(
            (struct bytes){m.bytes, m.n_pages * 4096}, "not inspected", "page 0: its format is of another version");
    m.bytes[20] = 2;
    m.bytes[25] = 8;
    made_up_sign_meta(m.bytes);
    expect_report((struct bytes){m.bytes, m.n_pages * 4096}, "not inspected",
            "page 0: its page size is not between 4 and 64 KiB");
    memcpy(m.bytes + 16, magic, sizeof(magic));
    expect_report((struct bytes){m.bytes, m.n_pages * 4096}, "not inspected",
            "page 0: it was written by a big-endian machine");
    made_up_release(&m);
}

static void test_large_pages(void **state)
{
    struct made_up m;

    (void)state;
    make(&m, is_of_large_pages);
    expect_report((struct bytes){m.bytes, m.n_pages * 65536}, "sound", "");
    made_up_release(&m);
}

/* Each page claims all that it can, and that it is a branch: memory stays what the bytes that went by allow. */
static void test_memory(void **state)
{
    enum { PAGES = 20000, CHILDREN = 200 };
    struct made_up m;
    struct err e = ERR_INIT;
    struct bolt_stream *s = bolt_stream_new(&e);
    uint8_t page[4096] = {0};
    const struct bolt_report *r;

    (void)state;
    assert_non_null(s);
    make(&m, is_any);
    bolt_stream_update(s, (struct bytes){m.bytes, 2 * 4096});
    page[8] = 0x01;
    page[10] = CHILDREN;
    for (uint64_t i = 0; i < CHILDREN; i++) {
        uint8_t *element = page + 16 + 16 * i, key = (uint8_t)i;
        uint32_t pos = htole32((uint32_t)(16 * (CHILDREN - i) + i)), size = htole32(1);
        uint64_t child = htole64(2 + i * 7919 % 1000000000);

        memcpy(element, &pos, 4);
        memcpy(element + 4, &size, 4);
        memcpy(element + 8, &child, 8);
        page[16 + 16 * CHILDREN + i] = key;
    }
    for (uint64_t i = 2; i < PAGES; i++) {
        memcpy(page, &(uint64_t){htole64(i)}, 8);
        bolt_stream_update(s, (struct bytes){page, sizeof(page)});
    }
    r = bolt_stream_finish(s);
    /* Some pages found no place. */
    assert_in_range(r->memory, (1 << 19) + (uint64_t)PAGES * 18, (1 << 19) + (uint64_t)PAGES * 4096 / 200);
    bolt_stream_free(s);
    made_up_release(&m);
}

/* Whatever allocation fails, nothing is lost but the look. */
static void test_no_memory(void **state)
{
    struct made_up m;
    bool reached;
    size_t n = 0, n_missed = 0;

    (void)state;
    make(&m, is_any);
    do {
        struct err e = ERR_INIT;
        struct bolt_stream *s;

        failing_arm(++n);
        s = bolt_stream_new(&e);
        if (s) {
            const struct bolt_report *r;

            bolt_stream_update(s, (struct bytes){m.bytes, m.n_pages * 4096});
            r = bolt_stream_finish(s);
            reached = failing_disarm();
            /* A page that is not remembered may be none that matters. */
            assert_int_not_equal(r->structure, BOLT_DAMAGED);
            assert_true(reached || r->structure == BOLT_SOUND);
            n_missed += r->structure == BOLT_NOT_INSPECTED;
        } else {
            reached = failing_disarm();
            assert_true(reached);
            expect_error(&e, ERR_RESOURCE, "out of memory for the look at a snapshot's structure");
        }
        bolt_stream_free(s);
    } while (reached);
    assert_true(n > 6 && n_missed > 1);
    made_up_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends), cmocka_unit_test(test_not_inspected),
            cmocka_unit_test(test_large_pages), cmocka_unit_test(test_memory), cmocka_unit_test(test_no_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
