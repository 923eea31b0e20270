/* Rows that fit: what is left out, at which width. */
#include "expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/table.h"

static const struct table_column columns[] = {
        {"ID", 4, false, 0},
        {"SIZE", 6, true, 1},
        {"KIND", 5, false, 2},
        {"NAME", 8, false, 3},
};

static const char *const cells[] = {"a", "12", "x", "prefix-a"};

static void expect_row(const char *const *row, unsigned width, const char *text, bool is_whole)
{
    char *got = NULL;
    size_t len;
    FILE *out = open_memstream(&got, &len);

    assert_non_null(out);
    assert_int_equal(table_row(out, columns, ARRAY_LEN(columns), row, width), is_whole);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(got, text);
    free(got);
}

static void test_widths(void **state)
{
    (void)state;
    expect_row(cells, 0, "a         12  x      prefix-a\n", true); /* no terminal */
    expect_row(NULL, 0, "ID      SIZE  KIND   NAME\n", true);
    expect_row(cells, 29, "a         12  x      prefix-a\n", true);
    expect_row(cells, 28, "a         12  x\n", false);
    expect_row(NULL, 19, "ID      SIZE  KIND\n", false);
    expect_row(cells, 18, "a         12\n", false);
    expect_row(cells, 12, "a         12\n", false);
    expect_row(cells, 11, "a\n", false);
    expect_row(cells, 1, "a\n", false); /* what stays stays */
    expect_row((const char *const[]){"a", "12", "longer than its column", "n"}, 29,
            "a         12  longer than its column  n\n", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_widths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
