/* The alarm rings once for each time that it is set, replaces what was set before, and lets the loop end. */
#include "expect.h"

#include <uv.h>

#include "alarm.h"

struct world {
    uv_loop_t loop;
    struct alarm *alarm;
    unsigned calls;
    uint64_t at;
};

static void on_call(void *ctx)
{
    struct world *w = ctx;

    w->calls++;
    w->at = alarm_boot_ms();
    uv_stop(&w->loop);
}

static int begin(void **state)
{
    static struct world w;
    struct err e = ERR_INIT;

    w = (struct world){0};
    *state = &w;
    assert_int_equal(uv_loop_init(&w.loop), 0);
    w.alarm = alarm_new(&w.loop, &w, on_call, &e);
    return w.alarm ? 0 : -1;
}

static int end(void **state)
{
    struct world *w = *state;

    alarm_free(w->alarm);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    return uv_loop_close(&w->loop); /* UV_EBUSY if a handle were left */
}

static void test_rings(void **state)
{
    struct world *w = *state;
    uint64_t before = alarm_boot_ms();

    alarm_set(w->alarm, 50);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->calls, 1);
    assert_true(w->at >= before + 50);
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->calls, 1); /* once */
    alarm_set(w->alarm, 0);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->calls, 2);
}

static void test_set_again(void **state)
{
    struct world *w = *state;

    alarm_set(w->alarm, 1);
    alarm_set(w->alarm, UINT64_MAX); /* far away, not wrapped around to soon */
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    alarm_set(w->alarm, 20);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->calls, 1);
    alarm_set(w->alarm, 1);
    alarm_clear(w->alarm);
    for (uint64_t began = alarm_boot_ms(); alarm_boot_ms() < began + 5;)
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_rings, begin, end),
            cmocka_unit_test_setup_teardown(test_set_again, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
