#include "expect.h"

#include "base/backoff.h"
#include "base/cleanup.h"

static uint64_t whole_of(uint64_t initial, uint64_t max, unsigned attempt)
{
    uint64_t wait = initial;

    while (attempt-- > 0 && wait < max)
        wait *= 2;
    return wait < max ? wait : max;
}

static void waits_double_between_half_and_whole(void **state)
{
    static const uint32_t randoms[] = {0, 1, UINT32_MAX / 2, UINT32_MAX - 1, UINT32_MAX};

    (void)state;
    for (size_t r = 0; r < ARRAY_LEN(randoms); r++) {
        struct backoff b = {.initial_ms = 100, .max_ms = 30000};

        for (unsigned attempt = 0; attempt < 100; attempt++) {
            uint64_t whole = whole_of(100, 30000, attempt), wait = backoff_next(&b, randoms[r]);

            assert_true(wait >= whole / 2 && wait <= whole);
            if (randoms[r] == 0)
                assert_int_equal(wait, whole / 2);
            if (randoms[r] == UINT32_MAX)
                assert_int_equal(wait, whole);
            assert_int_equal(b.attempt, attempt + 1);
        }
    }
}

static void the_random_number_spreads_evenly(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= 100; i++) {
        struct backoff b = {.initial_ms = 200, .max_ms = 200};
        uint64_t wait = backoff_next(&b, (uint32_t)((uint64_t)UINT32_MAX * i / 100));

        assert_in_range(wait, 99 + i, 100 + i);
    }
}

static void no_number_overflows(void **state)
{
    struct backoff b = {.initial_ms = 1, .max_ms = UINT64_MAX};
    uint64_t previous = 0;

    (void)state;
    for (unsigned attempt = 0; attempt < 200; attempt++) {
        uint64_t wait = backoff_next(&b, UINT32_MAX);

        assert_true(wait >= previous);
        previous = wait;
    }
    assert_true(previous == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(waits_double_between_half_and_whole),
            cmocka_unit_test(the_random_number_spreads_evenly),
            cmocka_unit_test(no_number_overflows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
