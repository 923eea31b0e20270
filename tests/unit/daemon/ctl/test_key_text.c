/* Keys and values of any bytes and any length as text, and back. */
#include "expect.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ctl/key_text.h"

enum { LEN_MAX = 10000, ROOM = 4 * LEN_MAX + 3 };

static uint8_t bytes[LEN_MAX];
static char told[ROOM], wanted[ROOM];

/* What is written of the last so many of the bytes. */
static void write_text(void (*put)(FILE *out, struct bytes bytes), size_t len)
{
    FILE *out = fmemopen(told, sizeof(told), "w");

    assert_non_null(out);
    told[0] = '\0'; /* should nothing be written */
    put(out, (struct bytes){len ? bytes + LEN_MAX - len : NULL, len});
    assert_int_equal(fclose(out), 0);
}

/* All the short ones, and those around the ends of what is written at once. */
static size_t next_length(size_t len)
{
    static const size_t ranges[][2] = {{0, 50}, {3060, 3080}, {6135, 6155}};

    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (len + 97 > ranges[i][0] && len < ranges[i][1])
            return len + 1;
    return len + 97;
}

static void test_base64(void **state)
{
    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len = next_length(len)) {
        write_text(key_text_base64, len);
        (void)sodium_bin2base64(wanted, sizeof(wanted), bytes + LEN_MAX - len, len, sodium_base64_VARIANT_ORIGINAL);
        assert_string_equal(told, wanted);
    }
}

/* As Go reads it, and a shell that reads a document until a line END. */
static void expect_quoted(size_t len)
{
    char *to = wanted;

    *to++ = '"';
    for (size_t i = LEN_MAX - len; i < LEN_MAX; i++) {
        bool is_text = bytes[i] >= ' ' && bytes[i] <= '~' && !strchr("\"\\", bytes[i]);

        to += sprintf(to, is_text ? "%c" : "\\x%02x", bytes[i]);
    }
    (void)strcpy(to, "\"");
    write_text(key_text_quote, len);
    assert_string_equal(told, wanted);
}

static void test_quote(void **state)
{
    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len = next_length(len))
        expect_quoted(len);
}

/* What is written at once ends before, within and behind the last byte, which takes four. */
static void test_quote_to_the_end(void **state)
{
    (void)state;
    memset(bytes, 'a', LEN_MAX - 1);
    bytes[LEN_MAX - 1] = 0xFF;
    for (size_t len = 4000; len < 4200; len++)
        expect_quoted(len);
}

static void test_there_and_back(void **state)
{
    uint8_t back[ROOM];
    size_t len_back;

    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len = next_length(len)) {
        write_text(key_text_put, len);
        for (const char *c = told; *c; c++)
            assert_true((uint8_t)*c >= ' ' && *c != 0x7F);
        assert_true(key_text_read(told, back, &len_back));
        assert_int_equal(len_back, len);
        assert_memory_equal(back, bytes + LEN_MAX - len, len);
    }
}

static int set_up(void **state)
{
    static const uint8_t seed[randombytes_SEEDBYTES] = "key text";

    (void)state;
    if (sodium_init() < 0)
        return -1;
    randombytes_buf_deterministic(bytes, sizeof(bytes), seed);
    for (size_t i = 0; i < LEN_MAX; i += 3) /* as much text as bytes that are none */
        bytes[i] = (uint8_t)(' ' + bytes[i] % 95);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_base64), cmocka_unit_test(test_quote),
            cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_quote_to_the_end)};

    return cmocka_run_group_tests(tests, set_up, NULL);
}
