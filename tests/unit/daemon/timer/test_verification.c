/*
 * Verifications by the daemon itself, by clocks that the test sets: when a round is due, what becomes of each of its
 * backups, and what is known after a failure, a reload, a job that was cancelled. The jobs are played; what is next the
 * real agenda.c and schedule.c say, as cycle.c asks them.
 */
#include "expect.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "core/log.h"
#include "failing.h"
#include "timer/agenda.h"
#include "timer/verification.h"

#define SECOND UINT64_C(1000)
#define HOUR   (3600 * SECOND)

/* The beginning of an hour; and when the first backup was made, the others an hour apart. */
enum { BEGIN = 1800000000, FIRST = 1700000000 };

static struct world {
    struct verification *v;
    struct jobs_observer observer;
    struct agenda agenda;
    struct schedule_clock clock;
    uint64_t wait; /* ms, until the agenda wants to be asked; UINT64_MAX: never */
    unsigned backups;
    bool is_running;             /* a job, of the backup that: */
    struct verify_request asked; /* for */
    unsigned started;            /* jobs */
    unsigned wont_start;         /* so many of the next */
    bool is_short_of_memory;     /* when a round begins */
    unsigned failures;           /* that the watcher was told */
    struct err failure;          /* the last of them */
    char told[65536];            /* what the log got */
} w;

static struct conf conf;
static const char *bucket;
static char place;
static uint32_t random_value;

/* ---- what it calls ---- */

int64_t __wrap_timestamp_now(void);
int64_t __wrap_timestamp_now(void)
{
    return w.clock.wall;
}

uint32_t __wrap_randombytes_random(void);
uint32_t __wrap_randombytes_random(void)
{
    return random_value;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    size_t len = strlen(w.told);
    va_list args;

    len += (size_t)snprintf(w.told + len, sizeof(w.told) - len, "%d ", level);
    va_start(args, fmt);
    len += (size_t)vsnprintf(w.told + len, sizeof(w.told) - len, fmt, args);
    va_end(args);
    assert_true(len + 1 < sizeof(w.told));
    (void)strcat(w.told, "\n");
}

const struct conf *core_conf(const struct core *c)
{
    (void)c;
    return &conf;
}

const char *core_bucket_url(const struct core *c)
{
    (void)c;
    return bucket;
}

void jobs_observe(struct jobs *j, const struct jobs_observer *observer)
{
    (void)j;
    w.observer = *observer;
}

int jobs_start_verify(
        struct jobs *j, const struct verify_request *request, const struct job_sink *watcher, struct err *e)
{
    (void)j;
    assert_null(watcher); /* so that it is nobody's */
    assert_false(w.is_running);
    assert_true(verification_is_ours(w.v));
    w.asked = *request;
    if (w.wont_start) {
        w.wont_start--;
        return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "busy");
    }
    w.started++;
    w.is_running = true;
    return 0;
}

static void on_failed(void *ctx, const struct err *why)
{
    (void)ctx;
    w.failures++;
    w.failure = *why;
}

/* ---- what cycle.c does ---- */

static struct catalog_list *list_backups(void)
{
    struct err e = ERR_INIT;
    struct catalog_list *list = catalog_list_new("backup", &e);

    expect_success(list, &e);
    for (unsigned i = 0; i < w.backups; i++) {
        char name[64], at[TIMESTAMP_TEXT_MAX];

        (void)snprintf(name, sizeof(name), "backup-%s.dump", timestamp_format(FIRST + 3600 * (int64_t)i, at));
        expect_success(
                catalog_list_add(list, &(struct catalog_object){.name = name, .etag = "e", .size = 4096 + 32}, &e) == 0,
                &e);
    }
    catalog_list_finish(list);
    return list;
}

