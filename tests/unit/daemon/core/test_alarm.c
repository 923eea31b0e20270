/* The alarm rings once for each time that it is set and when the clock is, replaces what was set before, and lets the
 * loop end. */
#include "expect.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include "core/alarm.h"

/* ---- a wall clock that somebody sets ---- */

static struct {
    int fd;         /* of the timer that waits for it */
    unsigned waits; /* how often it was told to */
    bool is_set;    /* just now: what the next read(2) says */
} wall;

int __real_timerfd_create(int clock, int flags);
int __wrap_timerfd_create(int clock, int flags);
int __wrap_timerfd_create(int clock, int flags)
{
    int fd = __real_timerfd_create(clock, flags);

    if (clock == CLOCK_REALTIME)
        wall.fd = fd;
    else
        assert_int_equal(clock, CLOCK_BOOTTIME); /* which suspension does not stop */
    return fd;
}

int __real_timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    wall.waits += fd == wall.fd && flags == (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
    return __real_timerfd_settime(fd, flags, value, old);
}

ssize_t __real_read(int fd, void *data, size_t len);
ssize_t __wrap_read(int fd, void *data, size_t len);
ssize_t __wrap_read(int fd, void *data, size_t len)
{
    if (fd != wall.fd || !wall.is_set)
        return __real_read(fd, data, len);
    wall.is_set = false;
    errno = ECANCELED;
    return -1;
}

/* The timer becomes readable as when the kernel cancels it, and read(2) says so (timerfd_create(2)). */
static void set_wall_clock(void)
{
    struct itimerspec now = {.it_value = {.tv_nsec = 1}};

    wall.is_set = true;
    assert_int_equal(__real_timerfd_settime(wall.fd, TFD_TIMER_ABSTIME, &now, NULL), 0);
}

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
    wall.waits = 0;
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

/* Each time that the clock is set there is a call, at once; and in between none, though the timer far away stays. */
static void test_the_wall_clock_is_set(void **state)
{
    struct world *w = *state;

    alarm_set(w->alarm, UINT64_MAX);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(wall.waits, i);
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
        assert_int_equal(w->calls, i - 1);
        set_wall_clock();
        (void)uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(w->calls, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_rings, begin, end),
            cmocka_unit_test_setup_teardown(test_set_again, begin, end),
            cmocka_unit_test_setup_teardown(test_the_wall_clock_is_set, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
