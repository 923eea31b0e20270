/* A file that nobody's bbolt wrote: pages within each other, so that a small one would hold any amount of values. */
#include "bolt/file.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "made_up.h"

enum { PAGE = 4096, LEAVES = 100, FIRST_LEAF = 4, HEADER = 16, ELEMENT = 16, KEY_LEN = 3 };

static void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &(uint32_t){htole32(v)}, sizeof(v));
}

/* The number is below 256, as is that of the elements. */
static void put_header(uint8_t *page, size_t number, uint8_t type, uint8_t n, size_t overflow)
{
    memset(page, 0, HEADER);
    page[0] = (uint8_t)number;
    page[8] = type;
    page[10] = n;
    put32(page + 12, (uint32_t)overflow);
}

static void put_key(uint8_t *at, size_t i)
{
    at[0] = 'k';
    at[1] = (uint8_t)('0' + i / 10);
    at[2] = (uint8_t)('0' + i % 10);
}

/* One element, whose value is all that is left up to page `end`, the pages behind this one with it. */
static void put_leaf(uint8_t *bytes, size_t i, size_t end)
{
    size_t number = FIRST_LEAF + i;
    uint8_t *page = bytes + number * PAGE, *element = page + HEADER;

    put_header(page, number, 0x02, 1, end - number - 1);
    memset(element, 0, ELEMENT);
    put32(element + 4, ELEMENT);
    put32(element + 8, KEY_LEN);
    put32(element + 12, (uint32_t)((end - number) * PAGE - HEADER - ELEMENT - KEY_LEN));
    put_key(element + ELEMENT, i);
}

static void put_branch(uint8_t *bytes)
{
    uint8_t *page = bytes + 3 * (size_t)PAGE;

    put_header(page, 3, 0x01, LEAVES, 0);
    for (size_t i = 0; i < LEAVES; i++) {
        uint8_t *element = page + HEADER + i * ELEMENT, *key = page + HEADER + LEAVES * ELEMENT + i * KEY_LEN;

        memset(element, 0, ELEMENT);
        put32(element, (uint32_t)(key - element));
        put32(element + 4, KEY_LEN);
        element[8] = (uint8_t)(FIRST_LEAF + i);
        put_key(key, i);
    }
}

static void put_root(uint8_t *bytes)
{
    uint8_t *page = bytes + 2 * (size_t)PAGE, *element = page + HEADER;

    put_header(page, 2, 0x02, 1, 0);
    put32(element, 1);
    put32(element + 4, ELEMENT);
    put32(element + 8, 3);
    put32(element + 12, 16);
    memcpy(element + ELEMENT, "key\3", 4);
}

/* How many entries are handed out before the end, or an error; and their bytes. */
static int read_all(uint8_t *bytes, size_t len, unsigned *n, uint64_t *read, struct err *e)
{
    struct bolt_file f;
    struct bolt_bucket root, keys;
    struct bolt_cursor c;
    struct bolt_entry entry;
    int more;

    *n = 0;
    *read = 0;
    expect_success(bolt_file_open(&f, (struct bytes){bytes, len}, e) == 0, e);
    root = bolt_file_root(&f);
    expect_success(bolt_bucket_find(&root, "key", &keys, e) == 1, e);
    if (bolt_cursor_start(&c, &keys, e) < 0)
        return -1;
    for (; (more = bolt_cursor_next(&c, &entry, e)) > 0; ++*n)
        *read += entry.key.len + entry.value.len;
    return more;
}

static void test_pages_within_pages(void **state)
{
    const size_t len = (FIRST_LEAF + LEAVES) * (size_t)PAGE;
    uint8_t *bytes = calloc(1, len);
    struct err e = ERR_INIT;
    unsigned n;
    uint64_t read;

    (void)state;
    assert_non_null(bytes);
    made_up_frame(bytes, len);
    put_root(bytes);
    put_branch(bytes);
    for (size_t i = 0; i < LEAVES; i++)
        put_leaf(bytes, i, FIRST_LEAF + i + 1);
    expect_success(read_all(bytes, len, &n, &read, &e) == 0, &e); /* each of a page */
    assert_int_equal(n, LEAVES);
    for (size_t i = 0; i < LEAVES; i++)
        put_leaf(bytes, i, FIRST_LEAF + LEAVES);
    assert_int_equal(read_all(bytes, len, &n, &read, &e), -1);
    assert_int_equal(e.kind, ERR_INTEGRITY);
    assert_string_equal(e.text, "page 5: it is reached twice");
    assert_true(read <= len);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pages_within_pages)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
