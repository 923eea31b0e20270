/*
 * hurry.c: preloaded (ld.so(8)) into a program that uses libuv, it makes timers of exactly $HURRY_MS ms run out after a
 * thousandth of that. So a limit that is too long for a test is reached by the program as it is; a limit of another
 * length is left alone, and the test that waits for it hangs. With $HURRY_TIMES its clock goes so many times as fast,
 * for limits that are looked at rather than waited for.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <uv.h>

int uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    int (*start)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);
    const char *hurried = getenv("HURRY_MS");

    *(void **)&start = dlsym(RTLD_NEXT, "uv_timer_start");
    return start(handle, cb, hurried && timeout == strtoull(hurried, NULL, 10) ? timeout / 1000 : timeout, repeat);
}

uint64_t uv_now(const uv_loop_t *loop)
{
    uint64_t (*now)(const uv_loop_t *);
    const char *times = getenv("HURRY_TIMES");

    *(void **)&now = dlsym(RTLD_NEXT, "uv_now");
    return now(loop) * (times ? strtoull(times, NULL, 10) : 1);
}
