/* What is known of backups: of an object, not of a name; bounded, and of a bad one never forgotten. */
#include "expect.h"

#include <stdio.h>

#include "core/known.h"
#include "failing.h"

static struct known_object object(const char *name, const char *etag, uint64_t size)
{
    return (struct known_object){.name = name, .etag = etag, .size = size};
}

static void test_of_an_object(void **state)
{
    struct known *k = known_new();
    struct known_object a = object("a", "\"1\"", 10), unquoted = object("a", "1", 10);
    struct known_object others[] = {
            object("a", "2", 10), object("a", "1", 11), object("b", "1", 10), object("a", "", 10)};

    (void)state;
    assert_int_equal(known_find(NULL, &a).verified, 0);
    assert_int_equal(known_find(k, &a).verified, 0);
    known_verified(k, &a, 7, KNOWN_GOOD);
    assert_int_equal(known_find(k, &unquoted).verdict, KNOWN_GOOD);
    known_verified(k, &unquoted, 8, KNOWN_REFUSED); /* the latest counts */
    assert_int_equal(known_find(k, &a).verified, 8);
    assert_int_equal(known_find(k, &a).verdict, KNOWN_REFUSED);
    known_verified(k, &a, 9, KNOWN_BAD);
    known_verified(
            k, &a, 10, KNOWN_REFUSED); /* but a key that does not open says nothing of what one that did has shown */
    assert_int_equal(known_find(k, &a).verified, 9);
    assert_int_equal(known_find(k, &a).verdict, KNOWN_BAD);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(known_find(k, &others[i]).verified, 0);
    known_free(k);
    known_free(NULL);
}

static void test_all_facts(void **state)
{
    struct known *k = known_new();
    struct known_object a = object("a", "1", 10);
    struct known_facts f;

    (void)state;
    known_saw_key(k, &a, 5, KNOWN_KEY_MISSING);
    known_saw_cluster(k, &a, 0);
    known_verified(k, &a, 9, KNOWN_GOOD);
    known_set_own_cluster(k, 77);
    f = known_find(k, &a);
    assert_true(f.key == KNOWN_KEY_MISSING && f.key_tag == 5 && f.has_cluster && f.cluster == 0 && f.verified == 9);
    known_forget_keys(k);
    f = known_find(k, &a);
    assert_true(f.key == KNOWN_KEY_UNSEEN && f.has_cluster && f.verified == 9);
    assert_int_equal(known_own_cluster(k), 77);
    known_set_damaged_stored(k, 78);
    assert_int_equal(known_damaged_stored(k), 78);
    known_forget_all(k);
    f = known_find(k, &a);
    assert_true(!f.has_cluster && f.verified == 0);
    assert_int_equal(known_own_cluster(k), 0);
    assert_int_equal(known_damaged_stored(k), 0);
    known_free(k);
}

static struct known_facts look_up(struct known *k, int i)
{
    char name[32];
    struct known_object o = object(name, "e", 1);

    (void)snprintf(name, sizeof(name), "backup-%d", i);
    return known_find(k, &o);
}

static void add(struct known *k, int i, bool is_good)
{
    char name[32];
    struct known_object o = object(name, "e", 1);

    (void)snprintf(name, sizeof(name), "backup-%d", i);
    known_verified(k, &o, i + 1, is_good ? KNOWN_GOOD : KNOWN_BAD);
}

/* New ones are remembered, the ones that were asked for the longest ago are not, and the bad ones all are. */
static void test_bounded(void **state)
{
    struct known *k = known_new();
    int remembered = 0;

    (void)state;
    for (int i = 0; i < 3 * KNOWN_MAX; i++) {
        add(k, i, i % 100 != 0);
        (void)look_up(k, 1);
    }
    for (int i = 0; i < 3 * KNOWN_MAX; i++)
        remembered += look_up(k, i).verified != 0;
    assert_true(remembered <= KNOWN_MAX);
    assert_int_equal(look_up(k, 1).verified, 2);
    assert_int_equal(look_up(k, 3 * KNOWN_MAX - 1).verified, 3 * KNOWN_MAX);
    for (int i = 0; i < 3 * KNOWN_MAX; i += 100)
        assert_int_equal(look_up(k, i).verified, i + 1);
    known_free(k);
}

/* However many are bad. */
static void test_bad_ones_alone(void **state)
{
    struct known *k = known_new();

    (void)state;
    for (int i = 0; i < KNOWN_MAX + 100; i++)
        add(k, i, false);
    for (int i = 0; i < KNOWN_MAX + 100; i++)
        assert_int_equal(look_up(k, i).verified, i + 1);
    known_free(k);
}

static void test_without_memory(void **state)
{
    struct known *k = known_new();
    struct known_object a = object("a", "1", 10);

    (void)state;
    failing_arm(1);
    known_verified(k, &a, 1, KNOWN_BAD);
    assert_true(failing_disarm());
    assert_int_equal(known_find(k, &a).verified, 0);
    known_verified(k, &a, 1, KNOWN_BAD);
    assert_int_equal(known_find(k, &a).verified, 1);
    known_free(k);
    failing_arm(1);
    assert_null(known_new());
    assert_true(failing_disarm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_of_an_object),
            cmocka_unit_test(test_all_facts),
            cmocka_unit_test(test_bounded),
            cmocka_unit_test(test_bad_ones_alone),
            cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
