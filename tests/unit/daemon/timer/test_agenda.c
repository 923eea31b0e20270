#include "expect.h"

#include "base/cleanup.h"
#include "timer/agenda.h"

#define SECOND UINT64_C(1000)
#define HOUR   (3600 * SECOND)

static uint32_t seed;

static uint32_t next_random(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static uint32_t no_random(void)
{
    return 0;
}

static struct schedule_clock now;

static void pass(uint64_t ms)
{
    now.boot_ms += ms;
    now.wall += (int64_t)(ms / 1000);
}

static struct agenda begin(struct agenda_spec spec)
{
    struct agenda a;

    now = (struct schedule_clock){.wall = 1800000000, .boot_ms = HOUR};
    spec.schedule.retry_initial_ms = 30 * SECOND;
    spec.schedule.retry_max_ms = 600 * SECOND;
    spec.schedule.random = no_random;
    spec.verify.retry_initial_ms = 30 * SECOND;
    spec.verify.retry_max_ms = 600 * SECOND;
    spec.verify.random = no_random;
    agenda_start(&a, &spec);
    return a;
}

static const struct agenda_spec proven = {.has_schedule = true,
        .schedule.interval_ms = HOUR,
        .prunes = true,
        .wants_bucket = true,
        .verifies = true,
        .verify.interval_ms = 24 * HOUR};

static const struct agenda_spec hourly = {.has_schedule = true, .schedule.interval_ms = HOUR, .prunes = true};

static void expect_step(struct agenda *a, enum agenda_busy busy, enum agenda_step step)
{
    uint64_t wait;

    assert_int_equal(agenda_next(a, busy, &now, &wait), step);
}

static void expect_wait(struct agenda *a, enum agenda_busy busy, uint64_t expected)
{
    uint64_t wait;

    assert_int_equal(agenda_next(a, busy, &now, &wait), AGENDA_WAIT);
    assert_int_equal(wait, expected);
}

/* A look that is next, and works. */
static void look(struct agenda *a, enum agenda_busy busy, int64_t newest)
{
    expect_step(a, busy, AGENDA_LOOK);
    agenda_look_began(a);
    expect_wait(a, busy, UINT64_MAX);
    agenda_looked(a, newest, &now);
}

static void look_in_vain(struct agenda *a, enum agenda_busy busy)
{
    expect_step(a, busy, AGENDA_LOOK);
    agenda_look_began(a);
    agenda_look_failed(a, &now);
}

static void back_up(struct agenda *a, enum agenda_busy busy, enum agenda_outcome outcome)
{
    expect_step(a, busy, AGENDA_BACKUP);
    agenda_backup_began(a, &now);
    expect_wait(a, AGENDA_TAKEN, UINT64_MAX);
    agenda_backup_ended(a, outcome, true, &now);
}

static void prune(struct agenda *a)
{
    expect_step(a, AGENDA_FREE, AGENDA_PRUNE);
    agenda_prune_began(a);
}

static void a_good_day(void **state)
{
    struct agenda a = begin(hourly);

    (void)state;
    assert_int_equal(agenda_next_backup(&a, &now), 0);
    look(&a, AGENDA_FREE, now.wall - 1800);
    expect_wait(&a, AGENDA_FREE, HOUR / 2);
    for (unsigned i = 0; i < 24; i++) {
        pass(i ? HOUR : HOUR / 2);
        look(&a, AGENDA_FREE, now.wall - 3600);
        back_up(&a, AGENDA_FREE, AGENDA_MADE);
        prune(&a);
        expect_wait(&a, AGENDA_FREE, HOUR);
        assert_int_equal(agenda_next_backup(&a, &now), now.wall + 3600);
    }
}

/* A look serves what is due right behind it and nothing later: by then somebody may have swapped the key. */
static void a_look_serves_once(void **state)
{
    struct agenda a = begin(hourly);

    (void)state;
    look(&a, AGENDA_FREE, now.wall - 3599);
    expect_wait(&a, AGENDA_FREE, SECOND);
    pass(SECOND);
    expect_step(&a, AGENDA_FREE, AGENDA_LOOK);
    look(&a, AGENDA_FREE, now.wall - 3600);
    expect_wait(&a, AGENDA_TAKEN, UINT64_MAX); /* somebody was quicker */
    expect_step(&a, AGENDA_FREE, AGENDA_LOOK);
}

/* Whoever asked for it: the bucket grows, and what is too old is to go. */
static void each_success_owes_a_prune(void **state)
{
    struct agenda a = begin(hourly);

    (void)state;
    look(&a, AGENDA_FREE, now.wall);
    expect_wait(&a, AGENDA_FREE, HOUR);
    for (unsigned i = 0; i < 10; i++) { /* and the interval begins anew each time: no backup is due here */
        pass(HOUR / 2);
        agenda_backup_ended(&a, AGENDA_MADE, false, &now);
        prune(&a);
        look(&a, AGENDA_FREE, now.wall);
        expect_wait(&a, AGENDA_FREE, HOUR);
    }
    agenda_backup_ended(&a, AGENDA_FAILED, false, &now);
    expect_wait(&a, AGENDA_FREE, HOUR);
    a = begin((struct agenda_spec){.wants_bucket = true, .prunes = true}); /* without a schedule, too */
    look(&a, AGENDA_FREE, 0);
    agenda_backup_ended(&a, AGENDA_MADE, false, &now);
    prune(&a);
    a = begin((struct agenda_spec){.wants_bucket = true});
    look(&a, AGENDA_FREE, 0);
    agenda_backup_ended(&a, AGENDA_MADE, false, &now);
    look(&a, AGENDA_FREE, 0);
    expect_wait(&a, AGENDA_FREE, UINT64_MAX);
}

/* A verify of hours, or one whose etcdutl hangs: the backups are made, and the prune waits. */
static void what_only_reads_keeps_no_backup_away(void **state)
{
    struct agenda a = begin(hourly);

    (void)state;
    look(&a, AGENDA_READING, now.wall);
    for (unsigned i = 0; i < 10; i++) {
        expect_wait(&a, AGENDA_READING, HOUR);
        pass(HOUR);
        look(&a, AGENDA_READING, now.wall - 3600);
        back_up(&a, AGENDA_READING, AGENDA_MADE);
    }
    expect_wait(&a, AGENDA_READING, HOUR);
    prune(&a);
    expect_wait(&a, AGENDA_FREE, HOUR);
}

/* An access key that may write and not list: backups are made, from the start and on time. */
static void a_bucket_that_is_never_seen(void **state)
{
    static const uint64_t waits[] = {5, 10};
    struct agenda a = begin(hourly);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        look_in_vain(&a, AGENDA_FREE);
        assert_int_equal(agenda_next_backup(&a, &now), 0);
        expect_wait(&a, AGENDA_FREE, waits[i] * SECOND);
        pass(waits[i] * SECOND);
    }
    look_in_vain(&a, AGENDA_FREE);
    for (unsigned i = 0; i < 10; i++) {
        back_up(&a, AGENDA_FREE, AGENDA_MADE);
        prune(&a);
        look_in_vain(&a, AGENDA_FREE); /* the store has just taken something: once */
        expect_wait(&a, AGENDA_FREE, HOUR);
        pass(HOUR);
        look_in_vain(&a, AGENDA_FREE);
    }
    assert_int_equal(a.failures, 0);
}

