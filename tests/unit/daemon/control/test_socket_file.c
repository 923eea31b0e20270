/* The control socket's file: one daemon's, whatever others do at the same time. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/socket_file.h"
#include "failing.h"
#include "folder.h"

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(addr.sun_path, path);
    return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ? 0 : errno;
}

static struct socket_file *make(int *fd)
{
    struct err e = ERR_INIT;
    struct socket_file *f = socket_file_make("sock", NULL, fd, &e);

    expect_success(f, &e);
    assert_int_equal(listen(*fd, 1), 0);
    return f;
}

static void expect_refused(const char *path, enum err_kind kind, const char *text)
{
    struct err e = ERR_INIT;
    int fd = -1;

    assert_null(socket_file_make(path, NULL, &fd, &e));
    expect_error(&e, kind, text);
    assert_int_equal(fd, -1);
}

static void test_life(void **state)
{
    mode_t before = umask(0);
    struct stat st;

    (void)state;
    for (int i = 0; i < 3; i++) {
        _cleanup_close_ int fd = -1;
        struct socket_file *f = make(&fd);

        assert_int_equal(lstat("sock", &st), 0);
        assert_int_equal(st.st_mode, S_IFSOCK | 0600);
        assert_int_equal(lstat("sock.lock", &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0600);
        assert_int_equal(connect_to("sock"), 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        socket_file_remove(f);
        assert_int_equal(folder_count(), 0);
    }
    assert_int_equal(umask(before), 0);
    socket_file_remove(NULL);
}

static void test_group(void **state)
{
    _cleanup_close_ int fd = -1;
    gid_t group = geteuid() == 0 ? 54321 : getegid();
    struct err e = ERR_INIT;
    struct socket_file *f = socket_file_make("sock", &group, &fd, &e);
    struct stat st;

    (void)state;
    expect_success(f, &e);
    assert_int_equal(lstat("sock", &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0660);
    assert_int_equal(st.st_gid, group);
    socket_file_remove(f);
}

/* Left behind by one that was killed: neither file says anything. */
static void test_stale(void **state)
{
    _cleanup_close_ int fd = -1;
    pid_t child = fork();
    int status;
    struct socket_file *f;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        (void)make(&fd);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(folder_count(), 2);
    assert_int_equal(connect_to("sock"), ECONNREFUSED);
    f = make(&fd);
    assert_int_equal(connect_to("sock"), 0);
    socket_file_remove(f);
}

static void test_taken(void **state)
{
    _cleanup_close_ int fd = -1;
    struct socket_file *f = make(&fd);
    struct stat before, after;

    (void)state;
    assert_int_equal(lstat("sock", &before), 0);
    expect_refused("sock", ERR_BUSY, "another etcd-backupd has sock");
    assert_int_equal(lstat("sock", &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    socket_file_remove(f);
}

/* A daemon that is bound and does not listen yet looks like a dead one. */
static void test_just_starting(void **state)
{
    _cleanup_close_ int fd = -1;
    struct err e = ERR_INIT;
    struct socket_file *f = socket_file_make("sock", NULL, &fd, &e);

    (void)state;
    expect_success(f, &e);
    assert_int_equal(connect_to("sock"), ECONNREFUSED);
    expect_refused("sock", ERR_BUSY, "another etcd-backupd has sock");
    assert_int_equal(folder_count(), 2);
    socket_file_remove(f);
}

/* Somebody listens there who knows nothing of locks. */
static void test_foreign(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "sock"};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < 3; i++) /* also when its queue is full */
        expect_refused("sock", ERR_BUSY, "another etcd-backupd listens on sock");
    assert_int_equal(folder_count(), 1); /* and the lock is gone */
}

/* One of many that start when `go` is closed, and keep what they got until `end` is. */
static void run_one(const int go[2], const int end[2], int results)
{
    struct err e = ERR_INIT;
    int fd = -1;
    char result;

    close(go[1]);
    close(end[1]);
    (void)!read(go[0], &result, 1);
    result = socket_file_make("sock", NULL, &fd, &e) ? 'y' : e.kind == ERR_BUSY ? 'n' : '?';
    if (result == 'y' && listen(fd, 1) < 0)
        result = '?';
    (void)!write(results, &result, 1);
    (void)!read(end[0], &result, 1);
    _exit(0);
}

