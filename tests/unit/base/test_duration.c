#include "expect.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/duration.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static void what_people_write(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
            {"0", 0},
            {"0s", 0},
            {"300ms", 300},
            {"90s", 90 * SECOND},
            {"1m", MINUTE},
            {"1m0s", MINUTE}, /* as Go prints it */
            {"1h30m", 90 * MINUTE},
            {"1.5h", 90 * MINUTE},
            {".5s", 500},
            {"1.s", SECOND},
            {"1.0009s", SECOND}, /* finer than a millisecond: down */
            {"0.0000001y", 3153},
            /* All that Go takes. */
            {"+1s", SECOND},
            {"+0", 0},
            {"-0", 0},
            {"-0s", 0},
            {"1500us", 1},
            {"1\xc2\xb5s", 1}, /* what is not nothing is no nothing */
            {"1\xce\xbcs", 1},
            {"1ns", 1},
            {"0ns", 0},
            {"999999ns", 1},
            {"600000us400000000ns", SECOND},
            {"1h0.5m0.25s10ms", HOUR + 30 * SECOND + 260},
            {"0.000000001s", 1},
            {"0.333333333333333333333333h", 20 * MINUTE - 1},
            {"9223372036854775807.9ms", INT64_MAX},
            {"15d", 15 * DAY},
            {"10w", 70 * DAY},
            {"1y", 365 * DAY},
            {"1y2w3d4h5m6s7ms", 365 * DAY + 17 * DAY + 4 * HOUR + 5 * MINUTE + 6 * SECOND + 7},
            {"30m1h", 90 * MINUTE},
            {"007s", 7 * SECOND},
            {"9223372036854775807ms", INT64_MAX},
            {"292471208y", UINT64_C(292471208) * 365 * DAY},
    };
    struct err e = ERR_INIT;
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ms = UINT64_MAX;
        expect_success(duration_parse(cases[i].text, &ms, &e) == 0, &e);
        assert_true(ms == cases[i].ms);
    }
    assert_int_equal(e.kind, ERR_NONE);
}

static void what_is_none(void **state)
{
    static const char *const cases[] = {
            "",
            " ",
            "15",
            "15x",
            "x",
            "s",
            ".s",
            ".",
            "+-1s",
            "+",
            "-",
            "1n",
            "1u",
            "1\xc2\xb5",
            "1 s",
            " 1s",
            "1s ",
            "1h 30m",
            "1h30",
            "1.5.5s",
            "1S",
            "1M",
            "1e3s",
            "0x1s",
            "00",
            "9223372036854775808ms",
            "18446744073709551616ms",
            "99999999999999999999s",
            "292471209y",
            "18446744073709551615y",
            "9223372036854775807ms1ms",
            "9223372036854775807.9ms1ms",
            "9223372036854775807.5s",
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;
        uint64_t ms = 42;

        assert_int_equal(duration_parse(cases[i], &ms, &e), -1);
        (void)snprintf(text, sizeof(text), "'%s' is not a duration (examples: 90s, 1m, 1h30m, 15d, 10w, 1y)", cases[i]);
        expect_error(&e, ERR_CONFIG, text);
        assert_int_equal(ms, 42);
    }
}

static void what_is_less_than_nothing(void **state)
{
    struct err e = ERR_INIT;
    uint64_t ms = 42;

    (void)state;
    assert_int_equal(duration_parse("-1m", &ms, &e), -1);
    expect_error(&e, ERR_CONFIG, "'-1m' is less than nothing");
    assert_int_equal(ms, 42);
}

static void a_long_text_does_not_push_out_the_message(void **state)
{
    char text[2000];
    struct err e = ERR_INIT;
    uint64_t ms;

    (void)state;
    memset(text, '9', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(duration_parse(text, &ms, &e), -1);
    assert_non_null(strstr(e.text, "' is not a duration"));
}

static void how_they_are_shown(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
            {0, "0ms"},
            {1, "1ms"},
            {999, "999ms"},
            {1000, "1.0s"},
            {4299, "4.2s"},
            {59999, "59.9s"},
            {MINUTE, "1m"},
            {MINUTE + 999, "1m"},
            {MINUTE + SECOND, "1m1s"},
            {90 * MINUTE, "1h30m"},
            {HOUR + 59 * SECOND, "1h"},
            {DAY - 1, "23h59m"},
            {DAY, "1d"},
            {15 * DAY, "15d"},
            {70 * DAY, "70d"},
            {365 * DAY - 1, "364d23h"},
            {365 * DAY, "1y"},
            {400 * DAY + 5 * HOUR, "1y35d"},
            {UINT64_MAX, "584942417y129d"},
    };
    char text[DURATION_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(duration_format(cases[i].ms, text), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_people_write),
            cmocka_unit_test(what_is_none),
            cmocka_unit_test(what_is_less_than_nothing),
            cmocka_unit_test(a_long_text_does_not_push_out_the_message),
            cmocka_unit_test(how_they_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
