#include "expect.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cron.h"
#include "base/timestamp.h"

static int64_t at(const char *text)
{
    struct err e = ERR_INIT;
    int64_t instant;

    expect_success(timestamp_parse(text, strlen(text), &instant, &e) == 0, &e);
    return instant;
}

static struct cron parsed(const char *line)
{
    struct err e = ERR_INIT;
    struct cron c;

    expect_success(cron_parse(line, &c, &e) == 0, &e);
    return c;
}

static void when_a_line_is_due(void **state)
{
    static const struct {
        const char *line, *after, *next;
    } cases[] = {
            {"0 */6 * * *", "2026-11-23T00:00:00Z", "2026-11-23T06:00:00Z"},
            {"0 */6 * * *", "2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z"},
            {"0 */6 * * *", "2026-11-23T00:00:01Z", "2026-11-23T06:00:00Z"},
            {"* * * * *", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z"},
            {"* * * * *", "2026-12-31T23:58:59Z", "2026-12-31T23:59:00Z"},
            {" 5\t4  * * * ", "2026-01-01T00:00:00Z", "2026-01-01T04:05:00Z"},
            {"0-10/5,59 23 * * *", "2026-01-01T23:10:00Z", "2026-01-01T23:59:00Z"},
            {"50/5 0 * * *", "2026-01-01T00:50:00Z", "2026-01-01T00:55:00Z"}, /* N/S: to the end */
            {"50/5 0 * * *", "2026-01-01T00:55:00Z", "2026-01-02T00:50:00Z"},
            {"0 0 29 2 *", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},
            {"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},   /* 2100 is no leap year */
            {"0 0 29 2 */7", "2088-02-29T00:00:00Z", "2128-02-29T00:00:00Z"}, /* Sundays */
            {"0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"},
            {"0 0 * * MON", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"},
            {"0 0 * * 0", "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"},
            {"0 0 * * 7", "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"},
            {"0 0 * * fri-sun", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"},
            {"0 0 * * 5-7", "2026-11-29T00:00:00Z", "2026-12-04T00:00:00Z"},
            {"0 0 * * 6/1", "2026-11-28T00:00:00Z", "2026-12-05T00:00:00Z"}, /* does not go on to the 7 */
            {"0 0 * * 7/1", "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"},
            {"0 0 1 feb,NoV *", "2026-11-01T00:00:00Z", "2027-02-01T00:00:00Z"},
            {"0 0 13 * FRI", "2026-11-23T00:00:00Z", "2026-11-27T00:00:00Z"}, /* either of them ... */
            {"0 0 13 * FRI", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"},
            {"0 0 */13 * FRI", "2026-11-23T00:00:00Z",
                    "2026-11-27T00:00:00Z"}, /* ... and with a star both: 1, 14, 27 */
            {"0 0 */13 * FRI", "2026-11-27T00:00:00Z", "2027-01-01T00:00:00Z"},
            {"0 0 30 2 FRI", "2026-11-23T00:00:00Z", "2027-02-05T00:00:00Z"}, /* never by date, but by weekday */
            {"@hourly", "2026-11-23T00:00:00Z", "2026-11-23T01:00:00Z"},
            {"@daily", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"},
            {"@midnight", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"},
            {"@weekly", "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"},
            {"@Monthly", "2026-11-23T00:00:00Z", "2026-12-01T00:00:00Z"},
            {"@yearly", "2026-11-23T00:00:00Z", "2027-01-01T00:00:00Z"},
            {"@annually", "2026-11-23T00:00:00Z", "2027-01-01T00:00:00Z"},
            {"0 0 1 1 *", "1969-06-01T00:00:00Z", "1970-01-01T00:00:00Z"},
            {"* * * * *", "1969-12-31T23:58:30Z", "1969-12-31T23:59:00Z"},
    };
    char got[TIMESTAMP_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cron c = parsed(cases[i].line);

        timestamp_format(cron_next(&c, at(cases[i].after)), got);
        if (strcmp(got, cases[i].next) != 0)
            fail_msg("'%s' after %s: %s instead of %s", cases[i].line, cases[i].after, got, cases[i].next);
    }
}

static void what_is_no_cron_line(void **state)
{
    static const struct {
        const char *line, *why;
    } cases[] = {
            {"", "the minute is missing"},
            {" \t", "the minute is missing"},
            {"0 0 * *", "the day of week is missing"},
            {"0 0 * * * *", "more than five fields"},
            {"0 0 * * *\n", "day of week: '*?' is not one of 0-7 or SUN-SAT"},
            {"@reboot",
                    "of words there are @hourly, @daily, @weekly, @monthly and @yearly; for every so many hours use "
                    "schedule.interval"},
            {"@every 6h",
                    "of words there are @hourly, @daily, @weekly, @monthly and @yearly; for every so many hours use "
                    "schedule.interval"},
            {"60 * * * *", "minute: '60' is not one of 0-59"},
            {"-1 * * * *", "minute: '-1' is not one of 0-59"},
            {"0 24 * * *", "hour: '24' is not one of 0-23"},
            {"0 0 0 * *", "day of month: '0' is not one of 1-31"},
            {"0 0 32 * *", "day of month: '32' is not one of 1-31"},
            {"0 0 * 0 *", "month: '0' is not one of 1-12 or JAN-DEC"},
            {"0 0 * 13 *", "month: '13' is not one of 1-12 or JAN-DEC"},
            {"0 0 * JA *", "month: 'JA' is not one of 1-12 or JAN-DEC"},
            {"0 0 * JANU *", "month: 'JANU' is not one of 1-12 or JAN-DEC"},
            {"0 0 * * 8", "day of week: '8' is not one of 0-7 or SUN-SAT"},
            {"0 0 * * MON-", "day of week: 'MON-' does not end with one of 0-7 or SUN-SAT"},
            {"0 0 * * *-3", "day of week: '*-3' is not one of 0-7 or SUN-SAT"},
            {"1-2-3 * * * *", "minute: '1-2-3' is not one of 0-59"},
            {"MON * * * *", "minute: 'MON' is not one of 0-59"},
            {"1,,2 * * * *", "minute: '' is not one of 0-59"},
            {"1, * * * *", "minute: '' is not one of 0-59"},
            {", * * * *", "minute: '' is not one of 0-59"},
            {"0 0,22-4 * * *", "hour: '22-4' runs backwards"},
            {"0 0-99 * * *", "hour: '0-99' does not end with one of 0-23"},
            {"*/0 * * * *", "minute: '*/0' has a step that is no number from 1 to the field's last"},
            {"*/90 * * * *", "minute: '*/90' has a step that is no number from 1 to the field's last"},
            {"*/ * * * *", "minute: '*/' has a step that is no number from 1 to the field's last"},
            {"*/x * * * *", "minute: '*/x' has a step that is no number from 1 to the field's last"},
            {"*/5/5 * * * *", "minute: '*/5/5' is not one of 0-59"},
            {"4294967296 * * * *", "minute: '4294967296' is not one of 0-59"},
            {"18446744073709551616 * * * *", "minute: '18446744073709551616' is not one of 0-59"},
            {"*/4294967297 * * * *", "minute: '*/4294967297' has a step that is no number from 1 to the field's last"},
            {"0 0 30 2 *", "no such day of month ever comes in such a month"},
            {"0 0 31 2,4,6,9,11 *", "no such day of month ever comes in such a month"},
            {"0 0 31 4 */2", "no such day of month ever comes in such a month"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cron c, untouched;
        struct err e = ERR_INIT, expected = ERR_INIT;

        memset(&c, 0x55, sizeof(c));
        untouched = c;
        if (cron_parse(cases[i].line, &c, &e) != -1)
            fail_msg("'%s' is taken", cases[i].line);
        err_set(&expected, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "'%s' is not a cron line: %s", cases[i].line, cases[i].why);
        expect_error(&e, ERR_CONFIG, expected.text);
        assert_true(c.minutes == untouched.minutes && c.days == untouched.days);
    }
}

static void the_ends_of_time(void **state)
{
    struct cron c = parsed("* * * * *"), yearly = parsed("@yearly");

    (void)state;
    assert_true(cron_next(&c, INT64_MAX) == INT64_MAX);
    assert_true(cron_next(&c, at("9999-12-31T23:59:00Z")) == INT64_MAX);
    assert_true(cron_next(&c, at("9999-12-31T23:58:59Z")) == at("9999-12-31T23:59:00Z"));
    assert_true(cron_next(&yearly, at("9999-01-01T00:00:00Z")) == INT64_MAX);
    assert_true(cron_next(&c, INT64_MIN) == at("0001-01-01T00:00:00Z"));
    assert_true(cron_next(&c, at("0001-01-01T00:00:00Z")) == at("0001-01-01T00:01:00Z"));
}

/* A small generator, so that a failure can be repeated. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static unsigned from_to(uint32_t *seed, unsigned low, unsigned high)
{
    return low + next_random(seed) % (high - low + 1);
}

/* What a random line means, told by whoever made it up and not by what reads it. */
struct meaning {
    bool is_in[5][60];
    bool begins_with_star[5];
};

static const unsigned lows[5] = {0, 0, 1, 1, 0}, highs[5] = {59, 23, 31, 12, 6};
static const char *const months[] = {
        "", "Jan", "FEB", "mar", "Apr", "MAY", "jun", "Jul", "AUG", "sep", "Oct", "NOV", "dec"};
static const char *const weekdays[] = {"Sun", "MON", "tue", "Wed", "THU", "fri", "Sat"};

static void write_value(FILE *f, uint32_t *seed, unsigned field, unsigned value)
{
    if (field == 3 && next_random(seed) % 2)
        fputs(months[value], f);
    else if (field == 4 && next_random(seed) % 2)
        fputs(weekdays[value], f);
    else
        fprintf(f, "%u", field == 4 && value == 0 && next_random(seed) % 2 ? 7 : value);
}

static void write_item(FILE *f, uint32_t *seed, unsigned field, struct meaning *m, bool is_first)
{
    unsigned low = from_to(seed, lows[field], highs[field]), high, step = 1;
    unsigned shape = next_random(seed) % 4;

    /* What is rare in the calendar is frequent here. */
    if (next_random(seed) % 2 && (field == 2 || field == 3))
        low = field == 2 ? from_to(seed, 28, 31) : 2;
    high = from_to(seed, low, highs[field]);

    if (shape == 0) {
        fputs("*", f);
        m->begins_with_star[field] = m->begins_with_star[field] || is_first;
        low = lows[field];
        high = highs[field];
    } else if (shape == 1 && high > low) {
        /* A range cannot begin with the 7. */
        fprintf(f, "%u-", low);
        write_value(f, seed, field, high);
    } else {
        write_value(f, seed, field, low);
        high = low;
    }
    if (shape < 2 && high > low && next_random(seed) % 2) {
        step = from_to(seed, 1, highs[field]);
        fprintf(f, "/%u", step);
    }
    for (unsigned value = low; value <= high; value += step)
        m->is_in[field][value] = true;
}

static char *write_line(uint32_t *seed, struct meaning *m)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    memset(m, 0, sizeof(*m));
    for (unsigned field = 0; field < 5; field++) {
        unsigned n = next_random(seed) % 2 ? 1 : from_to(seed, 1, 3);

        for (unsigned i = 0; i < n; i++) {
            fputs(i ? "," : field ? " " : "", f);
            write_item(f, seed, field, m, i == 0);
        }
    }
    assert_int_equal(fclose(f), 0);
    return text;
}

/* A calendar that is turned by hand, leaf by leaf. */
struct calendar {
    unsigned year, month, day, weekday;
};

static void turn(struct calendar *c)
{
    static const unsigned days[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = c->year % 400 == 0 || (c->year % 4 == 0 && c->year % 100 != 0);

    c->weekday = (c->weekday + 1) % 7;
    if (++c->day <= days[c->month] + (c->month == 2 && is_leap))
        return;
    c->day = 1;
    if (++c->month <= 12)
        return;
    c->month = 1;
    c->year++;
}

static bool is_due_on(const struct meaning *m, const struct calendar *c)
{
    bool day = m->is_in[2][c->day], weekday = m->is_in[4][c->weekday];
    bool fits = m->begins_with_star[2] || m->begins_with_star[4] ? day && weekday : day || weekday;

    return fits && m->is_in[3][c->month];
}

/* Minute by minute; -1 if nothing is due for `days` days. */
static int64_t slow_next(const struct meaning *m, int64_t after, int64_t days)
{
    struct calendar c = {1970, 1, 1, 4};
    int64_t day = 0;

    for (; day < after / 86400; day++)
        turn(&c);
    for (int64_t end = day + days; day < end; day++, turn(&c))
        for (int64_t minute = 0; is_due_on(m, &c) && minute < 1440; minute++)
            if (m->is_in[0][minute % 60] && m->is_in[1][minute / 60] && day * 86400 + minute * 60 > after)
                return day * 86400 + minute * 60;
    return -1;
}

static void random_lines_against_a_walk_through_the_calendar(void **state)
{
    enum { LINES = 1500, INSTANTS = 6, DAYS = 50 * 366 };
    uint32_t seed = 7;
    unsigned taken = 0, never = 0;

    (void)state;
    for (unsigned i = 0; i < LINES; i++) {
        struct meaning m;
        _cleanup_free_ char *line = write_line(&seed, &m);
        struct err e = ERR_INIT;
        struct cron c;
        int result = cron_parse(line, &c, &e);

        for (unsigned k = 0; k < INSTANTS; k++) {
            /* 1970 to 2106, half of them near the end of a February */
            int64_t after = (int64_t)(((uint64_t)next_random(&seed) << 8) + next_random(&seed) % 256), slow;

            if (k % 2)
                after = (int64_t)from_to(&seed, 0, 130) * 31556952 + 58 * 86400 + (after % (3 * 86400));
            slow = slow_next(&m, after, DAYS);
            if (result < 0 && slow >= 0)
                fail_msg("'%s' is refused, but comes: %s", line, e.text);
            if (result == 0 && cron_next(&c, after) != slow)
                fail_msg("'%s' after %lld: %lld instead of %lld", line, (long long)after,
                        (long long)cron_next(&c, after), (long long)slow);
        }
        taken += result == 0;
        never += result < 0;
    }
    assert_true(taken > LINES / 2 && never > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(when_a_line_is_due),
            cmocka_unit_test(what_is_no_cron_line),
            cmocka_unit_test(the_ends_of_time),
            cmocka_unit_test(random_lines_against_a_walk_through_the_calendar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
