#include "tell/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "base/timestamp.h"

enum { MESSAGE_MAX = 2048 };

struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un to;
    socklen_t to_len;
    uv_timer_t watchdog;
    bool has_watchdog;
};

static void say(struct notify *n, const char *message)
{
    if (n && n->fd >= 0)
        (void)sendto(
                n->fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&n->to, n->to_len);
}

static void on_watchdog(uv_timer_t *timer)
{
    say(timer->data, "WATCHDOG=1");
}

/* "@name" is of the abstract name space (unix(7)). */
static int set_address(struct notify *n, const char *path)
{
    size_t len = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || len >= sizeof(n->to.sun_path))
        return -1;
    n->to.sun_family = AF_UNIX;
    (void)memcpy(n->to.sun_path, path, len + 1);
    if (path[0] == '@')
        n->to.sun_path[0] = '\0';
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
    return 0;
}

/* $WATCHDOG_PID names whom it is meant for (sd_watchdog_enabled(3)). */
static uint64_t watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return strtoull(usec, NULL, 10) / 1000 / 2;
}

static void start_watchdog(struct notify *n, uv_loop_t *loop)
{
    uint64_t ms = watchdog_ms();

    if (n->fd < 0 || ms == 0)
        return;
    n->has_watchdog = true;
    n->watchdog.data = n;
    (void)uv_timer_init(loop, &n->watchdog);
    (void)uv_timer_start(&n->watchdog, on_watchdog, ms, ms);
    uv_unref((uv_handle_t *)&n->watchdog);
}

struct notify *notify_new(uv_loop_t *loop)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct notify *n = calloc(1, sizeof(*n));

    if (n) {
        n->fd = path && set_address(n, path) == 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
        start_watchdog(n, loop);
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return n;
}

void notify_status(struct notify *n, const char *fmt, ...)
{
    char message[MESSAGE_MAX] = "STATUS=";
    size_t used = strlen(message);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(message + used, sizeof(message) - used, fmt, ap);
    va_end(ap);
    say(n, message);
}

void notify_ready(struct notify *n)
{
    say(n, "READY=1");
}

void notify_reloading(struct notify *n)
{
    struct timespec t = {0};
    char message[80];

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    (void)snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
            (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
    say(n, message);
}

void notify_stopping(struct notify *n)
{
    say(n, "STOPPING=1");
}

/* ---- what the jobs do ---- */

static void on_started(void *ctx, const char *job)
{
    notify_status(ctx, "%s is running", job);
}

static void on_ended(void *ctx, const char *job, const struct job_result *result, const struct err *err)
{
    char size[SIZE_TEXT_MAX], at[TIMESTAMP_TEXT_MAX];

    if (err)
        notify_status(ctx, "%s failed at %s: %s", job, timestamp_format(timestamp_now(), at), err->text);
    else if (result->backup)
        notify_status(ctx, "last backup %s, %s", timestamp_format(result->backup->instant, at),
                size_format(result->backup->snapshot_size, size));
    else
        notify_status(ctx, "%s done at %s", job, timestamp_format(timestamp_now(), at));
}

void notify_watch(struct notify *n, struct jobs *jobs)
{
    if (n && n->fd >= 0)
        jobs_observe(jobs, &(struct jobs_observer){.ctx = n, .started = on_started, .ended = on_ended});
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    if (n->fd >= 0)
        close(n->fd);
    if (n->has_watchdog)
        uv_close((uv_handle_t *)&n->watchdog, on_closed);
    else
        free(n);
}
