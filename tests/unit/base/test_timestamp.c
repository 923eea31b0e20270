#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/timestamp.h"

static const int64_t first = -62135596800, last = 253402300799; /* of the years 0001 and 9999 */

static void instants_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        int64_t instant;
    } cases[] = {
            {"1970-01-01T00:00:00Z", 0},
            {"1969-12-31T23:59:59Z", -1},
            {"2024-12-06T21:22:25Z", 1733520145},
            {"2024-02-29T12:00:00Z", 1709208000},
            {"2000-02-29T23:59:59Z", 951868799},
            {"2100-03-01T00:00:00Z", 4107542400},
            {"2038-01-19T03:14:08Z", INT64_C(2147483648)},
            {"0001-01-01T00:00:00Z", -62135596800},
            {"9999-12-31T23:59:59Z", 253402300799},
    };
    char text[TIMESTAMP_TEXT_MAX];
    struct err e = ERR_INIT;
    int64_t instant;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_success(timestamp_parse(cases[i].text, strlen(cases[i].text), &instant, &e) == 0, &e);
        assert_int_equal(instant, cases[i].instant);
        assert_string_equal(timestamp_format(instant, text), cases[i].text);
    }
}

static void offsets_name_the_same_instant(void **state)
{
    static const char *const spellings[] = {
            "2024-12-06T21:22:25Z",
            "2024-12-06T21:22:25+00:00",
            "2024-12-06T21:22:25-00:00",
            "2024-12-06T16:22:25-05:00",
            "2024-12-07T02:52:25+05:30",
            "2024-12-07T21:21:25+23:59",
            "2024-12-05T21:23:25-23:59",
    };
    struct err e = ERR_INIT;
    int64_t instant;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        expect_success(timestamp_parse(spellings[i], strlen(spellings[i]), &instant, &e) == 0, &e);
        assert_int_equal(instant, 1733520145);
    }
}

static void near_misses_are_refused(void **state)
{
    static const char *const cases[] = {
            "",
            "Z",
            "2024-12-06",
            "2024-12-06T21:22:25",
            "2024-12-06T21:22:25z",
            "2024-12-06t21:22:25Z",
            "2024-12-06 21:22:25Z",
            "2024-12-06T21:22Z",
            "2024-12-06T21:22:25.5Z",
            "2024-12-06T21:22:25ZZ",
            "2024-12-06T21:22:25Z ",
            " 2024-12-06T21:22:25Z",
            "2024-12-6T21:22:25Z",
            "24-12-06T21:22:25Z00",
            "2024/12/06T21:22:25Z",
            "2024-12-06T21-22-25Z",
            "2024-00-06T21:22:25Z",
            "2024-13-06T21:22:25Z",
            "2024-12-00T21:22:25Z",
            "2024-12-32T21:22:25Z",
            "2024-11-31T21:22:25Z",
            "2023-02-29T21:22:25Z",
            "1900-02-29T21:22:25Z",
            "2024-12-06T24:00:00Z",
            "2024-12-06T21:60:25Z",
            "2024-12-06T23:59:60Z", /* the leap second, which Go refuses too */
            "0000-12-06T21:22:25Z",
            "+024-12-06T21:22:25Z",
            "-024-12-06T21:22:25Z",
            "2024-12-06T21:22:25+05",
            "2024-12-06T21:22:25+0500",
            "2024-12-06T21:22:25+05:0",
            "2024-12-06T21:22:25+05:00Z",
            "2024-12-06T21:22:25+24:00",
            "2024-12-06T21:22:25+05:60",
            "2024-12-06T21:22:25 05:00",
            "2024-12-06T21:22:25+-5:00",
            "2O24-12-06T21:22:25Z",
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;
        int64_t instant = 42;

        assert_int_equal(timestamp_parse(cases[i], strlen(cases[i]), &instant, &e), -1);
        (void)snprintf(
                text, sizeof(text), "'%s' is not a time stamp of RFC 3339 (example: 2024-12-06T21:22:25Z)", cases[i]);
        expect_error(&e, ERR_CONFIG, text);
        assert_int_equal(instant, 42);
    }
}

