/* JSON that is written: quoting, what is no UTF-8, and the numbers at the ends of their ranges. */
#include "expect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

static char *text;
static size_t text_len;
static FILE *out;

static int begin(void **state)
{
    (void)state;
    out = open_memstream(&text, &text_len);
    return out ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    (void)fclose(out);
    free(text);
    return 0;
}

static const char *written(void)
{
    (void)fflush(out);
    return text;
}

static void expect_quoted(const char *in, const char *expected)
{
    (void)fflush(out);
    size_t before = text_len;

    json_string(out, in);
    assert_string_equal(written() + before, expected);
}

static void test_strings(void **state)
{
    (void)state;
    expect_quoted("", "\"\"");
    expect_quoted("plain /", "\"plain /\"");
    expect_quoted("\"\\", "\"\\\"\\\\\"");
    expect_quoted("\xc3\xbc \xe6\x97\xa5 \xf0\x9f\x98\x80", "\"\xc3\xbc \xe6\x97\xa5 \xf0\x9f\x98\x80\"");
    /* Each byte that begins no character is replaced, and what follows is read anew. */
    expect_quoted("a\xff\xc3", "\"a\\ufffd\\ufffd\"");
    expect_quoted("\xc3(", "\"\\ufffd(\"");
    /* C1 drives terminals, as ESC does; the next is a space. */
    expect_quoted("\xc2\x80\xc2\x9b"
                  "2J\xc2\x9f\xc2\xa0",
            "\"\\u0080\\u009b2J\\u009f\xc2\xa0\"");
}

/* No byte below 0x20 goes out as it is (RFC 8259, section 7). */
static void test_control_characters(void **state)
{
    (void)state;
    for (char c = 1; c < 0x20; c++) {
        char in[] = {'x', c, 'y', '\0'};
        const char *said;

        (void)fflush(out);
        size_t before = text_len;

        json_string(out, in);
        said = written() + before;
        assert_memory_equal(said, "\"x\\", 3);
        assert_string_equal(said + strlen(said) - 2, "y\"");
        for (const char *p = said; *p; p++)
            assert_true((unsigned char)*p >= 0x20);
    }
}

static void test_object(void **state)
{
    bool first = true;

    (void)state;
    json_text(out, &first, "a", "b");
    assert_false(first);
    json_number(out, &first, "most", UINT64_MAX);
    json_signed(out, &first, "least", INT64_MIN);
    json_bool(out, &first, "yes", true);
    json_bool(out, &first, "no", false);
    json_instant(out, &first, "never", 0);
    json_instant(out, &first, "then", 1733520145);
    json_name(out, &first, "inner");
    assert_string_equal(written(), "{\"a\":\"b\",\"most\":18446744073709551615,\"least\":-9223372036854775808,"
                                   "\"yes\":true,\"no\":false,\"never\":null,\"then\":\"2024-12-06T21:22:25Z\","
                                   "\"inner\":");
}

/* RFC 3629, section 4: neither overlong forms, nor surrogates, nor what lies beyond U+10FFFF, nor what is cut off. */
static void test_characters(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
            {"a", 1},
            {"\x7f", 1},
            {"\xc2\x80", 2},
            {"\xdf\xbf", 2},
            {"\xe0\xa0\x80", 3},
            {"\xed\x9f\xbf", 3},
            {"\xee\x80\x80", 3},
            {"\xef\xbf\xbf", 3},
            {"\xf0\x90\x80\x80", 4},
            {"\xf4\x8f\xbf\xbf", 4},
            {"\x80", 0},
            {"\xbf", 0},
            {"\xc0\x80", 0},
            {"\xc1\xbf", 0},
            {"\xe0\x9f\xbf", 0},
            {"\xed\xa0\x80", 0},
            {"\xed\xbf\xbf", 0},
            {"\xf0\x8f\xbf\xbf", 0},
            {"\xf4\x90\x80\x80", 0},
            {"\xf5\x80\x80\x80", 0},
            {"\xff", 0},
            {"\xc3", 0},
            {"\xe6\x97", 0},
            {"\xf0\x9f\x98", 0},
            {"\xc3"
             "a",
                    0},
            {"\xe6\x97"
             "a",
                    0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(utf8_len(cases[i].bytes), cases[i].len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_strings, begin, end),
            cmocka_unit_test_setup_teardown(test_control_characters, begin, end),
            cmocka_unit_test_setup_teardown(test_object, begin, end),
            cmocka_unit_test(test_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
