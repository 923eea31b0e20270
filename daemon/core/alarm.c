#include "core/alarm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A timer that only waits for the clock to be set has to be set to something; so far away nobody looks. */
#define FAR_AWAY ((time_t)1 << 40)

struct timer {
    int fd;
    uv_poll_t poll;
    bool is_open;
};

struct alarm {
    void *ctx;
    void (*on_call)(void *ctx);
    struct timer boot, wall;
    unsigned open_handles;
};

uint64_t alarm_boot_ms(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void watch_wall_clock(struct alarm *a)
{
    struct itimerspec far = {.it_value = {.tv_sec = FAR_AWAY}};

    (void)timerfd_settime(a->wall.fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

static void on_boot(uv_poll_t *poll, int status, int events)
{
    struct alarm *a = poll->data;
    uint64_t times;

    (void)status;
    (void)events;
    if (read(a->boot.fd, &times, sizeof(times)) == sizeof(times))
        a->on_call(a->ctx);
}

/* read(2) says ECANCELED after the clock was set, once (timerfd_create(2)). */
static void on_wall(uv_poll_t *poll, int status, int events)
{
    struct alarm *a = poll->data;
    uint64_t times;

    (void)status;
    (void)events;
    if (read(a->wall.fd, &times, sizeof(times)) < 0 && errno == ECANCELED) {
        watch_wall_clock(a);
        a->on_call(a->ctx);
    }
}

static int open_timer(uv_loop_t *loop, struct alarm *a, struct timer *t, int clock, uv_poll_cb cb, struct err *e)
{
    int r;

    t->fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
    if (t->fd < 0)
        return err_errno(e, errno, "a timer");
    r = uv_poll_init(loop, &t->poll, t->fd);
    if (r == 0) {
        t->is_open = true;
        a->open_handles++;
        t->poll.data = a;
        r = uv_poll_start(&t->poll, UV_READABLE, cb);
    }
    return r == 0 ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_UV, r, "a timer: %s", uv_strerror(r));
}

struct alarm *alarm_new(uv_loop_t *loop, void *ctx, void (*on_call)(void *ctx), struct err *e)
{
    struct alarm *a = calloc(1, sizeof(*a));

    if (!a) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    a->ctx = ctx;
    a->on_call = on_call;
    a->boot.fd = a->wall.fd = -1;
    if (open_timer(loop, a, &a->boot, CLOCK_BOOTTIME, on_boot, e) < 0 ||
            open_timer(loop, a, &a->wall, CLOCK_REALTIME, on_wall, e) < 0) {
        alarm_free(a);
        return NULL;
    }
    watch_wall_clock(a);
    return a;
}

static void set(struct alarm *a, uint64_t ns)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)}};

    (void)timerfd_settime(a->boot.fd, 0, &when, NULL);
}

void alarm_set(struct alarm *a, uint64_t ms)
{
    set(a, ms == 0 ? 1 : ms < UINT64_MAX / 1000000 ? ms * 1000000 : UINT64_MAX);
}

void alarm_clear(struct alarm *a)
{
    set(a, 0); /* disarms */
}

static void free_if_closed(struct alarm *a)
{
    if (a->open_handles)
        return;
    if (a->boot.fd >= 0)
        close(a->boot.fd);
    if (a->wall.fd >= 0)
        close(a->wall.fd);
    free(a);
}

static void on_closed(uv_handle_t *h)
{
    struct alarm *a = h->data;

    a->open_handles--;
    free_if_closed(a);
}

void alarm_free(struct alarm *a)
{
    if (!a)
        return;
    if (a->boot.is_open)
        uv_close((uv_handle_t *)&a->boot.poll, on_closed);
    if (a->wall.is_open)
        uv_close((uv_handle_t *)&a->wall.poll, on_closed);
    if (!a->boot.is_open && !a->wall.is_open)
        free_if_closed(a);
}
