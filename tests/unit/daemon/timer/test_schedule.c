#include "expect.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "timer/schedule.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static uint32_t seed, fixed_random;

/* A small generator, so that a failure can be repeated. */
static uint32_t next_random(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static uint32_t random_32(void)
{
    return next_random() << 16 ^ next_random();
}

static uint32_t the_fixed_random(void)
{
    return fixed_random;
}

static int64_t at(const char *text)
{
    struct err e = ERR_INIT;
    int64_t instant;

    expect_success(timestamp_parse(text, strlen(text), &instant, &e) == 0, &e);
    return instant;
}

static struct schedule_clock later(struct schedule_clock c, uint64_t ms)
{
    return (struct schedule_clock){.wall = c.wall + (int64_t)(ms / 1000), .boot_ms = c.boot_ms + ms};
}

static struct schedule_clock clock_at(const char *text, uint64_t boot_ms)
{
    return (struct schedule_clock){.wall = at(text), .boot_ms = boot_ms};
}

static struct schedule_spec every(uint64_t interval_ms)
{
    return (struct schedule_spec){.interval_ms = interval_ms,
            .retry_initial_ms = 30 * SECOND,
            .retry_max_ms = 10 * MINUTE,
            .random = the_fixed_random};
}

static struct schedule_spec by_cron(const char *line)
{
    struct schedule_spec spec = every(0);
    struct err e = ERR_INIT;

    spec.has_cron = true;
    expect_success(cron_parse(line, &spec.cron, &e) == 0, &e);
    return spec;
}

static void at_the_start(void **state)
{
    static const struct {
        const char *line; /* or every six hours */
        const char *newest, *now;
        uint64_t wait, late; /* one of them is 0 */
    } cases[] = {
            {NULL, NULL, "2026-11-23T10:00:00Z", 0, 0},
            {NULL, "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", 6 * HOUR, 0},
            {NULL, "2026-11-23T05:00:00Z", "2026-11-23T10:00:00Z", HOUR, 0},
            {NULL, "2026-11-23T04:00:00Z", "2026-11-23T10:00:00Z", 0, 0},
            {NULL, "2026-11-23T03:59:59Z", "2026-11-23T10:00:00Z", 0, SECOND},
            {NULL, "2016-11-23T04:00:00Z", "2026-11-23T10:00:00Z", 0, 3652 * DAY},
            {NULL, "2026-11-24T04:00:00Z", "2026-11-23T10:00:00Z", 6 * HOUR, 0}, /* the future: now */
            {NULL, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", 6 * HOUR, 0},
            {"0 */6 * * *", NULL, "2026-11-23T10:00:00Z", 0, 0},
            {"0 0 29 2 *", NULL, "1970-01-01T00:00:07Z", 0, 0}, /* a clock that was never set */
            {"0 */6 * * *", "2026-11-23T06:00:01Z", "2026-11-23T10:00:00Z", 2 * HOUR, 0},
            {"0 */6 * * *", "2026-11-23T06:00:00Z", "2026-11-23T10:00:00Z", 2 * HOUR, 0},
            {"0 */6 * * *", "2026-11-23T05:59:59Z", "2026-11-23T10:00:00Z", 0, 4 * HOUR},
            {"0 */6 * * *", "2026-11-24T05:59:59Z", "2026-11-23T10:00:00Z", 2 * HOUR, 0},
    };

    (void)state;
    fixed_random = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct schedule_spec spec = cases[i].line ? by_cron(cases[i].line) : every(6 * HOUR);
        struct schedule_clock now = clock_at(cases[i].now, 5);
        struct schedule s;

        schedule_start(&s, &spec, cases[i].newest ? at(cases[i].newest) : 0, &now);
        assert_int_equal(schedule_wait(&s, &now), cases[i].wait);
        assert_int_equal(
                schedule_next(&s, &now), now.wall + (int64_t)(cases[i].wait / 1000) - (int64_t)(cases[i].late / 1000));
    }
}

/* While something is in its way it stays due since when it was, and what is being done is not late. */
static void since_when_it_is_due(void **state)
{
    struct schedule_spec interval = every(HOUR), line = by_cron("0 * * * *");
    struct schedule_clock start = clock_at("2026-11-23T10:00:00Z", 500), late = later(start, 90 * MINUTE),
                          later_still = later(late, 30 * MINUTE);
    struct schedule s;

    (void)state;
    fixed_random = UINT32_MAX;
    interval.jitter_ms = MINUTE;
    schedule_start(&s, &interval, start.wall, &start);
    assert_int_equal(schedule_next(&s, &late), at("2026-11-23T11:01:00Z"));
    assert_int_equal(schedule_next(&s, &later_still), at("2026-11-23T11:01:00Z"));
    schedule_began(&s, &late);
    assert_int_equal(schedule_next(&s, &later_still), at("2026-11-23T12:31:00Z"));
    schedule_failed(&s, &late);
    assert_int_equal(schedule_next(&s, &later_still), at("2026-11-23T11:30:30Z")); /* the other try */
    schedule_began(&s, &later_still);
    assert_int_equal(schedule_next(&s, &later_still), at("2026-11-23T12:31:00Z"));
    schedule_start(&s, &line, start.wall, &start);
    assert_int_equal(schedule_next(&s, &late), at("2026-11-23T11:00:00Z"));
    schedule_start(&s, &line, 0, &start);
    assert_int_equal(schedule_next(&s, &late), start.wall);
    late.boot_ms += 999; /* half a minute and almost a second less: rounded up, on both sides of now */
    schedule_start(&s, &interval, start.wall, &start);
    assert_int_equal(schedule_next(&s, &late), at("2026-11-23T11:01:00Z"));
}

/* What fits into no clock waits for ever and does not wrap around. */
static void large_numbers(void **state)
{
    struct schedule_spec spec = every(UINT64_MAX);
    struct schedule_clock now = clock_at("2026-11-23T10:00:00Z", 5);
    struct schedule s;

    (void)state;
    fixed_random = UINT32_MAX;
    spec.jitter_ms = UINT64_MAX;
    schedule_start(&s, &spec, now.wall, &now);
    assert_true(schedule_wait(&s, &now) > INT64_MAX - DAY);
    assert_true(schedule_next(&s, &now) > INT64_MAX / 1001);
    spec = by_cron("59 23 31 12 *");
    now = clock_at("9999-12-31T23:59:30Z", 5);
    schedule_start(&s, &spec, now.wall, &now);
    assert_true(schedule_wait(&s, &now) == INT64_MAX);
}

static void jitter_is_spread_from_nothing_to_all(void **state)
{
    static const struct {
        uint64_t jitter;
        uint32_t random;
        uint64_t drawn;
    } cases[] = {
            {0, UINT32_MAX, 0},
            {5 * MINUTE, 0, 0},
            {5 * MINUTE, 0x80000000, 150 * SECOND},
            {5 * MINUTE, UINT32_MAX, 5 * MINUTE},
            {1, 0x7fffffff, 0},
            {1, 0x80000000, 1},
            {400 * DAY, 0x40000000, 100 * DAY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct schedule_spec spec = every(HOUR), line = by_cron("0 * * * *");
        struct schedule_clock now = clock_at("2026-11-23T10:00:00Z", 5);
        struct schedule s;

        fixed_random = cases[i].random;
        spec.jitter_ms = line.jitter_ms = cases[i].jitter;
        schedule_start(&s, &spec, now.wall, &now);
        assert_int_equal(schedule_wait(&s, &now), HOUR + cases[i].drawn);
        assert_int_equal(schedule_next(&s, &now), now.wall + (int64_t)((HOUR + cases[i].drawn + 999) / 1000));
        schedule_start(&s, &line, now.wall, &now);
        assert_int_equal(schedule_wait(&s, &now), HOUR + cases[i].drawn);
    }
}

/* Minutes until each next try while every cycle fails at once, up to when the next one is due. */
static void failures_wait_longer_each_time(void **state)
{
    static const uint64_t waits[] = {30, 60, 120, 240, 480, 600, 600, 600, 600, 270, /* seconds: an hour in all */
            30, 60, 120};
    struct schedule_spec specs[] = {every(HOUR), by_cron("0 * * * *")};

    (void)state;
    fixed_random = UINT32_MAX; /* the whole of each wait */
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        struct schedule_clock now = clock_at("2026-11-23T10:00:00Z", 5);
        struct schedule s;

        schedule_start(&s, &specs[i], at("2026-11-23T09:00:00Z"), &now);
        for (size_t k = 0; k < ARRAY_LEN(waits); k++) {
            assert_int_equal(schedule_wait(&s, &now), 0);
            schedule_began(&s, &now);
            schedule_failed(&s, &now);
            assert_int_equal(schedule_wait(&s, &now), waits[k] * SECOND);
            now = later(now, waits[k] * SECOND);
        }
        schedule_began(&s, &now);
        schedule_succeeded(&s, &now);
        assert_int_equal(schedule_wait(&s, &now), specs[i].has_cron ? HOUR - 210 * SECOND : HOUR);
    }
}

/* A due cycle takes longer than the line's own period: what came due meanwhile is made up once. */
static void a_cycle_serves_what_was_due_when_it_began(void **state)
{
    struct schedule_spec line = by_cron("0 * * * *"), interval = every(HOUR);
    struct schedule_clock now = clock_at("2026-11-23T10:00:00Z", 5), end = later(now, 150 * MINUTE);
    struct schedule s;

    (void)state;
    schedule_start(&s, &line, at("2026-11-23T09:00:00Z"), &now);
    schedule_began(&s, &now);
    schedule_succeeded(&s, &end); /* 12:30: 11:00 and 12:00 are one */
    assert_int_equal(schedule_wait(&s, &end), 0);
    schedule_began(&s, &end);
    schedule_succeeded(&s, &end);
    assert_int_equal(schedule_next(&s, &end), at("2026-11-23T13:00:00Z"));
    schedule_start(&s, &interval, at("2026-11-23T09:00:00Z"), &now);
    schedule_succeeded(&s, &end); /* its beginning was not told */
    assert_int_equal(schedule_wait(&s, &end), HOUR);
}

static void a_cycle_that_somebody_asked_for(void **state)
{
    struct schedule_spec line = by_cron("0 * * * *"), interval = every(HOUR);
    struct schedule_clock now = clock_at("2026-11-23T10:30:00Z", 5), end = later(now, 40 * MINUTE);
    struct schedule s;

    (void)state;
    fixed_random = UINT32_MAX;
    schedule_start(&s, &interval, at("2026-11-23T10:00:00Z"), &now);
    schedule_began(&s, &now);
    schedule_succeeded(&s, &end); /* the interval begins anew at 10:30 */
    assert_int_equal(schedule_wait(&s, &end), 20 * MINUTE);
    schedule_start(&s, &line, at("2026-11-23T10:00:00Z"), &now);
    schedule_began(&s, &now);
    schedule_succeeded(&s, &end); /* 11:00 has no backup yet */
    assert_int_equal(schedule_wait(&s, &end), 0);
    schedule_start(&s, &line, at("2026-11-23T10:00:00Z"), &now);
    schedule_began(&s, &now);
    schedule_failed(&s, &now); /* and leaves what is due as it was */
    assert_int_equal(schedule_wait(&s, &now), 30 * SECOND);
    now = later(now, 30 * SECOND);
    schedule_began(&s, &now);
    schedule_succeeded(&s, &now);
    assert_int_equal(schedule_next(&s, &now), at("2026-11-23T11:00:00Z"));
    /* Asked for between an instant and its jitter's end: the instant has its backup. */
    line.jitter_ms = 5 * MINUTE;
    now = clock_at("2026-11-23T11:01:00Z", 5);
    schedule_start(&s, &line, at("2026-11-23T10:30:00Z"), &now);
    assert_int_equal(schedule_wait(&s, &now), 4 * MINUTE);
    schedule_began(&s, &now);
    schedule_succeeded(&s, &now);
    assert_int_equal(schedule_wait(&s, &now), 64 * MINUTE);
}

/* Of who shares the schedule: what is due goes on from there; what is older, or comes while a cycle runs, is no news.
 */
static void what_somebody_else_has_made(void **state)
{
    struct schedule_spec line = by_cron("0 * * * *"), interval = every(HOUR);
    struct schedule_clock now = clock_at("2026-11-23T11:00:00Z", 2 * HOUR);
    struct schedule s;

    (void)state;
    fixed_random = 0;
    schedule_start(&s, &interval, at("2026-11-23T10:00:00Z"), &now);
    assert_int_equal(schedule_wait(&s, &now), 0);
    schedule_seen(&s, at("2026-11-23T09:30:00Z"), &now);
    assert_int_equal(schedule_wait(&s, &now), 0);
    schedule_seen(&s, at("2026-11-23T10:20:00Z"), &now);
    assert_int_equal(schedule_wait(&s, &now), 20 * MINUTE);
    schedule_seen(&s, at("2026-11-23T11:00:09Z"), &now); /* a clock that is ahead of ours */
    assert_int_equal(schedule_wait(&s, &now), HOUR);
    now = later(now, HOUR);
    schedule_began(&s, &now);
    schedule_seen(&s, at("2026-11-23T12:00:00Z"), &now);
    schedule_failed(&s, &now);
    assert_int_equal(schedule_wait(&s, &now), 15 * SECOND); /* a half of it, by this chance */
    schedule_seen(&s, at("2026-11-23T12:00:00Z"), &now);    /* another has done what we failed to do */
    assert_int_equal(schedule_wait(&s, &now), HOUR);
    now = later(now, HOUR);
    schedule_began(&s, &now);
    schedule_failed(&s, &now);
    schedule_seen(&s, at("2026-11-23T12:00:00Z"), &now); /* that is the one before */
    assert_int_equal(schedule_wait(&s, &now), 15 * SECOND);
    now = clock_at("2026-11-23T12:00:00Z", 3 * HOUR);
    schedule_start(&s, &interval, 0, &now); /* an empty bucket, and a backup of before the machine started */
    schedule_seen(&s, at("2026-11-23T08:00:00Z"), &now);
    assert_int_equal(schedule_wait(&s, &now), 0);
    assert_int_equal(schedule_next(&s, &now), at("2026-11-23T09:00:00Z"));
    schedule_start(&s, &line, at("2026-11-23T11:10:00Z"), &now);
    schedule_seen(&s, at("2026-11-23T11:59:59Z"), &now); /* of the instant before */
    assert_int_equal(schedule_wait(&s, &now), 0);
    schedule_seen(&s, at("2026-11-23T12:00:00Z"), &now);
    assert_int_equal(schedule_next(&s, &now), at("2026-11-23T13:00:00Z"));
    now = clock_at("2026-11-23T13:00:02Z", 4 * HOUR);
    schedule_began(&s, &now);
    schedule_failed(&s, &now);
    schedule_seen(&s, at("2026-11-23T12:59:59Z"), &now);
    assert_int_equal(schedule_wait(&s, &now), 15 * SECOND);
    schedule_seen(&s, at("2026-11-23T13:00:01Z"), &now);
    assert_int_equal(schedule_next(&s, &now), at("2026-11-23T14:00:00Z"));
}

static void the_wall_clock_jumps(void **state)
{
    static const struct {
        const char *jump_to, *next; /* at 10:30 on 23 November, half an hour after the last cycle of the line */
        const char *due;            /* where that was before; or NULL */
    } cases[] = {
            {"2026-11-23T10:59:00Z", "2026-11-23T11:00:00Z", NULL},
            {"2026-11-23T11:00:00Z", "2026-11-23T11:00:00Z", NULL},
            {"2026-11-23T19:12:00Z", "2026-11-23T19:12:00Z", "2026-11-23T11:00:00Z"}, /* made up, at once and once */
            {"2036-11-23T19:12:00Z", "2036-11-23T19:12:00Z", "2026-11-23T11:00:00Z"},
            {"2026-11-23T10:29:00Z", "2026-11-23T11:00:00Z", NULL}, /* a minute: 10:00 is not repeated */
            /* wrong until now: the cycle was at 09:58:59, and the next is never far */
            {"2026-11-23T10:28:59Z", "2026-11-23T10:28:59Z", "2026-11-23T10:00:00Z"},
            {"2026-11-23T09:30:00Z", "2026-11-23T10:00:00Z", NULL},
            {"2026-11-23T03:20:00Z", "2026-11-23T03:20:00Z", "2026-11-23T03:00:00Z"},
            {"2026-11-22T10:30:00Z", "2026-11-22T11:00:00Z", NULL},
            {"2026-11-22T10:29:59Z", "2026-11-22T10:29:59Z", "2026-11-22T10:00:00Z"},
            {"2026-11-22T09:45:00Z", "2026-11-22T10:00:00Z", NULL}, /* or at 09:15 */
            {"1970-01-01T00:10:00Z", "1970-01-01T00:10:00Z", "1970-01-01T00:00:00Z"},
            {"1970-01-01T00:40:00Z", "1970-01-01T01:00:00Z", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct schedule_spec line = by_cron("0 * * * *"), interval = every(HOUR);
        struct schedule_clock start = clock_at("2026-11-23T10:00:00Z", HOUR), now = later(start, 30 * MINUTE);
        struct schedule s, t;

        schedule_start(&s, &line, start.wall - 3600, &start);
        schedule_start(&t, &interval, start.wall - 3600, &start);
        schedule_began(&s, &start);
        schedule_succeeded(&s, &start);
        schedule_began(&t, &start);
        schedule_succeeded(&t, &start);
        now.wall = at(cases[i].jump_to);
        assert_int_equal(now.wall + (int64_t)(schedule_wait(&s, &now) / 1000), at(cases[i].next));
        assert_int_equal(schedule_next(&s, &now), at(cases[i].due ? cases[i].due : cases[i].next));
        assert_int_equal(schedule_wait(&t, &now), 30 * MINUTE);
        /* It stays so while the clock runs on, also for days, and after the made up one all goes on by the hour. */
        for (uint64_t days = 0; days <= 3; days++) {
            struct schedule_clock then = later(now, days * DAY);

            assert_int_equal(schedule_wait(&s, &then) == 0, schedule_wait(&s, &now) <= days * DAY);
        }
        now = later(now, schedule_wait(&s, &now));
        schedule_began(&s, &now);
        schedule_succeeded(&s, &now);
        assert_int_equal(schedule_next(&s, &now), now.wall / 3600 * 3600 + 3600);
    }
}

/* Set back by a little, and then a cycle succeeds that somebody asked for: what was served before stays served. */
static void an_early_cycle_on_a_clock_set_back(void **state)
{
    struct schedule_spec line = by_cron("0 * * * *");
    struct schedule_clock now = clock_at("2026-11-23T10:00:00Z", HOUR);
    struct schedule s;

    (void)state;
    schedule_start(&s, &line, now.wall - 3600, &now);
    schedule_began(&s, &now);
    schedule_succeeded(&s, &now);
    now.wall -= 50;
    schedule_began(&s, &now);
    schedule_succeeded(&s, &now);
    assert_int_equal(schedule_next(&s, &now), at("2026-11-23T11:00:00Z"));
}

/* Set back into a long gap of its line, a schedule waits for no longer than it would have before, and a minute. */
static void set_back_into_a_gap(void **state)
{
    static const struct {
        const char *line, *served, *jump_to;
        uint64_t wait;
    } cases[] = {
            {"*/30 8-18 * * MON-FRI", "2026-11-23T10:00:00Z", "2026-11-21T08:00:00Z", 31 * MINUTE}, /* a Saturday */
            {"*/30 8-18 * * MON-FRI", "2026-11-23T18:30:00Z", "2026-11-23T07:45:00Z", 15 * MINUTE},
            {"0 8,9 * * *", "2026-11-23T08:00:00Z", "2026-11-22T10:00:00Z", 61 * MINUTE},
            {"0 0 1 1 *", "2026-01-01T00:00:00Z", "2025-06-01T00:00:00Z", 214 * DAY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct schedule_spec line = by_cron(cases[i].line);
        struct schedule_clock now = clock_at(cases[i].served, HOUR);
        struct schedule s;

        schedule_start(&s, &line, now.wall - 60, &now);
        schedule_began(&s, &now);
        schedule_succeeded(&s, &now);
        now.wall = at(cases[i].jump_to);
        assert_int_equal(schedule_wait(&s, &now), cases[i].wait);
    }
}

/* Whatever the clock does, in hundreds of jumps of up to a month: between two cycles lie a gap of the line, as it was
 * when the first of them began, a minute, and no more. */
static void no_jump_makes_a_silence(void **state)
{
    static const char *const lines[] = {"0 * * * *", "17 3 * * *", "*/30 8-18 * * MON-FRI", "0 8,9 * * *"};

    (void)state;
    seed = 3;
    fixed_random = 0;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct schedule_spec line = by_cron(lines[i]);
        struct schedule_clock now = clock_at("2026-11-23T10:00:00Z", 500 * DAY);
        struct schedule s;

        schedule_start(&s, &line, now.wall, &now);
        for (unsigned k = 0; k < 2000; k++) {
            uint64_t began = now.boot_ms, gap = (uint64_t)(cron_next(&line.cron, now.wall) - now.wall) * SECOND, wait;

            while ((wait = schedule_wait(&s, &now)) > 0) {
                bool jumps = next_random() % 4 == 0;

                now = later(now, jumps ? next_random() % (wait / 2 + 1) / SECOND * SECOND : wait);
                if (jumps)
                    now.wall += (int64_t)(next_random() % (60 * 86400)) - 30 * 86400;
            }
            assert_true(now.boot_ms - began <= gap + MINUTE + SECOND);
            schedule_began(&s, &now);
            schedule_succeeded(&s, &now);
        }
    }
}

/* What a simulation knows by itself, without looking into the schedule. */
struct world {
    struct schedule s;
    struct schedule_spec spec;
    struct schedule_clock now;
    bool jumps, fails;
    int64_t served;         /* up to which instants have had their due cycle, or a successful one */
    uint64_t began_boot_ms; /* the last cycle that was due or succeeded; 0: none yet */
    bool has_failed;        /* the last cycle */
    uint64_t failed_boot_ms;
    int64_t jumped; /* seconds, since something was served */
    unsigned due, tried;
};

static uint64_t up_to(uint64_t ms)
{
    return (((uint64_t)random_32() << 32) | random_32()) % (ms + 1);
}

/* Time goes on, whole seconds, so that both clocks count the same. */
static void pass(struct world *w, uint64_t ms)
{
    w->now = later(w->now, (ms + 999) / 1000 * 1000);
}

static bool has_unserved_instant(const struct world *w, uint64_t older_than_ms)
{
    return cron_next(&w->spec.cron, w->served) <= w->now.wall - (int64_t)(older_than_ms / 1000);
}

static void check_waiting(const struct world *w, uint64_t wait)
{
    if (w->spec.has_cron) /* nothing is skipped */
        assert_false(has_unserved_instant(w, w->spec.jitter_ms));
    else if (w->began_boot_ms) /* nor late */
        assert_true(w->now.boot_ms < w->began_boot_ms + w->spec.interval_ms + w->spec.jitter_ms);
    if (w->has_failed)
        assert_true(w->now.boot_ms < w->failed_boot_ms + w->spec.retry_max_ms && wait <= w->spec.retry_max_ms);
}

/* Whether the cycle that may begin now is a due one; a try again, then, comes when it may. */
static bool check_beginning(struct world *w)
{
    bool is_due = w->spec.has_cron ? has_unserved_instant(w, 0)
                                   : w->now.boot_ms >= w->began_boot_ms + w->spec.interval_ms || !w->began_boot_ms;

    if (!is_due) { /* nothing is repeated, nor early */
        assert_true(w->has_failed);
        assert_true(w->now.boot_ms >= w->failed_boot_ms + w->spec.retry_initial_ms / 2);
    }
    return is_due;
}

static void run(struct world *w)
{
    bool is_due = check_beginning(w), succeeds = !w->fails || next_random() % 3 == 0;
    struct schedule_clock began = w->now;

    schedule_began(&w->s, &w->now);
    pass(w, up_to(next_random() % 50 ? 2 * MINUTE : 3 * HOUR));
    w->due += is_due;
    w->tried += !is_due;
    if (succeeds)
        schedule_succeeded(&w->s, &w->now);
    else
        schedule_failed(&w->s, &w->now);
    w->has_failed = !succeeds;
    w->failed_boot_ms = w->now.boot_ms;
    /* A failed try that might have been the due one, within its jitter, does not serve. */
    if (succeeds || !w->spec.jitter_ms) {
        if ((is_due || succeeds) && began.wall > w->served) {
            w->served = began.wall;
            w->jumped = 0;
        }
        if (is_due || succeeds)
            w->began_boot_ms = began.boot_ms;
    }
}

static void jump(struct world *w)
{
    int64_t by = next_random() % 2 ? (int64_t)(next_random() % (next_random() % 4 ? 7200 : 30 * 86400))
                                   : -(int64_t)(next_random() % 60);

    /* Not more than a minute back in all since something was served: that is another rule, with tests of its own. */
    if (w->jumped + by < -59)
        return;
    w->jumped += by;
    w->now.wall += by;
}

static void step(struct world *w)
{
    uint64_t wait = schedule_wait(&w->s, &w->now), part;

    if (w->jumps && next_random() % 20 == 0) {
        jump(w);
        wait = schedule_wait(&w->s, &w->now);
    }
    if (wait == 0) {
        run(w);
        return;
    }
    check_waiting(w, wait);
    part = next_random() % 3 ? wait : up_to(wait);
    if (w->jumps && next_random() % 50 == 0)
        part += up_to(3 * DAY); /* suspended, beyond what is due */
    pass(w, part);
}

static void simulate(struct schedule_spec spec, bool jumps, bool fails)
{
    struct world w = {.spec = spec, .jumps = jumps, .fails = fails, .now = clock_at("2023-06-01T12:34:56Z", MINUTE)};

    w.spec.random = random_32;
    w.served = w.now.wall;
    w.began_boot_ms = w.now.boot_ms;
    schedule_start(&w.s, &w.spec, w.now.wall, &w.now);
    while (w.now.boot_ms < 2 * 365 * DAY)
        step(&w);
    assert_true(w.due > 100);
    assert_int_equal(w.tried > 0, fails);
}

/* Without jitter, the failures are modelled exactly; with it, each cycle succeeds. */
static void years_of_simulated_time(void **state)
{
    static const char *const lines[] = {"0 */6 * * *", "17 3 * * *", "*/30 8-18 * * MON-FRI", "0 0 */2 * *"};
    static const uint64_t intervals[] = {6 * HOUR, DAY, 50 * MINUTE};

    (void)state;
    seed = 11;
    for (unsigned variant = 0; variant < 8; variant++) {
        bool jumps = variant & 1, fails = variant & 2;
        uint64_t jitter = variant & 4 && !fails ? 15 * MINUTE : 0;

        for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
            struct schedule_spec spec = by_cron(lines[i]);

            spec.jitter_ms = jitter;
            simulate(spec, jumps, fails);
        }
        for (size_t i = 0; i < ARRAY_LEN(intervals); i++) {
            struct schedule_spec spec = every(intervals[i]);

            spec.jitter_ms = jitter;
            simulate(spec, jumps, fails);
        }
    }
}

/* On clocks that nobody sets, with cycles that succeed: each instant of a year has its cycle, on time. */
static void each_instant_of_a_year_has_its_cycle(void **state)
{
    struct schedule_spec spec = by_cron("*/20 * * * *");
    struct schedule_clock now = clock_at("2024-01-01T00:00:00Z", 77);
    int64_t expected = now.wall;
    struct schedule s;

    (void)state;
    seed = 5;
    spec.random = random_32;
    spec.jitter_ms = 5 * MINUTE;
    schedule_start(&s, &spec, now.wall, &now);
    for (unsigned i = 0; i < 366 * 72; i++) {
        uint64_t wait = schedule_wait(&s, &now);
        int64_t next = schedule_next(&s, &now);

        assert_true(wait > 0);
        expected += 1200;
        assert_true(next >= expected && next <= expected + 300);
        now = later(now, (wait + 999) / 1000 * 1000);
        assert_int_equal(schedule_wait(&s, &now), 0);
        schedule_began(&s, &now);
        now = later(now, up_to(10 * MINUTE) / 1000 * 1000);
        schedule_succeeded(&s, &now);
    }
    assert_int_equal(expected, at("2025-01-01T00:00:00Z"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(at_the_start),
            cmocka_unit_test(since_when_it_is_due),
            cmocka_unit_test(large_numbers),
            cmocka_unit_test(jitter_is_spread_from_nothing_to_all),
            cmocka_unit_test(failures_wait_longer_each_time),
            cmocka_unit_test(a_cycle_serves_what_was_due_when_it_began),
            cmocka_unit_test(a_cycle_that_somebody_asked_for),
            cmocka_unit_test(what_somebody_else_has_made),
            cmocka_unit_test(the_wall_clock_jumps),
            cmocka_unit_test(an_early_cycle_on_a_clock_set_back),
            cmocka_unit_test(set_back_into_a_gap),
            cmocka_unit_test(no_jump_makes_a_silence),
            cmocka_unit_test(years_of_simulated_time),
            cmocka_unit_test(each_instant_of_a_year_has_its_cycle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