/* Exactly one of them has it, and it is the one whose file is there. */
static void test_race(void **state)
{
    enum { RUNNERS = 12 };
    int go[2], end[2], results[2], winners = 0;
    char result;

    (void)state;
    assert_true(pipe(go) == 0 && pipe(end) == 0 && pipe(results) == 0);
    for (int i = 0; i < RUNNERS; i++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0)
            run_one(go, end, results[1]);
    }
    close(go[0]);
    close(go[1]);
    close(results[1]);
    for (int i = 0; i < RUNNERS; i++) {
        assert_int_equal(read(results[0], &result, 1), 1);
        assert_true(result == 'y' || result == 'n');
        winners += result == 'y';
    }
    assert_int_equal(winners, 1);
    assert_int_equal(connect_to("sock"), 0);
    close(end[0]);
    close(end[1]);
    close(results[0]);
    while (wait(NULL) > 0)
        ;
}

/* Ours was removed, and another daemon's is there now: it is not ours to remove. */
static void test_replaced(void **state)
{
    _cleanup_close_ int fd = -1;
    struct socket_file *f = make(&fd);

    (void)state;
    folder_write("new", "", 0, 0600);
    assert_int_equal(rename("new", "sock"), 0);
    socket_file_remove(f);
    assert_int_equal(access("sock", F_OK), 0);
}

static void test_refused(void **state)
{
    char path[200], text[300];

    (void)state;
    folder_write("sock", "a file", 6, 0600);
    expect_refused("sock", ERR_CONFIG, "control.socket: sock exists and is not a socket");
    assert_int_equal(unlink("sock"), 0);
    assert_int_equal(symlink("nowhere", "sock"), 0);
    expect_refused("sock", ERR_CONFIG, "control.socket: sock exists and is not a socket");
    assert_int_equal(folder_count(), 1);
    expect_refused("none/sock", ERR_CONFIG,
            "control.socket: directory none does not exist: mkdir -p none (the unit makes it, with RuntimeDirectory=)");
    assert_int_equal(symlink("/etc/passwd", "other.lock"), 0);
    expect_refused("other", ERR_CONFIG, "control.socket: other.lock: Too many levels of symbolic links");
    memset(path, 'p', 108);
    path[108] = '\0';
    (void)snprintf(text, sizeof(text), "control.socket: %s is too long for a socket", path);
    expect_refused(path, ERR_CONFIG, text);
    assert_int_equal(folder_count(), 2);
}

static void test_no_memory(void **state)
{
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        _cleanup_close_ int fd = -1;
        struct err e = ERR_INIT;
        struct socket_file *f;

        failing_arm(++n);
        f = socket_file_make("sock", NULL, &fd, &e);
        reached = failing_disarm();
        assert_true(!f == reached);
        assert_true(!reached || e.kind == ERR_RESOURCE);
        socket_file_remove(f);
        assert_int_equal(folder_count(), 0);
    } while (reached);
    assert_true(n > 2);
}

/* Another user's link is not followed: the lock would be made, and a socket removed, elsewhere. */
static void test_link_of_another(void **state)
{
    char text[ERR_TEXT_MAX];

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir("outside", 0700) | symlink("outside", "theirs") | lchown("theirs", 75000, 75000), 0);
    (void)snprintf(text, sizeof(text),
            "control.socket: theirs/sock: %s/theirs is a symbolic link of user 75000, who could make it lead anywhere, "
            "and "
            "is not followed: name the place itself",
            folder_path());
    expect_refused("theirs/sock", ERR_CONFIG, text);
    assert_int_equal(rmdir("outside"), 0); /* it is empty */
}

/* The directory is swapped while the daemon runs: what it removes at its end is its own. */
static void test_directory_is_swapped(void **state)
{
    struct err e = ERR_INIT;
    struct socket_file *f;
    int fd = -1;

    (void)state;
    assert_int_equal(mkdir("run", 0700) | mkdir("outside", 0700), 0);
    f = socket_file_make("run/sock", NULL, &fd, &e);
    expect_success(f, &e);
    assert_int_equal(rename("run", "aside") | symlink("outside", "run"), 0);
    folder_write("outside/sock", "", 0, 0600);
    folder_write("outside/sock.lock", "", 0, 0600);
    socket_file_remove(f);
    close(fd);
    assert_int_equal(unlink("outside/sock") | unlink("outside/sock.lock") | rmdir("aside"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_life, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_group, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_stale, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_taken, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_just_starting, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_foreign, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_race, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_replaced, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_refused, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_no_memory, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_link_of_another, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_directory_is_swapped, folder_setup, folder_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