/* Not one byte more is looked at: the text stands in a block of exactly its length. */
static void the_length_is_obeyed(void **state)
{
    static const char text[] = "2024-12-06T21:22:25+02:00";
    struct err e = ERR_INIT;
    int64_t instant;

    (void)state;
    for (size_t len = 0; len < sizeof(text); len++) {
        _cleanup_free_ char *copy = malloc(len + 1);

        assert_non_null(copy);
        copy = realloc(copy, len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, text, len);
        assert_int_equal(timestamp_parse(copy, len, &instant, &e), len == 25 ? 0 : -1);
    }
}

static void every_day_of_four_centuries_agrees_with_libc(void **state)
{
    char ours[TIMESTAMP_TEXT_MAX], libc[64];
    struct err e = ERR_INIT;
    int64_t back;

    (void)state;
    for (int64_t day = 0; day < 146097; day++) {
        time_t t = day * 86400 + day % 86400;
        struct tm tm;

        assert_non_null(gmtime_r(&t, &tm));
        assert_int_not_equal(strftime(libc, sizeof(libc), "%Y-%m-%dT%H:%M:%SZ", &tm), 0);
        assert_string_equal(timestamp_format(t, ours), libc);
        assert_int_equal(timestamp_parse(ours, TIMESTAMP_TEXT_LEN, &back, &e), 0);
        assert_int_equal(back, t);
    }
}

static void outside_the_range_the_nearest_end_is_written(void **state)
{
    char text[TIMESTAMP_TEXT_MAX];

    (void)state;
    assert_string_equal(timestamp_format(INT64_MIN, text), "0001-01-01T00:00:00Z");
    assert_string_equal(timestamp_format(first - 1, text), "0001-01-01T00:00:00Z");
    assert_string_equal(timestamp_format(last + 1, text), "9999-12-31T23:59:59Z");
    assert_string_equal(timestamp_format(INT64_MAX, text), "9999-12-31T23:59:59Z");
}

static void now_is_the_wall_clock(void **state)
{
    time_t before = time(NULL), after;
    int64_t now = timestamp_now();

    (void)state;
    after = time(NULL);
    assert_true(now >= before - 1 && now <= after + 1); /* time() is cut to the last tick */
}

/* As other tools print them. */
static void as_people_bring_them(void **state)
{
    static const char *const good[] = {
            "2024-12-06T21:22:25Z",
            "2024-12-06t21:22:25z",
            "2024-12-06T21:22:25.000Z",
            "2024-12-06T21:22:25.0z",
            "2024-12-06T21:22:25.000000000+00:00",
            "2024-12-06 21:22:25Z",
            "2024-12-06 22:22:25+01:00",
            "2024-12-06T22:22:25+0100",
            "2024-12-06T16:22:25.00-05:00",
            "2024-12-06T16:22:25-0500",
    };
    static const char *const bad[] = {
            "",
            "2024-12-06",
            "2024-12-06T21:22:25",
            "2024-12-06T21:22:25.Z",
            "2024-12-06T21:22:25.000",
            "2024-12-06x21:22:25Z",
            "2024-12-06T21:22:25.5Z",
            "2024-12-06T21:22:25.0001Z",
            "2024-12-06T21:22:25,000Z",
            "2024-12-06T21:22:25ZZ",
            "2024-12-06T21:22:25+1:00",
            "2024-12-06T21:22:25+01:000",
            "2024-12-06T21:22:25.000+01:00Z",
            "2024-02-31T21:22:25Z",
            "2024-12-06T21:22:25.0Z.dump",
            "2024-12-06  21:22:25Z",
            "Fri, 06 Dec 2024 21:22:25 GMT",
    };
    int64_t instant;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err e = ERR_INIT;

        instant = 0;
        expect_success(timestamp_read(good[i], &instant, &e) == 0, &e);
        assert_int_equal(instant, 1733520145);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = ERR_INIT;

        assert_int_equal(timestamp_read(bad[i], &instant, &e), -1);
        assert_int_equal(e.kind, ERR_CONFIG);
        assert_non_null(strstr(e.text, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(instants_are_read_and_written),
            cmocka_unit_test(offsets_name_the_same_instant),
            cmocka_unit_test(near_misses_are_refused),
            cmocka_unit_test(the_length_is_obeyed),
            cmocka_unit_test(every_day_of_four_centuries_agrees_with_libc),
            cmocka_unit_test(outside_the_range_the_nearest_end_is_written),
            cmocka_unit_test(now_is_the_wall_clock),
            cmocka_unit_test(as_people_bring_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
