#include "expect.h"

#include "h2/alive.h"

static struct h2_alive begin(uint64_t now)
{
    struct h2_alive a = {.quiet_ms = 20000, .patience_ms = 5000};

    h2_alive_watch(&a, now, true);
    return a;
}

static void nothing_is_asked_without_streams(void **state)
{
    struct h2_alive a = {.quiet_ms = 20000, .patience_ms = 5000};

    (void)state;
    assert_int_equal(h2_alive_due(&a), 0);
    assert_int_equal(h2_alive_act(&a, 1000000), H2_ALIVE_WAIT);
    h2_alive_watch(&a, 1000000, true);
    assert_int_equal(h2_alive_due(&a), 1020000);
    h2_alive_watch(&a, 1000001, false);
    assert_int_equal(h2_alive_due(&a), 0);
    assert_int_equal(h2_alive_act(&a, 2000000), H2_ALIVE_WAIT);
}

static void silence_before_the_first_call_counts_for_nothing(void **state)
{
    struct h2_alive a = {.quiet_ms = 20000, .patience_ms = 5000};

    (void)state;
    h2_alive_heard(&a, 1);
    h2_alive_watch(&a, 100000, true);
    assert_int_equal(h2_alive_act(&a, 119999), H2_ALIVE_WAIT);
    h2_alive_watch(&a, 119999, true); /* one call more changes nothing */
    assert_int_equal(h2_alive_act(&a, 120000), H2_ALIVE_PING);
}

static void one_ping_and_then_the_end(void **state)
{
    struct h2_alive a = begin(1000);

    (void)state;
    assert_int_equal(h2_alive_act(&a, 20999), H2_ALIVE_WAIT);
    assert_int_equal(h2_alive_act(&a, 21000), H2_ALIVE_PING);
    assert_int_equal(h2_alive_due(&a), 26000);
    assert_int_equal(h2_alive_act(&a, 21000), H2_ALIVE_WAIT);
    assert_int_equal(h2_alive_act(&a, 25999), H2_ALIVE_WAIT);
    assert_int_equal(h2_alive_act(&a, 26000), H2_ALIVE_DEAD);
}

static void any_byte_is_a_sign_of_life(void **state)
{
    struct h2_alive a = begin(1000);

    (void)state;
    h2_alive_heard(&a, 20000);
    assert_int_equal(h2_alive_due(&a), 40000);
    assert_int_equal(h2_alive_act(&a, 40000), H2_ALIVE_PING);
    h2_alive_heard(&a, 44999);
    assert_int_equal(h2_alive_act(&a, 50000), H2_ALIVE_WAIT);
    assert_int_equal(h2_alive_act(&a, 64999), H2_ALIVE_PING); /* never sooner than 20 s after the one before */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(nothing_is_asked_without_streams),
            cmocka_unit_test(silence_before_the_first_call_counts_for_nothing),
            cmocka_unit_test(one_ping_and_then_the_end),
            cmocka_unit_test(any_byte_is_a_sign_of_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
