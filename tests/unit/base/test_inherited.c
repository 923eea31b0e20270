/* What a program gets from whoever started it: each case in a child, since it spoils what a process has once. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/inherited.h"

/* The status that `run` ends with, in a process of its own. */
static int in_child(int (*run)(unsigned), unsigned arg)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(run(arg));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Bits of `closed` are the descriptors that are not there. Those that are stay what they were; and what is written to a
 * stdout that is not there fails. */
static int run_with_closed(unsigned closed)
{
    struct stat before[3], after, null;

    for (int fd = 0; fd < 3; fd++)
        if (closed & 1U << fd)
            close(fd);
        else if (fstat(fd, &before[fd]) < 0)
            return 1;
    if (inherited_clean() < 0 || stat("/dev/null", &null) < 0)
        return 2;
    for (int fd = 0; fd < 3; fd++) {
        if (fstat(fd, &after) < 0)
            return 3;
        if (closed & 1U << fd ? after.st_rdev != null.st_rdev : after.st_ino != before[fd].st_ino)
            return 4;
    }
    if (closed & 1U << STDOUT_FILENO && (write(STDOUT_FILENO, "x", 1) >= 0 || errno != EBADF))
        return 5;
    return open("/dev/null", O_RDONLY) >= 3 ? 0 : 6;
}

static void test_closed_descriptors(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++)
        assert_int_equal(in_child(run_with_closed, closed), 0);
}

static int run_with_mask(unsigned unused)
{
    sigset_t set;

    (void)unused;
    (void)sigfillset(&set);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0 || inherited_clean() < 0)
        return 1;
    if (sigprocmask(SIG_SETMASK, NULL, &set) < 0)
        return 2;
    for (int number = 1; number < 32; number++)
        if (sigismember(&set, number) != 0)
            return 3;
    return 0;
}

static void test_a_mask(void **state)
{
    (void)state;
    assert_int_equal(in_child(run_with_mask, 0), 0);
}

static int run_with_ignored(unsigned number)
{
    struct sigaction now;

    if (signal((int)number, SIG_IGN) == SIG_ERR || inherited_clean() < 0)
        return 2;
    return sigaction((int)number, NULL, &now) < 0 ? 3 : now.sa_handler == SIG_IGN;
}

static void test_ignored_signals(void **state)
{
    (void)state;
    assert_int_equal(in_child(run_with_ignored, SIGCHLD), 0);
    assert_int_equal(in_child(run_with_ignored, SIGPIPE), 0);
    assert_int_equal(in_child(run_with_ignored, SIGTERM), 0);
    assert_int_equal(in_child(run_with_ignored, (unsigned)SIGRTMAX), 0);
    assert_int_equal(in_child(run_with_ignored, SIGHUP), 1); /* nohup */
    assert_int_equal(in_child(run_with_ignored, SIGINT), 1); /* what a shell starts in its background */
}

/* 0 if a write beyond the limit fails as on a full disk. */
static int run_with_limit(unsigned unused)
{
    const struct rlimit none = {0};
    int fd = open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    (void)unused;
    if (fd < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 || inherited_clean() < 0)
        return 1;
    return write(fd, "x", 1) < 0 && errno == EFBIG ? 0 : 2;
}

static void test_limit_of_file_sizes(void **state)
{
    (void)state;
    assert_int_equal(in_child(run_with_limit, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_closed_descriptors),
            cmocka_unit_test(test_a_mask),
            cmocka_unit_test(test_ignored_signals),
            cmocka_unit_test(test_limit_of_file_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
