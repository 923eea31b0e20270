/* What etcd's members did of late, and for how long it speaks against them. */
#include "expect.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "core/members.h"

enum { NOW = 1000 };

static struct members *members;

static int set_up(void **state)
{
    (void)state;
    members = members_new();
    return members ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    members_free(members);
    return 0;
}

static void tell(const char *endpoint, enum err_kind kind, uint64_t now)
{
    const struct err e = {.kind = kind};

    members_tell(members, endpoint, kind ? &e : NULL, now);
}

static unsigned rank(const char *endpoint, uint64_t now)
{
    return members_blame(members, endpoint, now).rank;
}

static void the_last_to_fail_is_the_last_to_be_asked(void **state)
{
    (void)state;
    assert_int_equal(rank("a", NOW), 0);
    tell("a", ERR_TRANSIENT, NOW);
    tell("b", ERR_AUTH, NOW);
    assert_true(rank("b", NOW) > rank("a", NOW) && rank("a", NOW) > 0);
    assert_false(members_blame(members, "a", NOW).is_liar);
    tell("a", ERR_TRANSIENT, NOW + 1);
    assert_true(rank("a", NOW + 1) > rank("b", NOW + 1));
    assert_int_equal(rank("a", NOW + 1 + MEMBERS_FAILED_MS), 0);
    assert_int_not_equal(rank("a", NOW + MEMBERS_FAILED_MS), 0);
}

static void wrong_bytes_are_remembered_for_longer(void **state)
{
    (void)state;
    tell("a", ERR_INTEGRITY, NOW);
    assert_true(members_blame(members, "a", NOW + MEMBERS_LIAR_MS - 1).is_liar);
    assert_false(members_blame(members, "a", NOW + MEMBERS_LIAR_MS).is_liar);
    assert_int_not_equal(rank("a", NOW + MEMBERS_LIED_MS - 1), 0);
    assert_int_equal(rank("a", NOW + MEMBERS_LIED_MS), 0);
    tell("a", ERR_TRANSIENT, NOW + 5); /* which takes nothing of that back */
    assert_int_not_equal(rank("a", NOW + MEMBERS_LIED_MS - 1), 0);
    assert_true(members_blame(members, "a", NOW + 6).is_liar);
}

static void its_own_good_snapshot_clears_a_member_and_no_other(void **state)
{
    (void)state;
    tell("a", ERR_INTEGRITY, NOW);
    tell("b", ERR_TRANSIENT, NOW);
    tell("c", ERR_NONE, NOW);
    tell("a", ERR_NONE, NOW);
    assert_int_equal(rank("a", NOW), 0);
    assert_false(members_blame(members, "a", NOW).is_liar);
    assert_int_not_equal(rank("b", NOW), 0);
    members_forget(members);
    assert_int_equal(rank("b", NOW), 0);
}

static void more_than_can_be_are_passed_over(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "host-%d", i);
        tell(name, ERR_TRANSIENT, NOW);
    }
    assert_int_not_equal(rank("host-63", NOW), 0);
    assert_int_equal(rank("host-64", NOW), 0);
    tell("host-0", ERR_NONE, NOW);
    tell("host-99", ERR_TRANSIENT, NOW);
    assert_int_not_equal(rank("host-99", NOW), 0);
    assert_int_not_equal(rank("host-63", NOW), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(the_last_to_fail_is_the_last_to_be_asked, set_up, tear_down),
            cmocka_unit_test_setup_teardown(wrong_bytes_are_remembered_for_longer, set_up, tear_down),
            cmocka_unit_test_setup_teardown(its_own_good_snapshot_clears_a_member_and_no_other, set_up, tear_down),
            cmocka_unit_test_setup_teardown(more_than_can_be_are_passed_over, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