/* S3 is away at the start: the failed backups say so, and are tried again as any; then the bucket decides what is due.
 */
static void a_bucket_that_is_seen_late(void **state)
{
    struct agenda a = begin(hourly);

    (void)state;
    for (unsigned i = 0; i < AGENDA_PATIENCE; i++) {
        look_in_vain(&a, AGENDA_FREE);
        pass(i < 2 ? 5 * SECOND << i : 0);
    }
    back_up(&a, AGENDA_FREE, AGENDA_FAILED);
    assert_int_equal(a.failures, 1);
    expect_wait(&a, AGENDA_FREE, 15 * SECOND); /* half of the first wait, at the least */
    pass(15 * SECOND);
    look(&a, AGENDA_FREE, now.wall - 600);
    expect_wait(&a, AGENDA_FREE, HOUR - 600 * SECOND);
    assert_int_equal(agenda_next_backup(&a, &now), now.wall + 3000);
}

/* Who finds out what is wrong with the bucket delays nothing and counts as no failure. */
static void commands_while_the_bucket_is_not_known(void **state)
{
    struct agenda a = begin(hourly);

    (void)state;
    look_in_vain(&a, AGENDA_FREE);
    for (unsigned i = 0; i < 20; i++) {
        expect_wait(&a, AGENDA_TAKEN, UINT64_MAX);
        agenda_owe_look(&a);
        agenda_backup_ended(&a, i % 2 ? AGENDA_FAILED : AGENDA_CANCELLED, false, &now);
        expect_wait(&a, AGENDA_FREE, 5 * SECOND);
    }
    assert_int_equal(a.failures, 0);
    assert_int_equal(a.looks_failed, 1);
    pass(SECOND);
    expect_wait(&a, AGENDA_FREE, 4 * SECOND);
    agenda_backup_ended(&a, AGENDA_MADE, false, &now); /* the store is there: there is something to see now */
    prune(&a);
    look(&a, AGENDA_FREE, now.wall);
    expect_wait(&a, AGENDA_FREE, HOUR);
    a = begin((struct agenda_spec){0}); /* nobody wants to know: once, and quietly */
    look_in_vain(&a, AGENDA_FREE);
    pass(HOUR);
    expect_wait(&a, AGENDA_FREE, UINT64_MAX);
    a = begin((struct agenda_spec){.wants_bucket = true}); /* less and less often, but always again */
    for (unsigned i = 0; i < 20; i++) {
        uint64_t wait;

        look_in_vain(&a, AGENDA_FREE);
        assert_int_equal(agenda_next(&a, AGENDA_FREE, &now, &wait), AGENDA_WAIT);
        assert_true(wait <= 300 * SECOND && wait >= 5 * SECOND);
        pass(wait);
    }
}