static void begin_round(void)
{
    struct catalog_list *list = list_backups();
    const bool is_retry = agenda_round_is_retry(&w.agenda, &w.clock);
    bool has_begun;

    agenda_round_began(&w.agenda, &w.clock);
    failing_arm(w.is_short_of_memory ? 1 : 0);
    has_begun = verification_begin(w.v, list, is_retry);
    assert_int_equal(failing_disarm(), w.is_short_of_memory);
    assert_int_not_equal(has_begun, w.is_short_of_memory);
    if (!has_begun)
        agenda_round_ended(&w.agenda, false, &w.clock);
    catalog_list_free(list);
}

/* Until there is nothing to do but wait. */
static void go_on(void)
{
    enum verification_step step;

    for (;;)
        switch (agenda_next(&w.agenda, w.is_running ? AGENDA_READING : AGENDA_FREE, &w.clock, &w.wait)) {
        case AGENDA_LOOK:
            agenda_look_began(&w.agenda);
            agenda_looked(&w.agenda, 0, &w.clock);
            if (agenda_wants_round(&w.agenda, &w.clock))
                begin_round();
            break;
        case AGENDA_VERIFY:
            step = verification_next(w.v);
            assert_int_equal(w.is_running, step == VERIFICATION_STARTED);
            assert_int_equal(verification_is_ours(w.v), w.is_running);
            if (step == VERIFICATION_DONE || step == VERIFICATION_PAUSED)
                agenda_round_ended(&w.agenda, step == VERIFICATION_DONE, &w.clock);
            break;
        default:
            return;
        }
}

static void pass(uint64_t ms)
{
    w.clock.boot_ms += ms;
    w.clock.wall += (int64_t)(ms / 1000);
    go_on();
}

/* Somebody sets the wall clock. */
static void jump(int64_t seconds)
{
    w.clock.wall += seconds;
    go_on();
}

/* Not while a job runs: core_reload waits for its end. */
static void reload(void)
{
    struct agenda_spec spec = {.wants_bucket = true};

    assert_false(w.is_running);
    verification_reload(w.v);
    spec.verifies = verification_spec(w.v, &spec.verify, &spec.verified);
    agenda_start(&w.agenda, &spec);
    go_on();
}

static void begin(unsigned backups, struct conf_verify verify)
{
    struct err e = ERR_INIT;

    w = (struct world){.backups = backups, .clock = {.wall = BEGIN, .boot_ms = HOUR}};
    bucket = "https://s3/b/backup-";
    conf.verify = verify;
    conf.schedule.retry_initial_ms = 30 * SECOND;
    conf.schedule.retry_max_ms = 600 * SECOND;
    w.v = verification_new((struct core *)(void *)&place, NULL, &e);
    expect_success(w.v, &e);
    verification_watch(w.v, &(struct verification_watcher){.failed = on_failed});
    reload();
}

static struct verification_state state_now(void)
{
    struct verification_state state;

    verification_get_state(w.v, &state);
    return state;
}

static void expect_round(unsigned good, unsigned bad, unsigned vouched, unsigned left)
{
    const struct round_result r = state_now().round;

    assert_int_equal(r.good, good);
    assert_int_equal(r.bad, bad);
    assert_int_equal(r.vouched, vouched);
    assert_int_equal(r.left, left);
}

static void expect_told(const char *text)
{
    if (!strstr(w.told, text))
        fail_msg("it is not told: %s\nbut:\n%s", text, w.told);
}

/* ---- jobs ---- */

static const struct err bad = {.kind = ERR_INTEGRITY, .text = "bad"}, away = {.kind = ERR_TRANSIENT, .text = "away"},
                        sealed = {.kind = ERR_CONFIG, .text = "sealed"},
                        cancelled = {.kind = ERR_CANCELLED, .text = "cancelled"};

static const char *left_out; /* by drills */

static void tell_verdict(const struct err *err, bool is_unknown, bool is_vouched)
{
    w.observer.verdict(w.observer.ctx,
            &(struct verdict){.name = "b", .err = err, .is_unknown = is_unknown, .is_vouched = is_vouched});
}

/*
 * What comes of a job: g good, b bad, v vouched for, u it could not be looked at, a nor did it come to a verdict, - it
 * is gone, c cancelled, C when its verdict was there. Returns whether something was found bad that counted until now.
 */
