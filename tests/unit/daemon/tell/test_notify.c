/* What the service manager hears, on a socket of the test: the corners of the variables that name it, and each message
 * as it is sent. How a daemon uses them is shown by the system tests. */
#include "expect.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "failing.h"
#include "folder.h"
#include "tell/notify.h"

enum { PATH_LONGEST = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

static uv_loop_t loop;
static int manager; /* where the messages arrive; -1: no socket */

/* ---- what the code under test calls ---- */

static struct jobs_observer observer;

void jobs_observe(struct jobs *j, const struct jobs_observer *o)
{
    assert_null(j);
    observer = *o;
}

/* The one timer is the watchdog's. */
static struct {
    unsigned calls;
    uint64_t timeout, repeat;
} timer;

int __real_uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    timer.calls++;
    timer.timeout = timeout;
    timer.repeat = repeat;
    return __real_uv_timer_start(handle, cb, timeout, repeat);
}

/* ---- the manager ---- */

/* Listens where $NOTIFY_SOCKET = name leads to. */
static void listen_at(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(name);

    assert_in_range(len, 1, PATH_LONGEST);
    memcpy(at.sun_path, name, len);
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    else
        len++; /* the end of the path; an abstract name has none (unix(7)) */
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(manager >= 0);
    assert_int_equal(
            bind(manager, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
}

/* The next message; NULL when none has come. */
static const char *hear(void)
{
    static char message[8192];
    ssize_t len = recv(manager, message, sizeof(message) - 1, 0);

    if (len < 0)
        return NULL;
    message[len] = '\0';
    return message;
}

static void expect_message(const char *text)
{
    const char *heard = hear();

    assert_non_null(heard);
    assert_string_equal(heard, text);
}

/* ---- us ---- */

static void set_or_not(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static struct notify *begin(const char *name, const char *usec, const char *pid)
{
    struct notify *n;

    memset(&timer, 0, sizeof(timer));
    set_or_not("NOTIFY_SOCKET", name);
    set_or_not("WATCHDOG_USEC", usec);
    set_or_not("WATCHDOG_PID", pid);
    n = notify_new(&loop);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    return n;
}

static void say_everything(struct notify *n)
{
    notify_ready(n);
    notify_reloading(n);
    notify_stopping(n);
    notify_status(n, "%s", "something");
}

/* What notify_free closed goes with the loop. */
static void end(struct notify *n)
{
    notify_free(n);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
}

static int setup(void **state)
{
    manager = -1;
    memset(&observer, 0, sizeof(observer));
    return uv_loop_init(&loop) == 0 ? folder_setup(state) : -1;
}

static int teardown(void **state)
{
    if (manager >= 0)
        close(manager);
    return uv_loop_close(&loop) == 0 ? folder_teardown(state) : -1; /* UV_EBUSY if a handle were left */
}

/* A path in the folder of the test. */
static const char *path_in_folder(void)
{
    static char path[PATH_LONGEST + 1];

    assert_in_range(snprintf(path, sizeof(path), "%s/notify", folder_path()), 1, PATH_LONGEST);
    return path;
}

/* ---- where to ---- */

/* As long as an address can be, and as short. */
static void test_addresses(void **state)
{
    char path[PATH_LONGEST + 1], abstract[PATH_LONGEST + 1];
    const char *names[] = {path_in_folder(), path, abstract, "@x"};

    (void)state;
    assert_in_range(snprintf(path, sizeof(path), "%s/", folder_path()), 1, PATH_LONGEST);
    memset(path + strlen(path), 'p', sizeof(path) - strlen(path) - 1);
    path[PATH_LONGEST] = '\0';
    assert_true(snprintf(abstract, sizeof(abstract), "@ebd-%d-", (int)getpid()) > 0);
    memset(abstract + strlen(abstract), 'a', sizeof(abstract) - strlen(abstract) - 1);
    abstract[PATH_LONGEST] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct notify *n;

        listen_at(names[i]);
        n = begin(names[i], NULL, NULL);
        notify_ready(n);
        expect_message("READY=1");
        end(n);
        close(manager);
    }
    manager = -1;
}

/* Nobody is there, or it is no address: nothing is said, nothing is waited for, and nothing stays open. */
static void test_no_address(void **state)
{
    char too_long[PATH_LONGEST + 2], very_long[10000];
    const char *names[] = {"@", "/", "/nowhere/at/all", NULL, "", "relative", "vsock:2:1234", too_long, very_long};
    int lowest = dup(0);

    (void)state;
    close(lowest);
    memset(too_long, '/', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    memset(very_long, '@', sizeof(very_long) - 1);
    very_long[sizeof(very_long) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct notify *n = begin(names[i], "200000", NULL);
        int now;

        assert_int_equal(timer.calls, i < 3); /* where it is no address, nothing wakes us */
        say_everything(n);
        notify_watch(n, NULL);
        end(n);
        now = dup(0);
        assert_int_equal(now, lowest);
        close(now);
    }
}

/* Without memory the daemon does its work unheard. */
static void test_no_memory(void **state)
{
    struct notify *n;

    (void)state;
    listen_at(path_in_folder());
    failing_arm(1);
    n = begin(path_in_folder(), "200000", NULL);
    assert_true(failing_disarm());
    assert_null(n);
    say_everything(n);
    notify_watch(n, NULL);
    end(n);
    assert_null(hear());
}

/* A child that we start does not speak for us. */
static void test_no_child_has_it(void **state)
{
    int fd;
    struct notify *n;

    (void)state;
    listen_at(path_in_folder());
    fd = dup(0);
    close(fd);
    n = begin(path_in_folder(), NULL, NULL);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    end(n);
}

/* A manager that does not read keeps nobody waiting; what came before is whole. */
static void test_a_full_socket(void **state)
{
    struct notify *n;
    unsigned heard = 0;

    (void)state;
    listen_at(path_in_folder());
    n = begin(path_in_folder(), NULL, NULL);
    for (unsigned i = 0; i < 10000; i++)
        notify_status(n, "%u", i);
    for (const char *message; (message = hear()); heard++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "STATUS=%u", heard);
        assert_string_equal(message, text);
    }
    assert_in_range(heard, 1, 9999);
    notify_ready(n);
    expect_message("READY=1");
    end(n);
}

/* ---- what is said ---- */

static uint64_t monotonic_usec(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void test_messages(void **state)
{
    uint64_t before, told = 0;
    const char *heard;
    struct notify *n;
    int len = 0;

    (void)state;
    listen_at(path_in_folder());
    n = begin(path_in_folder(), NULL, NULL);
    assert_null(hear()); /* not before it is said */
    notify_ready(n);
    expect_message("READY=1");
    notify_stopping(n);
    expect_message("STOPPING=1");
    notify_status(n, "%d of %s", 3, "five");
    expect_message("STATUS=3 of five");
    before = monotonic_usec();
    notify_reloading(n);
    heard = hear();
    assert_non_null(heard);
    assert_int_equal(sscanf(heard, "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "%n", &told, &len), 1);
    assert_int_equal(len, strlen(heard));
    assert_in_range(told, before, monotonic_usec());
    assert_null(hear());
    end(n);
}

/* systemd takes no message of more than 4 KiB. */
static void test_a_long_status(void **state)
{
    char text[10000];
    const char *heard;
    struct notify *n;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    listen_at(path_in_folder());
    n = begin(path_in_folder(), NULL, NULL);
    notify_status(n, "%s", text);
    heard = hear();
    assert_non_null(heard);
    assert_int_equal(strncmp(heard, "STATUS=xxx", 10), 0);
    assert_in_range(strlen(heard), 1000, 4095);
    end(n);
}

/* The text of a status, with the instants, which are "now" or the backup's, as T. */
static const char *status(void)
{
    static char text[4096];
    const char *heard = hear();
    size_t used = 0;

    assert_non_null(heard);
    assert_int_equal(strncmp(heard, "STATUS=", 7), 0);
    for (heard += 7; *heard;) {
        int len = 0;

        if (isdigit((unsigned char)*heard))
            (void)sscanf(heard, "%*4d-%*2d-%*2dT%*2d:%*2d:%*2dZ%n", &len);
        text[used++] = len ? 'T' : *heard;
        heard += len ? len : 1;
    }
    text[used] = '\0';
    return text;
}

static void test_what_the_jobs_do(void **state)
{
    const struct backup_result backup = {.instant = 1733520145, .snapshot_size = 3 << 20};
    struct err e = ERR_INIT;
    struct notify *n;

    (void)state;
    listen_at(path_in_folder());
    n = begin(path_in_folder(), NULL, NULL);
    notify_watch(n, NULL);
    observer.started(observer.ctx, "backup");
    assert_string_equal(status(), "backup is running");
    observer.ended(observer.ctx, "backup", &(struct job_result){.backup = &backup}, NULL);
    expect_message("STATUS=last backup 2024-12-06T21:22:25Z, 3.0 MiB");
    observer.ended(observer.ctx, "verify", &(struct job_result){0}, NULL);
    assert_string_equal(status(), "verify done at T");
    /* What a server wrote into its message does not become a message of ours. */
    (void)err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "it said: no\nMAINPID=1\nREADY=1");
    observer.ended(observer.ctx, "prune", NULL, &e);
    assert_string_equal(status(), "prune failed at T: it said: no?MAINPID=1?READY=1");
    assert_null(hear());
    end(n);
}

/* ---- alive ---- */

/* Half the time that is allowed, in ms; 0: nobody asks for it. */
static void test_watchdog_time(void **state)
{
    static const struct {
        const char *usec, *pid; /* "=": our own */
        uint64_t ms;
    } rows[] = {
            {"120000000", NULL, 60000},
            {"120000000", "=", 60000},
            {"3000", "=", 1},
            {NULL, NULL, 0},
            {NULL, "=", 0},
            {"", NULL, 0},
            {"0", NULL, 0},
            {"1", NULL, 0}, /* no timer is so fine */
            {"often", NULL, 0},
            /* Somebody else's, or nobody's. */
            {"120000000", "1", 0},
            {"120000000", "", 0},
            {"120000000", "0", 0},
            {"120000000", "-1", 0},
            {"120000000", "99999999999999999999", 0},
            {"120000000", "us", 0},
            /* For ever, which is not now: a time that wraps around would wake us without end. */
            {"18446744073709551615", NULL, UINT64_MAX / 2000},
            {"99999999999999999999", NULL, UINT64_MAX / 2000},
    };

    (void)state;
    listen_at(path_in_folder());
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char own[24];
        struct notify *n;

        (void)snprintf(own, sizeof(own), "%d", (int)getpid());
        n = begin(path_in_folder(), rows[i].usec, rows[i].pid && rows[i].pid[0] == '=' ? own : rows[i].pid);
        assert_int_equal(timer.calls, rows[i].ms > 0);
        assert_int_equal(timer.timeout, rows[i].ms);
        assert_int_equal(timer.repeat, rows[i].ms);
        assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 0); /* nothing that keeps the loop alive, or comes at once */
        assert_null(hear());
        end(n);
    }
}

static void on_enough(uv_idle_t *idle)
{
    if (hear())
        uv_close((uv_handle_t *)idle, NULL);
}

/* libuv from 1.45 on looks at its timers once more behind the last turn, which on a busy machine is late enough. */
static void forget_what_came(void)
{
    while (hear())
        continue;
}

/* It comes from the loop, while that turns, and no more after the end. */
static void test_watchdog(void **state)
{
    struct notify *n;
    uv_idle_t turning;

    (void)state;
    listen_at(path_in_folder());
    n = begin(path_in_folder(), "20000", NULL);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t before = uv_now(&loop);

        forget_what_came();
        assert_int_equal(uv_idle_init(&loop, &turning), 0);
        assert_int_equal(uv_idle_start(&turning, on_enough), 0);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_true(uv_now(&loop) > before);
    }
    end(n);
    forget_what_came();
    for (uint64_t after = uv_now(&loop); uv_now(&loop) <= after + 20;)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_null(hear());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_address, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_child_has_it, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_full_socket, setup, teardown),
            cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_long_status, setup, teardown),
            cmocka_unit_test_setup_teardown(test_what_the_jobs_do, setup, teardown),
            cmocka_unit_test_setup_teardown(test_watchdog_time, setup, teardown),
            cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
