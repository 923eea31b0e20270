/*
 * A backup in worlds where anything may happen next: thousands of orders of events, each of which can be had again by
 * its seed. backup_world.c checks what is done, here it is judged how it ended.
 */
#include "backup_world.h"

#include <string.h>

#include "folder.h"

enum { WORLDS = 5000 };

static const char master[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

static int setup(void **state)
{
    if (folder_setup(state) < 0)
        return -1;
    folder_write("master.key", master, sizeof(master) - 1, 0600);
    return world_open();
}

static int teardown(void **state)
{
    return world_close() == 0 ? folder_teardown(state) : -1;
}

static void judge(uint64_t seed, bool encrypted, const struct world_end *end)
{
    const char *wrong = NULL;

    if (end->succeeded && !end->visible)
        wrong = "success is told of what is not there";
    if (end->is_damaged && (end->succeeded || (end->visible && !end->accepts_damaged)))
        wrong = "a damaged database is told of as a backup";
    if (end->is_damaged && end->known_visible && !end->is_marked && !end->is_no_pair)
        wrong = "a damaged database without a mark";
    if (end->is_damaged && end->err.kind != ERR_INTEGRITY && !(end->cancelled && end->err.kind == ERR_CANCELLED))
        wrong = "what came of storing a damaged database hides that it is damaged";
    if (!end->succeeded && end->known_visible && !end->is_no_pair && !end->is_marked)
        wrong = "a failure is told of what is there";
    if (end->succeeded && encrypted && !end->was_looked_at)
        wrong = "success is told of what was not looked at";
    if (end->succeeded && end->is_no_pair)
        wrong = "success is told of a dump and a key that do not belong together";
    if (end->visible && encrypted && !end->key_is_there)
        wrong = "a dump without its key";
    if (end->visible && !end->committed)
        wrong = "visible without a commit";
    if (end->key_removed && end->committed)
        wrong = "a key was removed after a commit";
    if (!end->succeeded && (end->err.kind == ERR_NONE || !end->err.text[0]))
        wrong = "a failure without a cause";
    if (!end->succeeded && end->err.kind == ERR_CANCELLED && !end->cancelled)
        wrong = "nobody cancelled it";
    if (wrong)
        fail_msg("seed %llu: %s (%s)", (unsigned long long)seed, wrong, end->err.text);
}

/* How the worlds ended: all ends must have been seen, or the test is not worth its name. */
struct seen {
    unsigned succeeded, failed, cancelled, removed, committed_and_failed, lone_keys, marked, refused;
};

static struct seen run_many(uint64_t first, const struct world_odds *odds)
{
    struct seen seen = {0};

    for (uint64_t seed = first; seed < first + WORLDS; seed++) {
        bool encrypted = seed % 4 != 0;
        struct world_end end;

        world_run(seed, encrypted, odds, &end);
        judge(seed, encrypted, &end);
        seen.succeeded += end.succeeded;
        seen.failed += !end.succeeded;
        seen.cancelled += !end.succeeded && end.err.kind == ERR_CANCELLED;
        seen.removed += end.key_removed;
        seen.committed_and_failed += end.committed && !end.succeeded;
        seen.marked += end.is_marked;
        seen.refused += end.is_damaged && !end.accepts_damaged;
        seen.lone_keys += end.key_is_there && !end.visible;
    }
    return seen;
}

/* Whatever the order, it succeeds when nothing goes wrong, and takes nothing back. */
static void test_all_is_well(void **state)
{
    struct seen seen = run_many(1, &(struct world_odds){0});

    (void)state;
    assert_int_equal(seen.succeeded, WORLDS);
    assert_int_equal(seen.removed, 0);
}

static void test_cancelled(void **state)
{
    struct seen seen = run_many(100000, &(struct world_odds){.cancel = 10});

    (void)state;
    assert_int_equal(seen.cancelled, seen.failed);
    assert_true(seen.cancelled > WORLDS / 10 && seen.succeeded > WORLDS / 10 && seen.removed > 10);
    assert_int_equal(seen.lone_keys, 0); /* what is known to be of no use is taken back */
}

/* Now and then something goes wrong, mostly once. */
static void test_failures(void **state)
{
    struct seen seen = run_many(200000, &(struct world_odds){.failure = 10});

    (void)state;
    assert_true(seen.succeeded > WORLDS / 10 && seen.failed > WORLDS / 10 && seen.removed > 0);
    assert_true(seen.committed_and_failed > 0 && seen.marked > 0 && seen.refused > 0);
    assert_int_equal(seen.cancelled, 0);
}

/* Little works. */
static void test_chaos(void **state)
{
    struct seen seen = run_many(300000, &(struct world_odds){.failure = 100, .cancel = 5});

    (void)state;
    assert_true(seen.failed > WORLDS / 2 && seen.cancelled > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_all_is_well, setup, teardown),
            cmocka_unit_test_setup_teardown(test_cancelled, setup, teardown),
            cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
            cmocka_unit_test_setup_teardown(test_chaos, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