static bool end_job(char fate)
{
    const struct err *const err = strchr("gv-", fate)  ? NULL
                                  : fate == 'b'        ? &bad
                                  : strchr("ua", fate) ? &away
                                                       : &cancelled;
    const struct verify_result verify = {.left_out = left_out};

    w.is_running = false;
    if (fate == 'g' || fate == 'C')
        tell_verdict(NULL, false, false);
    else if (fate == 'b')
        tell_verdict(&bad, false, false);
    else if (fate == 'v')
        tell_verdict(&sealed, true, true);
    else if (fate == 'u')
        tell_verdict(&away, true, false);
    return verification_took(w.v, &(struct job_result){.verify = &verify}, err);
}

/* Of the jobs that follow each other, a letter each. */
static void run(const char *fates)
{
    for (; *fates; fates++) {
        assert_true(w.is_running);
        assert_int_equal(end_job(*fates), *fates == 'b');
        assert_false(verification_is_ours(w.v));
        go_on();
    }
}

static int64_t instant_of(unsigned i)
{
    return FIRST + 3600 * (int64_t)i;
}

static int end(void **state)
{
    (void)state;
    verification_free(w.v); /* also in the middle of a round */
    w.v = NULL;
    left_out = NULL;
    random_value = 0;
    conf.n_encryption_recipients = 0;
    return 0;
}

/* ---- when it is due ---- */

static const struct conf_verify daily = {.interval_ms = 24 * HOUR, .drill = true},
                                all = {.interval_ms = 24 * HOUR, .what = CONF_VERIFY_ALL};

static char half_past[] = "30 * * * *";

static void nothing_is_configured(void **state)
{
    (void)state;
    begin(3, (struct conf_verify){0});
    assert_int_equal(w.started, 0);
    assert_true(w.wait == UINT64_MAX);
    assert_string_equal(state_now().schedule, "");
    assert_false(state_now().owes_proof);
    assert_int_equal(state_now().round.began, 0);
}

/* At once after the start, and then from the beginning of the last one on. */
static void once_a_day(void **state)
{
    (void)state;
    begin(3, daily);
    assert_string_equal(state_now().schedule, "every 1d: the newest, as a drill");
    assert_true(state_now().owes_proof);
    for (unsigned day = 1; day < 5; day++) {
        const int64_t began = w.clock.wall;

        assert_int_equal(w.started, day);
        assert_int_equal(w.asked.choice.instant, instant_of(2));
        assert_true(w.asked.drill && w.asked.may_be_gone && !w.asked.all);
        assert_int_equal(state_now().round.began, began);
        assert_int_equal(state_now().round.ended, 0);
        pass(2 * HOUR);
        run("g");
        assert_int_equal(state_now().round.ended, began + 7200);
        assert_int_equal(state_now().proven, began + 7200);
        expect_round(1, 0, 0, 0);
        assert_true(w.wait == 22 * HOUR);
        pass(22 * HOUR - SECOND);
        assert_int_equal(w.started, day);
        pass(SECOND);
    }
    assert_int_equal(w.failures, 0);
}

/* A line waits for its instant after a start, since nobody knows when a round was last; jitter comes on top. */
static void by_a_line(void **state)
{
    (void)state;
    begin(3, (struct conf_verify){.cron = half_past, .what = CONF_VERIFY_SAMPLE, .jitter_ms = 60 * SECOND});
    assert_string_equal(state_now().schedule, "cron 30 * * * *: the newest and three others");
    assert_int_equal(w.started, 0);
    assert_true(w.wait == HOUR / 2);
    pass(HOUR / 2);
    assert_false(w.asked.drill);
    run("ggg");
    assert_true(w.wait == HOUR);
    pass(HOUR / 4);
    reload(); /* the last one served the instant, and nothing is made up */
    assert_true(w.wait == 3 * HOUR / 4);
    assert_int_equal(w.started, 3);
    random_value = UINT32_MAX;
    reload();
    assert_true(w.wait == 3 * HOUR / 4 + 60 * SECOND);
}