/* A backup that was cancelled is tried again, and says nothing of the next one. */
static void a_cancelled_one_is_no_failure(void **state)
{
    struct agenda a = begin(hourly);

    (void)state;
    look(&a, AGENDA_FREE, 0);
    back_up(&a, AGENDA_FREE, AGENDA_CANCELLED);
    assert_int_equal(a.failures, 0);
    expect_wait(&a, AGENDA_FREE, 15 * SECOND);
}

/* What a look found before something changed says nothing of after: there is another. */
static void a_look_at_the_past(void **state)
{
    struct agenda a = begin(hourly);

    (void)state;
    expect_step(&a, AGENDA_FREE, AGENDA_LOOK);
    agenda_look_began(&a);
    assert_false(agenda_look_is_outdated(&a));
    agenda_backup_ended(&a, AGENDA_MADE, false, &now);
    assert_true(agenda_look_is_outdated(&a));
    agenda_looked(&a, now.wall, &now);
    prune(&a);
    look(&a, AGENDA_FREE, now.wall);
    expect_wait(&a, AGENDA_FREE, HOUR);
    agenda_owe_look(&a);
    look(&a, AGENDA_FREE, now.wall);
    expect_wait(&a, AGENDA_FREE, HOUR);
}

/* A turn before the look; what another has made serves ours; and who has to wait asks again a little later. */
static void a_schedule_that_is_shared(void **state)
{
    struct agenda_spec spec = hourly;
    struct agenda a;

    (void)state;
    spec.is_shared = true;
    spec.turn_wait_ms = 10 * SECOND;
    a = begin(spec);
    look(&a, AGENDA_FREE, now.wall - 3600);
    expect_step(&a, AGENDA_TAKEN, AGENDA_WAIT);
    expect_step(&a, AGENDA_FREE, AGENDA_TURN);
    agenda_turn_began(&a);
    expect_wait(&a, AGENDA_FREE, UINT64_MAX);
    assert_true(agenda_seen(&a, 0, &now));
    agenda_turn_ended(&a, true, &now);
    look(&a, AGENDA_FREE, now.wall - 3600);
    back_up(&a, AGENDA_FREE, AGENDA_MADE);
    assert_int_equal(a.turn, AGENDA_HAS_TURN);
    agenda_turn_given_back(&a);
    prune(&a);
    expect_wait(&a, AGENDA_FREE, HOUR);
    pass(HOUR);
    expect_step(&a, AGENDA_FREE, AGENDA_TURN);
    agenda_turn_began(&a);
    agenda_turn_ended(&a, false, &now); /* somebody is at it */
    expect_wait(&a, AGENDA_FREE, 5 * SECOND);
    pass(5 * SECOND);
    expect_step(&a, AGENDA_FREE, AGENDA_TURN);
    agenda_turn_began(&a);
    assert_false(agenda_seen(&a, now.wall - 5, &now)); /* and has made it */
    agenda_turn_ended(&a, false, &now);
    expect_wait(&a, AGENDA_FREE, HOUR - 5 * SECOND);
    pass(HOUR);
    agenda_turn_began(&a);
    agenda_turn_ended(&a, true, &now);
    agenda_backup_began(&a, &now);
    agenda_backup_ended(&a, AGENDA_FAILED, true, &now); /* here; then elsewhere it works */
    agenda_turn_given_back(&a);
    assert_int_equal(a.failures, 1);
    pass(15 * SECOND);
    assert_false(agenda_seen(&a, now.wall, &now));
    assert_int_equal(a.failures, 0);
    expect_wait(&a, AGENDA_FREE, HOUR);
}

