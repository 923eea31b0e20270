/*
 * hurry.c: preloaded (ld.so(8)) into a program that uses libuv, it makes timers of exactly $HURRY_MS ms run out after a
 * thousandth of that. So a limit that is too long for a test is reached by the program as it is; a limit of another
 * length is left alone, and the test that waits for it hangs. With $HURRY_TIMES its clock goes so many times as fast,
 * for limits that are looked at rather than waited for. With $HURRY_SHIFT its calendar is so many seconds ahead of the
 * machine's, or behind it; clocks that only count go on as they are.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <uv.h>

int uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    int (*start)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);
    const char *hurried = getenv("HURRY_MS");

    *(void **)&start = dlsym(RTLD_NEXT, "uv_timer_start");
    return start(handle, cb, hurried && timeout == strtoull(hurried, NULL, 10) ? timeout / 1000 : timeout, repeat);
}

static time_t shift(void)
{
    const char *seconds = getenv("HURRY_SHIFT");

    return seconds ? strtol(seconds, NULL, 10) : 0;
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int (*get)(clockid_t, struct timespec *);
    int ret;

    *(void **)&get = dlsym(RTLD_NEXT, "clock_gettime");
    ret = get(id, out);
    if (ret == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        out->tv_sec += shift();
    return ret;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    int (*get)(struct timeval *, void *);
    int ret;

    *(void **)&get = dlsym(RTLD_NEXT, "gettimeofday");
    ret = get(out, zone);
    if (ret == 0)
        out->tv_sec += shift();
    return ret;
}

time_t time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

uint64_t uv_now(const uv_loop_t *loop)
{
    uint64_t (*now)(const uv_loop_t *);
    const char *times = getenv("HURRY_TIMES");

    *(void **)&now = dlsym(RTLD_NEXT, "uv_now");
    return now(loop) * (times ? strtoull(times, NULL, 10) : 1);
}
