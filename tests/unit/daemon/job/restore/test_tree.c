/* Trees of files, while somebody else lays links in them. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder.h"
#include "job/restore/tree.h"

/* ---- somebody who comes before the system call of a number ---- */

static unsigned calls, comes_before; /* 0: never */
static const char *swapped;

static void swap(void)
{
    char aside[64];

    if (++calls != comes_before)
        return;
    (void)snprintf(aside, sizeof(aside), "%s.aside", swapped);
    if (rename(swapped, aside) == 0)
        assert_int_equal(symlink("/proc/self/cwd/outside", swapped), 0);
}

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...)
{
    swap();
    return __real_openat64(dir, name, flags, 0);
}

int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags)
{
    swap();
    return __real_unlinkat(dir, name, flags);
}

int __real_fchown(int fd, uid_t uid, gid_t gid);
int __wrap_fchown(int fd, uid_t uid, gid_t gid);
int __wrap_fchown(int fd, uid_t uid, gid_t gid)
{
    swap();
    return __real_fchown(fd, uid, gid);
}

int __real_fstatat64(int dir, const char *name, struct stat *st, int flags);
int __wrap_fstatat64(int dir, const char *name, struct stat *st, int flags);
int __wrap_fstatat64(int dir, const char *name, struct stat *st, int flags)
{
    swap();
    return __real_fstatat64(dir, name, st, flags);
}

/* ---- the tree, and what must not be touched ---- */

static void make_tree(void)
{
    assert_int_equal(mkdir("tree", 0700) | mkdir("tree/member", 0700) | mkdir("tree/member/wal", 0700) |
                             mkdir("outside", 0700) | mkdir("outside/wal", 0750),
            0);
    folder_write("tree/member/wal/0.wal", "log", 3, 0600);
    folder_write("tree/member/file", "content", 7, 0600);
    folder_write("outside/file", "theirs", 6, 0640);
    folder_write("outside/wal/0.wal", "theirs", 6, 0640);
    assert_int_equal(symlink("/proc/self/cwd/outside", "tree/link"), 0);
}

