#include "expect.h"

#include "base/cleanup.h"
#include "base/size.h"

static void what_people_write(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
            {"0", 0},
            {"1048576", 1048576},
            {"1048576B", 1048576},
            {"512KiB", 524288},
            {"8MiB", 8388608},
            {"5GiB", UINT64_C(5) << 30},
            {"1TiB", UINT64_C(1) << 40},
            {"1kB", 1000},
            {"1KB", 1000},
            {"16MB", 16000000},
            {"3GB", UINT64_C(3000000000)},
            {"2TB", UINT64_C(2000000000000)},
            {"007MiB", 7 << 20},
            {"18446744073709551615", UINT64_MAX},
            {"16777215TiB", UINT64_C(16777215) << 40},
    };
    struct err e = ERR_INIT;
    uint64_t bytes;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bytes = 42;
        expect_success(size_parse(cases[i].text, &bytes, &e) == 0, &e);
        assert_true(bytes == cases[i].bytes);
    }
    assert_int_equal(e.kind, ERR_NONE);
}

static void what_is_none(void **state)
{
    static const char *const cases[] = {
            "",
            "B",
            "MiB",
            "8 MiB",
            " 8MiB",
            "8MiB ",
            "8mib",
            "8M",
            "8Mi",
            "8MiBx",
            "1.5GiB",
            "-1",
            "+1",
            "0x10",
            "18446744073709551616",
            "99999999999999999999999MiB",
            "16777216TiB",
            "18446744073709552KB",
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;
        uint64_t bytes = 42;

        assert_int_equal(size_parse(cases[i], &bytes, &e), -1);
        (void)snprintf(text, sizeof(text), "'%s' is not a size (examples: 8MiB, 512KiB, 1GiB)", cases[i]);
        expect_error(&e, ERR_CONFIG, text);
        assert_int_equal(bytes, 42);
    }
}

static void how_they_are_shown(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
            {0, "0 B"},
            {999, "999 B"},
            {1023, "1023 B"},
            {1024, "1.0 KiB"},
            {1536, "1.5 KiB"},
            {1048575, "1.0 MiB"}, /* not "1024.0 KiB" */
            {1048576, "1.0 MiB"},
            {UINT64_C(1224065679), "1.14 GiB"},
            {UINT64_C(1) << 40, "1.00 TiB"},
            {UINT64_MAX, "16.00 EiB"},
    };
    char text[SIZE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(size_format(cases[i].bytes, text), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_people_write),
            cmocka_unit_test(what_is_none),
            cmocka_unit_test(how_they_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
