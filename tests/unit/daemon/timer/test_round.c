/* Which backups a round is about, in which order, and how it ends. */
#include "expect.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "timer/round.h"

enum { FIRST = 1700000000 };

static uint32_t seed;

static uint32_t next_random(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static void add(struct catalog_list *list, int64_t instant, const char *suffix)
{
    char name[64], at[TIMESTAMP_TEXT_MAX];
    struct catalog_object object = {.name = name, .etag = "e", .size = 4096 + 32};
    struct err e = ERR_INIT;

    (void)snprintf(name, sizeof(name), "backup-%s%s", timestamp_format(instant, at), suffix);
    expect_success(catalog_list_add(list, &object, &e) == 0, &e);
}

/* So many plain backups, an hour apart, and what is none. */
static struct catalog_list *make_list(unsigned n)
{
    struct err e = ERR_INIT;
    struct catalog_list *list = catalog_list_new("backup", &e);

    expect_success(list, &e);
    for (unsigned i = 0; i < n; i++)
        add(list, FIRST + 3600 * (int64_t)i, ".dump");
    if (n)
        add(list, FIRST + 7, ".key"); /* a lone one */
    catalog_list_finish(list);
    return list;
}

static struct round plan(const struct catalog_list *list, enum conf_verify_what what)
{
    struct round r = {.instants = NULL};
    struct err e = ERR_INIT;

    expect_success(round_plan(&r, list, what, 42, next_random, &e) == 0, &e);
    assert_int_equal(r.result.began, 42);
    return r;
}

static const struct err bad = {.kind = ERR_INTEGRITY, .text = "bad"}, away = {.kind = ERR_TRANSIENT, .text = "away"};

/* Those that it says are next, until it is done. */
static size_t all_of(struct round *r, int64_t *instants)
{
    size_t n = 0;

    for (int64_t next; (next = round_next(r)) != 0; n++) {
        instants[n] = next;
        round_took(r, ROUND_GOOD, NULL);
    }
    assert_int_equal(r->result.left, 0);
    assert_int_equal(r->result.good, n);
    return n;
}

static void test_what(void **state)
{
    static const struct {
        unsigned there;
        enum conf_verify_what what;
        size_t expected;
    } rows[] = {
            {0, CONF_VERIFY_NEWEST, 0},
            {0, CONF_VERIFY_ALL, 0},
            {1, CONF_VERIFY_NEWEST, 1},
            {1, CONF_VERIFY_SAMPLE, 1},
            {3, CONF_VERIFY_SAMPLE, 3},
            {50, CONF_VERIFY_NEWEST, 1},
            {50, CONF_VERIFY_SAMPLE, 1 + ROUND_SAMPLE},
            {50, CONF_VERIFY_ALL, 50},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct catalog_list *list = make_list(rows[i].there);
        struct round r = plan(list, rows[i].what);
        int64_t instants[64];
        size_t n = all_of(&r, instants);

        assert_int_equal(n, rows[i].expected);
        if (n)
            assert_int_equal(instants[0], FIRST + 3600 * (int64_t)(rows[i].there - 1));
        for (size_t j = 0; rows[i].what == CONF_VERIFY_ALL && j + 1 < n; j++)
            assert_true(instants[j] > instants[j + 1]);
        round_clear(&r);
        catalog_list_free(list);
    }
}

/* Each of the others comes about as often as any, and none twice in a round. */
static void test_sample(void **state)
{
    struct catalog_list *list = make_list(11);
    unsigned seen[11] = {0};

    (void)state;
    seed = 1;
    for (unsigned i = 0; i < 1000; i++) {
        struct round r = plan(list, CONF_VERIFY_SAMPLE);
        int64_t instants[64];
        size_t n = all_of(&r, instants);

        for (size_t j = 0; j < n; j++) {
            seen[(instants[j] - FIRST) / 3600]++;
            for (size_t k = 0; k < j; k++)
                assert_true(instants[j] != instants[k]);
        }
        round_clear(&r);
    }
    assert_int_equal(seen[10], 1000);
    for (unsigned i = 0; i < 10; i++)
        assert_true(seen[i] > 200 && seen[i] < 400);
    catalog_list_free(list);
}

static void test_counts(void **state)
{
    struct catalog_list *list = make_list(5);
    struct round r = plan(list, CONF_VERIFY_ALL);

    (void)state;
    round_took(&r, ROUND_GOOD, NULL);
    round_took(&r, ROUND_BAD, &bad);
    round_took(&r, ROUND_GONE, NULL);
    round_took(&r, ROUND_BAD, &away);
    assert_int_equal(r.result.left, 1);
    round_took(&r, ROUND_GOOD, NULL);
    assert_int_equal(round_next(&r), 0);
    assert_int_equal(r.result.good, 2);
    assert_int_equal(r.result.bad, 2);
    assert_int_equal(r.result.left, 0);
    assert_string_equal(r.result.first_bad.text, "bad");
    round_took(&r, ROUND_GOOD, NULL); /* of nothing */
    assert_int_equal(r.result.good, 2);
    round_clear(&r);
    catalog_list_free(list);
}

/* What could not be looked at comes again, behind the others; and where nothing can be, not all is tried in vain. */
static void test_pauses(void **state)
{
    struct catalog_list *list = make_list(6);
    struct round r = plan(list, CONF_VERIFY_ALL);
    int64_t newest = round_next(&r);

    (void)state;
    round_took(&r, ROUND_UNKNOWN, &away);
    assert_int_equal(round_next(&r), newest - 3600);
    round_took(&r, ROUND_GOOD, NULL);
    for (unsigned i = 0; i < ROUND_ALIKE; i++) {
        assert_true(round_next(&r) != 0);
        round_took(&r, ROUND_UNKNOWN, &away);
    }
    assert_int_equal(round_next(&r), 0);
    assert_int_equal(r.result.left, 5);
    assert_string_equal(r.result.last_unknown.text, "away");
    round_resume(&r);
    while (round_next(&r))
        round_took(&r, ROUND_GOOD, NULL);
    assert_int_equal(r.result.left, 0);
    assert_int_equal(r.result.good, 6);
    assert_int_equal(r.result.last_unknown.kind, ERR_NONE);
    round_clear(&r);
    catalog_list_free(list);
}

/* One that never can be does not keep the round going. */
static void test_one_that_never_can_be(void **state)
{
    struct catalog_list *list = make_list(3);
    struct round r = plan(list, CONF_VERIFY_ALL);

    (void)state;
    round_took(&r, ROUND_GOOD, NULL);
    round_took(&r, ROUND_UNKNOWN, &away);
    round_took(&r, ROUND_GOOD, NULL);
    assert_int_equal(round_next(&r), 0);
    assert_int_equal(r.result.left, 1);
    round_resume(&r);
    assert_true(round_next(&r) != 0);
    round_took(&r, ROUND_UNKNOWN, &away);
    assert_int_equal(round_next(&r), 0);
    round_clear(&r);
    catalog_list_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what),
            cmocka_unit_test(test_sample),
            cmocka_unit_test(test_counts),
            cmocka_unit_test(test_pauses),
            cmocka_unit_test(test_one_that_never_can_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