static void an_empty_bucket(void **state)
{
    (void)state;
    begin(0, daily);
    assert_int_equal(w.started, 0);
    assert_int_equal(state_now().round.ended, BEGIN);
    assert_int_equal(state_now().proven, 0);
    assert_true(w.wait == 24 * HOUR);
    assert_int_equal(w.failures, 0);
}

/* ---- what comes of each ---- */

static void each_has_its_job(void **state)
{
    (void)state;
    begin(6, all);
    left_out = "no etcdutl";
    for (unsigned i = 6; i-- > 0;) {
        static const char *const fates[] = {"-", "b", "v", "g", "b", "g"};

        assert_int_equal(w.asked.choice.instant, instant_of(i));
        run(fates[i]);
    }
    assert_false(w.is_running);
    expect_round(2, 2, 1, 0);
    assert_int_equal(w.failures, 1); /* once a round */
    assert_int_equal(w.failure.kind, ERR_INTEGRITY);
    assert_string_equal(state_now().round.first_bad.text, "bad");
    assert_string_equal(state_now().round.left_out, "no etcdutl");
    assert_int_equal(state_now().bad, 2);
    assert_int_equal(state_now().unknown, 0); /* what is vouched for is known to be sealed */
    expect_told("0 verification done: 2 good, 1 vouched, not opened, 2 BAD, the first: bad\n");
    pass(24 * HOUR); /* and in the next one again */
    run("vvbvvv");
    assert_int_equal(w.failures, 2);
    assert_int_equal(state_now().bad, 3);
    expect_round(0, 1, 5, 0);
    assert_int_equal(state_now().proven, BEGIN); /* what is vouched for was not opened */
}

/* A verification that somebody asked for says what is proven, and changes no round. */
static void somebodys(void **state)
{
    (void)state;
    begin(1, daily);
    run("g");
    pass(HOUR);
    for (const char *fate = "bug"; *fate; fate++)
        assert_false(end_job(*fate));
    go_on();
    assert_int_equal(state_now().proven, BEGIN + 3600);
    assert_int_equal(state_now().bad, 1);
    assert_int_equal(state_now().unknown, 1);
    expect_round(1, 0, 0, 0);
    assert_int_equal(w.failures, 0);
    assert_true(w.wait == 23 * HOUR);
}

/* Where new backups are sealed to people nothing that is made now can be proven here. */
static void sealed_to_people(void **state)
{
    (void)state;
    begin(1, daily);
    run("g");
    conf.n_encryption_recipients = 1;
    reload();
    assert_false(state_now().owes_proof);
    assert_string_not_equal(state_now().schedule, "");
}

/* ---- failures ---- */

/* What could not be looked at is tried again alone, and told once. */
static void tried_again(void **state)
{
    (void)state;
    begin(4, all);
    run("guga");
    assert_false(w.is_running);
    expect_round(2, 0, 0, 2);
    assert_int_equal(state_now().round.ended, 0);
    assert_int_equal(w.failures, 1);
    assert_string_equal(w.failure.text, "2 backups could not be verified; the last: away");
    assert_int_equal(w.failure.kind, ERR_TRANSIENT);
    expect_told("1 verification: 2 backups could not be verified; the last: away; tried again later\n");
    assert_true(w.wait == 15 * SECOND); /* half of the first wait, at the least */
    pass(15 * SECOND);
    assert_int_equal(w.asked.choice.instant, instant_of(2));
    run("uu");
    assert_true(w.wait == 30 * SECOND);
    assert_int_equal(w.failures, 1);
    pass(30 * SECOND);
    run("gg");
    expect_round(4, 0, 0, 0);
    assert_int_equal(state_now().round.began, BEGIN);
    assert_int_equal(state_now().round.ended, BEGIN + 45);
    assert_int_equal(state_now().round.last_unknown.kind, ERR_NONE);
    assert_int_equal(state_now().unknown, 3); /* verdicts; one job came to none */
    expect_told("2 verification done: 4 good\n");
}