/* A round that is due behind a look, of so many backups. */
static void verify(struct agenda *a, unsigned backups, bool is_done)
{
    assert_true(agenda_wants_round(a, &now));
    agenda_round_began(a, &now);
    assert_false(agenda_wants_round(a, &now));
    for (unsigned i = 0; i < backups; i++)
        expect_step(a, AGENDA_FREE, AGENDA_VERIFY);
    expect_wait(a, AGENDA_READING, HOUR); /* one of its jobs */
    agenda_round_ended(a, is_done, &now);
}

/* At once after the start, behind the first look and what is due; then once a day, with a look of its own. */
static void a_round_a_day(void **state)
{
    struct agenda a = begin(proven);

    (void)state;
    assert_int_equal(agenda_next_round(&a, &now), 0);
    look(&a, AGENDA_FREE, now.wall - 3600);
    assert_false(agenda_wants_round(&a, &now)); /* a backup is due */
    back_up(&a, AGENDA_FREE, AGENDA_MADE);
    prune(&a);
    look(&a, AGENDA_FREE, now.wall);
    verify(&a, 3, true);
    expect_wait(&a, AGENDA_FREE, HOUR);
    assert_int_equal(agenda_next_round(&a, &now), now.wall + 24 * 3600);
    for (unsigned i = 0; i < 23; i++) {
        pass(HOUR);
        look(&a, AGENDA_FREE, now.wall - 3600);
        assert_false(agenda_wants_round(&a, &now));
        back_up(&a, AGENDA_FREE, AGENDA_MADE);
        prune(&a);
    }
    expect_wait(&a, AGENDA_FREE, HOUR);
    pass(HOUR); /* both are due, and the backup is the first */
    look(&a, AGENDA_FREE, now.wall - 3600);
    assert_false(agenda_wants_round(&a, &now));
    back_up(&a, AGENDA_FREE, AGENDA_MADE);
    assert_false(agenda_wants_round(&a, &now));
    prune(&a);
    look(&a, AGENDA_FREE, now.wall);
    verify(&a, 1, true);
}

/* Hours of verifying delay a backup not by a second: it begins beside the job that runs, and comes before the next. */
static void a_round_is_in_nobodys_way(void **state)
{
    struct agenda a = begin(proven);

    (void)state;
    look(&a, AGENDA_FREE, now.wall);
    agenda_round_began(&a, &now);
    for (unsigned i = 0; i < 10; i++) {
        expect_step(&a, AGENDA_FREE, AGENDA_VERIFY);
        expect_wait(&a, AGENDA_READING, HOUR);
        pass(HOUR);
        look(&a, AGENDA_READING, now.wall - 3600);
        back_up(&a, AGENDA_READING, AGENDA_MADE);
        expect_wait(&a, AGENDA_READING, HOUR); /* the prune is owed, and waits for the one job */
        prune(&a);
        agenda_owe_look(&a);
        look(&a, AGENDA_FREE, now.wall);
        expect_wait(&a, AGENDA_TAKEN, UINT64_MAX); /* somebody's */
    }
    pass(HOUR);
    look(&a, AGENDA_FREE, now.wall - 3600); /* between two */
    back_up(&a, AGENDA_FREE, AGENDA_FAILED);
    expect_step(&a, AGENDA_FREE, AGENDA_VERIFY); /* until it is tried again */
    pass(HOUR / 2);
    look(&a, AGENDA_FREE, now.wall - 3600);
    back_up(&a, AGENDA_FREE, AGENDA_MADE);
    prune(&a);
    expect_step(&a, AGENDA_FREE, AGENDA_VERIFY);
    agenda_round_ended(&a, true, &now);
    assert_false(agenda_wants_round(&a, &now));
}

