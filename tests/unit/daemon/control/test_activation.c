/* What the service manager hands over, and what is nothing for us. */
#include "expect.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/activation.h"

static int take(const char *pid, const char *fds)
{
    char own[24];

    (void)snprintf(own, sizeof(own), "%d", (int)getpid());
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    if (pid)
        assert_int_equal(setenv("LISTEN_PID", pid[0] == '=' ? own : pid, 1), 0);
    if (fds)
        assert_int_equal(setenv("LISTEN_FDS", fds, 1), 0);
    assert_int_equal(setenv("LISTEN_FDNAMES", "control", 1), 0);
    return activation_take();
}

static void test_nothing(void **state)
{
    (void)state;
    assert_int_equal(take(NULL, NULL), -1);
    assert_int_equal(take(NULL, "1"), -1);
    assert_int_equal(take("=", NULL), -1);
    assert_int_equal(take("1", "1"), -1); /* somebody else's */
    assert_int_equal(take("=", "0"), -1);
    assert_int_equal(take("", ""), -1);
}

static void test_one(void **state)
{
    int saved = fcntl(3, F_DUPFD_CLOEXEC, 10),
        fd = open("/dev/null", O_RDONLY); /* NOLINT: not closed on exec, as it comes */

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, 3), 3);
    assert_int_equal(take("=", "1"), 3);
    assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
    /* No child inherits the variables, and a second call finds nothing. */
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_int_equal(activation_take(), -1);
    if (saved >= 0) {
        (void)dup2(saved, 3);
        close(saved);
    } else {
        close(3);
    }
    if (fd != 3)
        close(fd);
}

static void test_too_many(void **state)
{
    (void)state;
    assert_int_equal(take("=", "2"), -2);
    assert_null(getenv("LISTEN_FDS"));
    assert_int_equal(take("=", "-1"), -2);
    assert_int_equal(take("=", "99999999999999999999"), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_nothing), cmocka_unit_test(test_one), cmocka_unit_test(test_too_many)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