/* Until the next is due, which is about what there is then, and is told anew. */
static void in_vain_for_a_day(void **state)
{
    (void)state;
    begin(2, all);
    run("uu");
    w.backups = 3;
    while (w.clock.boot_ms + w.wait < 25 * HOUR) {
        assert_true(w.wait <= 600 * SECOND);
        pass(w.wait);
        assert_true(w.asked.choice.instant < instant_of(2));
        run("uu");
    }
    assert_int_equal(w.failures, 1);
    assert_int_equal(state_now().round.began, BEGIN);
    pass(w.wait);
    assert_int_equal(state_now().round.began, BEGIN + 24 * 3600);
    assert_int_equal(w.asked.choice.instant, instant_of(2));
    run("uuu");
    assert_int_equal(w.failures, 2);
}

/* A job that cannot be started is one that could not look. */
static void not_even_started(void **state)
{
    (void)state;
    begin(1, (struct conf_verify){0});
    w.wont_start = 1;
    conf.verify = daily;
    reload();
    assert_int_equal(w.started, 0);
    expect_told("0 verify failed: busy\n");
    assert_string_equal(w.failure.text, "1 backups could not be verified; the last: busy");
    pass(15 * SECOND);
    run("g");
    expect_round(1, 0, 0, 0);
}

static void no_memory(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    begin(1, (struct conf_verify){0});
    w.is_short_of_memory = true;
    conf.verify = daily;
    reload();
    assert_int_equal(w.started, 0);
    expect_told("0 verification: out of memory for a round of verifications\n");
    assert_true(w.wait == 15 * SECOND);
    w.is_short_of_memory = false;
    pass(15 * SECOND);
    run("g");
    expect_round(1, 0, 0, 0);
    failing_arm(1);
    assert_null(verification_new((struct core *)(void *)&place, NULL, &e));
    assert_true(failing_disarm());
    expect_error(&e, ERR_RESOURCE, "out of memory");
}

/* ---- clocks ---- */

/* An interval is by the clock that nobody sets, whatever the other one says. */
static void the_wall_clock_is_set(void **state)
{
    static const int64_t jumps[] = {-400 * INT64_C(86400), -3600, 3600, 400 * INT64_C(86400)};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
        begin(2, all);
        run("g");
        jump(jumps[i]); /* in the middle of a round */
        pass(HOUR);
        run("g");
        assert_int_equal(state_now().round.began, BEGIN);
        assert_int_equal(state_now().round.ended, BEGIN + jumps[i] + 3600);
        assert_true(w.wait == 23 * HOUR);
        jump(-jumps[i]);
        assert_true(w.wait == 23 * HOUR);
        jump(jumps[i]);
        pass(23 * HOUR);
        assert_int_equal(state_now().round.began, BEGIN + jumps[i] + 24 * 3600);
        assert_int_equal(w.started, 3);
        assert_int_equal(end(NULL), 0);
    }
}

/* What was served is known by the wall clock alone: a round too many is cheap, and none is put off by more than an
 * interval. */
static void the_wall_clock_is_set_before_a_reload(void **state)
{
    (void)state;
    begin(1, daily);
    run("g");
    jump(2 * INT64_C(86400));
    reload();
    assert_true(w.is_running);
    run("g");
    jump(-400 * INT64_C(86400));
    reload();
    assert_false(w.is_running);
    assert_true(w.wait == 24 * HOUR);
}

/* A line goes by the wall clock: what was jumped over is made up, once. */
static void a_line_is_jumped_over(void **state)
{
    (void)state;
    begin(1, (struct conf_verify){.cron = half_past});
    jump(10 * 3600);
    assert_int_equal(w.started, 1);
    run("g");
    assert_true(w.wait == HOUR / 2);
    pass(HOUR / 2);
    assert_int_equal(w.started, 2);
}

/* ---- a reload ---- */

