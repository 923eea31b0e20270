/* Each field of each page that is in use is broken in turn: it is found, but where nothing can contradict it. */
#include <stdlib.h>
#include <string.h>

#include "bolt/stream.h"
#include "expect.h"
#include "made_up.h"

enum { HEADER = 16, ELEMENT = 16 };

/* Sanitizers take fifty times as long. */
#ifdef __SANITIZE_ADDRESS__
enum { DATABASES = 5, TRIED_MIN = 1000 };
#else
enum { DATABASES = 150, TRIED_MIN = 10000 };
#endif

static struct made_up db;
static uint64_t seed, n_tried;

static enum bolt_structure judge(char why[160])
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_bolt_stream_free) struct bolt_stream *s = bolt_stream_new(&e);
    const struct bolt_report *r;

    assert_non_null(s);
    bolt_stream_update(s, (struct bytes){db.bytes, db.n_pages * db.page_size});
    r = bolt_stream_finish(s);
    memcpy(why, r->why, sizeof(r->why));
    n_tried++;
    return r->structure;
}

static uint8_t *page_at(uint64_t page)
{
    return db.bytes + page * db.page_size;
}

static uint64_t load(const uint8_t *p, size_t len)
{
    uint64_t v = 0;

    for (size_t i = len; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

/* Changes `len` bytes at `at` of a page, as `change` says, and puts them back. */
static void expect_found(uint64_t page, size_t at, size_t len, const char *what)
{
    static const uint64_t changes[] = {1, 2, 0x10, 0x80, 0xFF};
    uint8_t before[8];

    memcpy(before, page_at(page) + at, len);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        char why[160];

        page_at(page)[at + i % len] ^= (uint8_t)changes[i];
        if (judge(why) != BOLT_DAMAGED)
            fail_msg("seed %llu, page %llu, byte %zu, %s: not found: %s", (unsigned long long)seed,
                    (unsigned long long)page, at, what, why);
        assert_memory_equal(why, "page ", 5);
        memcpy(page_at(page) + at, before, len);
    }
}

static void break_leaf(uint64_t page, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = HEADER + i * ELEMENT;

        if (load(page_at(page) + at, 4) ==
                0) /* one that is a bucket may become a bucket in a bucket, which is not known */
            expect_found(page, at + 1, 3, "flags");
        expect_found(page, at + 4, 4, "place");
        if (i + 1 == n) /* with nothing behind it, nothing contradicts it */
            break;
        expect_found(page, at + 8, 4, "key's length");
        expect_found(page, at + 12, 4, "value's length");
    }
}

static void break_branch(uint64_t page, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = HEADER + i * ELEMENT;

        expect_found(page, at, 4, "place");
        expect_found(page, at + 4, 4, "key's length");
        expect_found(page, at + 8, 8, "child");
        expect_found(page, at + load(page_at(page) + at, 4), 1, "key");
    }
}

static void break_page(uint64_t page)
{
    uint64_t flags = load(page_at(page) + 8, 2), n = load(page_at(page) + 10, 2);

    expect_found(page, 0, 8, "number");
    expect_found(page, 8, 2, "type");
    expect_found(page, 10, 2, "count");
    if (flags == 0x10) {
        if (n > 0)
            expect_found(page, HEADER, 8, "a free page");
        return;
    }
    expect_found(page, 12, 4, "overflow");
    if (flags == 0x01)
        break_branch(page, n);
    else
        break_leaf(page, n < 20 ? n : 20);
}

/* With its checksum, and with it made anew. */
static void break_metas(void)
{
    static const struct {
        size_t at, len;
        const char *what;
    } fields[] = {{0, 8, "number"}, {8, 2, "type"}, {10, 2, "count"}, {12, 4, "overflow"}, {16, 4, "magic"},
            {20, 4, "version"}, {24, 4, "page size"}, {28, 4, "flags"}, {32, 8, "root"}, {40, 8, "sequence"},
            {48, 8, "freelist"}, {56, 8, "pages"}, {64, 8, "transaction"}, {72, 8, "checksum"}};
    char why[160];

    for (uint64_t page = 0; page < 2; page++)
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
            expect_found(page, fields[i].at, fields[i].len, fields[i].what);
    for (size_t at = 32; at < 72; at++)
        for (uint64_t page = 0; page < 2; page++) {
            uint8_t before[80];

            memcpy(before, page_at(page), sizeof(before));
            page_at(page)[at] ^= 1;
            made_up_sign_meta(page_at(page));
            assert_int_equal(judge(why), BOLT_DAMAGED);
            memcpy(page_at(page), before, sizeof(before));
        }
}

static void test_each_field(void **state)
{
    char why[160];

    (void)state;
    for (seed = 1; seed <= DATABASES; seed++) {
        made_up_make(&db, seed);
        /* A reference to an older state of a page cannot be told from the right one. */
        for (uint64_t page = 2; page < db.n_pages; page++)
            if (!db.used[page])
                memset(page_at(page), 0, db.page_size);
        break_metas();
        for (uint64_t page = 2; page < db.n_pages; page++)
            if (db.used[page] == 1)
                break_page(page);
        assert_int_equal(judge(why), BOLT_SOUND); /* all was put back */
        made_up_release(&db);
    }
    assert_true(n_tried > TRIED_MIN);
}

/* What no tree reaches may hold anything. */
static void test_free_pages(void **state)
{
    char why[160];

    (void)state;
    for (seed = 1; seed <= DATABASES; seed++) {
        uint64_t random = seed;

        made_up_make(&db, seed);
        for (uint64_t page = 2; page < db.n_pages; page++)
            for (size_t at = 0; at < db.page_size && !db.used[page]; at++)
                page_at(page)[at] = (uint8_t)made_up_random(&random, 256);
        assert_int_equal(judge(why), BOLT_SOUND);
        made_up_release(&db);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_field), cmocka_unit_test(test_free_pages)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