static int open_tree(void)
{
    int fd = __real_openat64(AT_FDCWD, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void expect_own(const char *path, mode_t mode)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        fail_msg("%s: %s (call %u)", path, strerror(errno), comes_before);
    if (st.st_uid != geteuid() || (st.st_mode & 0777) != mode)
        fail_msg("%s: owner %u, mode %o (call %u)", path, st.st_uid, st.st_mode, comes_before);
}

static void expect_outside(void)
{
    expect_own("outside", 0700);
    expect_own("outside/file", 0640);
    expect_own("outside/wal", 0750);
    expect_own("outside/wal/0.wal", 0640);
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* ---- nobody disturbs ---- */

static void test_empty(void **state)
{
    _cleanup_close_ int fd = -1;

    (void)state;
    make_tree();
    fd = open_tree();
    assert_true(tree_empty(fd));
    assert_int_equal(rmdir("tree"), 0); /* which is empty */
    expect_outside();
}

/* What is deeper than can be looked at stays, and is told. */
static void test_too_deep(void **state)
{
    char path[6 * TREE_DEPTH_MAX] = "tree";
    struct err e = ERR_INIT;
    _cleanup_close_ int fd = -1;

    (void)state;
    for (unsigned i = 0; i <= TREE_DEPTH_MAX; i++) {
        assert_int_equal(mkdir(path, 0700), 0);
        strcat(path, "/d");
    }
    fd = open_tree();
    assert_int_equal(tree_give(fd, geteuid(), getegid(), "tree", &e), -1);
    expect_error(&e, ERR_CONFIG, "tree: has too many directories in each other");
    assert_false(tree_empty(fd));
}

static void test_give(void **state)
{
    static const char *const given[] = {
            "tree", "tree/member", "tree/member/wal", "tree/member/wal/0.wal", "tree/member/file", "tree/link"};
    struct err e = ERR_INIT;
    _cleanup_close_ int fd = -1;

    (void)state;
    if (geteuid() != 0)
        skip();
    make_tree();
    fd = open_tree();
    expect_success(tree_give(fd, 71234, 74321, "tree", &e) == 0, &e);
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        struct stat st;

        assert_int_equal(lstat(given[i], &st), 0);
        assert_int_equal(st.st_uid, 71234);
        assert_int_equal(st.st_gid, 74321);
    }
    expect_outside();
}

/* Another name of a file elsewhere would give that away. */
static void test_give_another_name(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_close_ int fd = -1;

    (void)state;
    if (geteuid() != 0)
        skip();
    make_tree();
    assert_int_equal(link("outside/file", "tree/member/another"), 0);
    fd = open_tree();
    assert_int_equal(tree_give(fd, 71234, 74321, "tree", &e), -1);
    expect_error(&e, ERR_CONFIG,
            "tree/.../another: has another name as well and may be somebody else's: it is not given away");
    expect_outside();
}

/* ---- somebody swaps directories and files for links, at each step ---- */

static void remove_all(void)
{
    assert_int_equal(chdir("..") == 0 ? folder_teardown(NULL) : -1, 0);
    assert_int_equal(folder_setup(NULL), 0);
}

static void swap_at_each_step(bool (*work)(int fd))
{
    static const char *const victims[] = {
            "tree/member", "tree/member/wal", "tree/member/file", "tree/member/wal/0.wal"};

    for (size_t i = 0; i < ARRAY_LEN(victims); i++) {
        unsigned n = 0;

        do {
            int fd;

            make_tree();
            fd = open_tree();
            swapped = victims[i];
            calls = 0;
            comes_before = ++n;
            (void)work(fd);
            comes_before = 0;
            close(fd);
            expect_outside();
            remove_all();
        } while (calls >= n);
        assert_true(n > 8);
    }
}

static bool give(int fd)
{
    struct err e = ERR_INIT;

    return tree_give(fd, 71234, 74321, "tree", &e) == 0;
}

static void test_swaps_while_it_is_emptied(void **state)
{
    (void)state;
    swap_at_each_step(tree_empty);
}

static void test_swaps_while_it_is_given(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    swap_at_each_step(give);
}

/* ---- another user's process does, as fast as it can ---- */

static void attack(void)
{
    if (setgid(71234) < 0 || setuid(71234) < 0)
        _exit(1);
    for (;;) {
        (void)rename("tree/member", "tree/aside");
        (void)!symlink("../outside", "tree/member");
        (void)unlink("tree/member");
        (void)rename("tree/aside", "tree/member");
        (void)!mkdir("tree/member", 0700);
    }
}

static void test_against_a_process(void **state)
{
    enum { ROUNDS = 300 };
    pid_t attacker;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(".", 0755), 0);
    make_tree();
    assert_int_equal(chown("tree", 71234, 71234), 0);
    attacker = fork();
    assert_true(attacker >= 0);
    if (attacker == 0)
        attack();
    for (unsigned i = 0; i < ROUNDS; i++) {
        _cleanup_close_ int fd = open_tree(), member = -1;
        struct err e = ERR_INIT;

        (void)tree_give(fd, 71234, 71234, "tree", &e);
        (void)tree_empty(fd);
        expect_outside();
        (void)!mkdirat(fd, "member", 0700);
        member = __real_openat64(fd, "member", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
        if (member >= 0)
            (void)!mkdirat(member, "wal", 0700);
    }
    assert_int_equal(kill(attacker, SIGKILL), 0);
    assert_int_equal(waitpid(attacker, NULL, 0), attacker);
    assert_true(is_there("outside/wal/0.wal"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_empty, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_too_deep, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_give, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_give_another_name, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_swaps_while_it_is_emptied, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_swaps_while_it_is_given, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_against_a_process, folder_setup, folder_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