/* What could not be looked at is tried again, until the next is due, which begins anew. */
static void a_round_in_vain(void **state)
{
    struct agenda a = begin((struct agenda_spec){.wants_bucket = true, .verifies = true, .verify.interval_ms = HOUR});
    const uint64_t end = now.boot_ms + HOUR;
    unsigned tries = 0;

    (void)state;
    while (now.boot_ms < end) {
        uint64_t wait;

        look(&a, AGENDA_FREE, now.wall);
        assert_true(agenda_wants_round(&a, &now));
        assert_int_equal(agenda_round_is_retry(&a, &now), tries++ > 0);
        agenda_round_began(&a, &now);
        expect_step(&a, AGENDA_FREE, AGENDA_VERIFY);
        agenda_round_ended(&a, false, &now);
        assert_int_equal(agenda_next(&a, AGENDA_FREE, &now, &wait), AGENDA_WAIT);
        assert_true(wait > 0 && wait <= 600 * SECOND);
        pass(wait);
    }
    assert_true(tries > 6);
    look(&a, AGENDA_FREE, now.wall);
    assert_true(agenda_wants_round(&a, &now));
    assert_false(agenda_round_is_retry(&a, &now));
}

/* The bucket cannot be listed when one is due: that is such a try, too, and no reason to ask for ever. */
static void a_round_without_a_look(void **state)
{
    struct agenda a = begin((struct agenda_spec){.wants_bucket = true, .verifies = true, .verify.interval_ms = HOUR});
    uint64_t wait;

    (void)state;
    look_in_vain(&a, AGENDA_FREE);
    expect_wait(&a, AGENDA_FREE, 5 * SECOND);
    pass(5 * SECOND);
    look(&a, AGENDA_FREE, 0);
    assert_true(agenda_wants_round(&a, &now));
    agenda_round_began(&a, &now);
    agenda_round_ended(&a, true, &now);
    expect_wait(&a, AGENDA_FREE, HOUR);
    pass(HOUR);
    look_in_vain(&a, AGENDA_FREE);
    assert_int_equal(agenda_next(&a, AGENDA_FREE, &now, &wait), AGENDA_WAIT);
    assert_true(wait > 0 && wait <= 30 * SECOND);
    assert_true(agenda_round_is_retry(&a, &now));
    pass(wait);
    look(&a, AGENDA_FREE, 0);
    assert_true(agenda_wants_round(&a, &now));
}

/* From the last round on; and none is begun by a configuration that has none. */
static void a_round_after_a_reload(void **state)
{
    struct agenda_spec spec = proven;
    struct agenda a;

    (void)state;
    spec.verified = 1800000000 - 23 * 3600;
    a = begin(spec);
    look(&a, AGENDA_FREE, now.wall);
    assert_false(agenda_wants_round(&a, &now));
    assert_int_equal(agenda_next_round(&a, &now), now.wall + 3600);
    spec.verifies = false;
    a = begin(spec);
    look(&a, AGENDA_FREE, now.wall);
    assert_false(agenda_wants_round(&a, &now));
    assert_int_equal(agenda_next_round(&a, &now), 0);
    pass(HOUR / 2);
    expect_wait(&a, AGENDA_FREE, HOUR / 2);
}

struct world {
    struct agenda a;
    bool is_blind; /* for ever */
    enum agenda_busy busy;
    uint64_t made_boot_ms; /* the last that was made */
    unsigned made, looks, owed_prunes, verified;
};

/* Somebody else's job, or none. */
static void let_others_work(struct world *w)
{
    switch (next_random() % 8) {
    case 0:
        w->busy = next_random() % 2 ? AGENDA_READING : AGENDA_FREE;
        break;
    case 1: /* it takes a moment, and the agenda is asked in it */
        expect_wait(&w->a, AGENDA_TAKEN, UINT64_MAX);
        pass(next_random() % (60 * SECOND));
        break;
    case 2:
        agenda_owe_look(&w->a);
        break;
    default:
        break;
    }
}