/* When the last one was, and what came of it, outlives it. */
static void a_reload_between_rounds(void **state)
{
    (void)state;
    begin(3, daily);
    pass(HOUR / 2); /* it takes so long, and that does not count */
    run("b");
    pass(HOUR / 2);
    reload();
    assert_false(w.is_running);
    assert_true(w.wait == 23 * HOUR);
    expect_round(0, 1, 0, 0);
    conf.verify = (struct conf_verify){.interval_ms = 2 * HOUR, .what = CONF_VERIFY_ALL};
    reload();
    assert_string_equal(state_now().schedule, "every 2h: all");
    assert_true(w.wait == HOUR);
    conf.verify = (struct conf_verify){0};
    reload();
    assert_string_equal(state_now().schedule, "");
    assert_true(w.wait == UINT64_MAX);
    pass(48 * HOUR);
    assert_int_equal(w.started, 1);
    conf.verify = daily;
    reload();
    assert_int_equal(w.started, 2);
    assert_int_equal(state_now().bad, 1);
}

/* One that was under way, or waits to go on, begins anew at once: also by a line, and with what is configured now. */
static void a_reload_in_a_round(void **state)
{
    static const struct conf_verify next[] = {
            {.interval_ms = 24 * HOUR},
            {.cron = half_past},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(next); i++) {
        begin(5, all);
        run(i % 2 ? "ggguu" : "gg");
        assert_int_not_equal(w.is_running, i % 2);
        if (w.is_running) /* the new configuration waits for its end, and is taken before the next */
            assert_false(end_job('c'));
        w.clock.wall++;
        w.clock.boot_ms += SECOND;
        conf.verify = next[i / 2];
        reload();
        assert_true(w.is_running);
        assert_int_equal(w.asked.choice.instant, instant_of(4));
        assert_int_equal(state_now().round.began, BEGIN + 1);
        run("g");
        expect_round(1, 0, 0, 0);
        assert_false(w.is_running);
        assert_int_equal(end(NULL), 0);
    }
}

/* What was found in one says nothing of another; what was counted stays. */
static void another_bucket(void **state)
{
    (void)state;
    begin(3, daily);
    run("b");
    pass(HOUR);
    assert_false(end_job('g')); /* somebody's, of another one */
    bucket = "https://s3/another/backup-";
    w.backups = 0;
    reload();
    assert_int_equal(state_now().proven, 0);
    assert_int_equal(state_now().round.began, BEGIN + 3600); /* one is due at once */
    expect_round(0, 0, 0, 0);
    assert_int_equal(state_now().round.first_bad.kind, ERR_NONE);
    assert_int_equal(state_now().bad, 1);
    conf.verify = (struct conf_verify){0};
    bucket = "https://s3/b/backup-";
    reload();
    assert_int_equal(state_now().round.began, 0);
}

/* ---- a job that is cancelled ---- */

/* It is in somebody's way, or the daemon ends: it says nothing of the backup, which is still the next. */
static void stopped_in_the_middle(void **state)
{
    (void)state;
    begin(3, all);
    run("g");
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(w.asked.choice.instant, instant_of(1));
        run(i % 2 ? "C" : "c");
    }
    expect_round(1, 0, 0, 2);
    run("gg");
    expect_round(3, 0, 0, 0);
    assert_int_equal(w.failures, 0);
    assert_int_equal(state_now().unknown, 0);
    assert_true(w.wait == 24 * HOUR);
    pass(24 * HOUR);
    assert_true(w.is_running); /* and what runs at the end is told to nobody */
    verification_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, end)
    static const struct CMUnitTest tests[] = {
            TEST(nothing_is_configured),
            TEST(once_a_day),
            TEST(by_a_line),
            TEST(an_empty_bucket),
            TEST(each_has_its_job),
            TEST(somebodys),
            TEST(sealed_to_people),
            TEST(tried_again),
            TEST(in_vain_for_a_day),
            TEST(not_even_started),
            TEST(no_memory),
            TEST(the_wall_clock_is_set),
            TEST(the_wall_clock_is_set_before_a_reload),
            TEST(a_line_is_jumped_over),
            TEST(a_reload_between_rounds),
            TEST(a_reload_in_a_round),
            TEST(another_bucket),
            TEST(stopped_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