static void do_backup(struct world *w)
{
    enum agenda_outcome outcome = next_random() % 4   ? AGENDA_MADE
                                  : next_random() % 2 ? AGENDA_FAILED
                                                      : AGENDA_CANCELLED;

    assert_true(w->looks > 0); /* right before it */
    agenda_backup_began(&w->a, &now);
    pass(next_random() % (60 * SECOND));
    agenda_backup_ended(&w->a, outcome, true, &now);
    if (outcome != AGENDA_MADE)
        return;
    w->made++;
    w->made_boot_ms = now.boot_ms;
    w->owed_prunes++;
}

static void take_look(struct world *w, int64_t newest)
{
    agenda_looked(&w->a, newest, &now);
    if (agenda_wants_round(&w->a, &now))
        agenda_round_began(&w->a, &now);
}

static void do_next(struct world *w)
{
    unsigned looks = w->looks;
    uint64_t wait;

    w->looks = 0;
    switch (agenda_next(&w->a, w->busy, &now, &wait)) {
    case AGENDA_LOOK:
        agenda_look_began(&w->a);
        pass(next_random() % (10 * SECOND));
        if (w->is_blind || next_random() % 4 == 0)
            agenda_look_failed(&w->a, &now);
        else
            take_look(w, w->made ? now.wall - (int64_t)((now.boot_ms - w->made_boot_ms) / 1000) : 0);
        w->looks = looks + 1;
        break;
    case AGENDA_TURN:
        agenda_turn_began(&w->a);
        pass(next_random() % (2 * SECOND));
        agenda_turn_ended(&w->a, next_random() % 4 != 0, &now);
        break;
    case AGENDA_BACKUP:
        w->looks = looks;
        assert_true(!w->a.spec.is_shared || w->a.turn == AGENDA_HAS_TURN);
        do_backup(w);
        agenda_turn_given_back(&w->a);
        w->looks = 0;
        break;
    case AGENDA_PRUNE:
        assert_true(w->busy == AGENDA_FREE && w->owed_prunes > 0);
        agenda_prune_began(&w->a);
        w->owed_prunes = 0;
        break;
    case AGENDA_VERIFY:
        assert_true(w->busy == AGENDA_FREE && w->owed_prunes == 0);
        pass(next_random() % (300 * SECOND)); /* of one job; what is due beside a longer one, another test looks at */
        if (next_random() % 8 == 0)
            agenda_round_ended(&w->a, next_random() % 2, &now);
        w->verified++;
        break;
    case AGENDA_WAIT:
        assert_true(wait > 0 && wait <= HOUR); /* whatever happened, something is to come */
        assert_true(w->owed_prunes == 0 || w->busy == AGENDA_READING);
        pass(wait);
        let_others_work(w);
        break;
    }
    assert_true(w->looks <= 3); /* they lead to something */
}

/* In a year in which everything fails now and then, while others read and doubt, no hour and a bit is without a backup
 * that worked or was tried; each has a look before it; each success has its prune. */
static void a_year_of_mishaps(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct agenda_spec spec = i % 8 < 4 ? hourly : proven;
        struct world w = {.is_blind = i % 2};

        spec.is_shared = i % 4 / 2;
        spec.turn_wait_ms = 10 * SECOND;
        w.a = begin(spec);

        seed = i;
        w.made_boot_ms = now.boot_ms;
        while (now.boot_ms < 365 * 24 * HOUR / 20) {
            do_next(&w);
            assert_true(now.boot_ms - w.made_boot_ms < 3 * HOUR);
        }
        assert_true(w.made > 200);
        assert_true(i % 8 != 4 || w.verified > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_good_day),
            cmocka_unit_test(a_look_serves_once),
            cmocka_unit_test(each_success_owes_a_prune),
            cmocka_unit_test(what_only_reads_keeps_no_backup_away),
            cmocka_unit_test(a_bucket_that_is_never_seen),
            cmocka_unit_test(a_bucket_that_is_seen_late),
            cmocka_unit_test(commands_while_the_bucket_is_not_known),
            cmocka_unit_test(a_cancelled_one_is_no_failure),
            cmocka_unit_test(a_look_at_the_past),
            cmocka_unit_test(a_schedule_that_is_shared),
            cmocka_unit_test(a_round_a_day),
            cmocka_unit_test(a_round_is_in_nobodys_way),
            cmocka_unit_test(a_round_in_vain),
            cmocka_unit_test(a_round_without_a_look),
            cmocka_unit_test(a_round_after_a_reload),
            cmocka_unit_test(a_year_of_mishaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
