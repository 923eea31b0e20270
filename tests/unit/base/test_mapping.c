/* A file that is read where it lies, and whose end goes away meanwhile. */
#include "expect.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mapping.h"

enum { LEN = 1 << 16 };

static int make_file(size_t len)
{
    int fd = memfd_create("mapped", MFD_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(write(fd, &(char){'a' + (char)(i % 26)}, 1), 1);
    return fd;
}

struct reading {
    struct mapping m;
    int cut; /* this file is emptied before the reading; -1: none */
    size_t n;
    uint64_t sum;
};

static void read_all(void *ctx)
{
    struct reading *r = ctx;
    struct bytes b = mapping_bytes(&r->m);

    if (r->cut >= 0)
        assert_int_equal(ftruncate(r->cut, 0), 0);
    for (r->n = 0, r->sum = 0; r->n < b.len; r->n++)
        r->sum += ((const volatile uint8_t *)b.data)[r->n];
}

static void test_reads(void **state)
{
    struct reading r = {.cut = -1};
    struct err e = ERR_INIT;
    int fd = make_file(LEN);

    (void)state;
    expect_success(mapping_open(&r.m, fd, &e) == 0, &e);
    assert_int_equal(close(fd), 0);
    assert_int_equal(mapping_bytes(&r.m).len, LEN);
    expect_success(mapping_read(&r.m, read_all, &r, &e) == 0, &e);
    assert_int_equal(r.n, LEN);
    assert_true(r.sum > (uint64_t)'a' * LEN);
    mapping_close(&r.m);
    mapping_close(&r.m);
}

/* Whether a SIGBUS says where. Under qemu-user 7.2 (tests/ports.sh) it does not on a big-endian machine: the emulator
 * takes what the kernel tells for what sigqueue() does, and turns pid and uid over each for itself, which are the
 * halves of the address: for 0x4000802005, s390x was told 0x80200500000040. A real machine tells the address, or its
 * page's. */
static bool tells_where(void)
{
    return BYTE_ORDER == LITTLE_ENDIAN || !getenv("EMULATOR");
}

/* Also where the signal is blocked, as it may be on a thread of a pool; which is left as it was. */
static void lose(bool is_blocked)
{
    sigset_t bus, after;
    struct err e = ERR_INIT;
    int fd = make_file(LEN);
    struct reading r = {.cut = fd};

    (void)sigemptyset(&bus);
    (void)sigaddset(&bus, SIGBUS);
    assert_int_equal(pthread_sigmask(is_blocked ? SIG_BLOCK : SIG_UNBLOCK, &bus, NULL), 0);
    expect_success(mapping_open(&r.m, fd, &e) == 0, &e);
    assert_int_equal(mapping_read(&r.m, read_all, &r, &e), -1);
    assert_int_equal(e.kind, ERR_RESOURCE);
    assert_int_equal(e.domain, ERR_DOMAIN_ERRNO);
    assert_int_equal(e.code, EIO);
    assert_true(r.n < LEN);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigismember(&after, SIGBUS), is_blocked);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &bus, NULL), 0);
    mapping_close(&r.m);
    assert_int_equal(close(fd), 0);
}

static void test_loses(void **state)
{
    (void)state;
    if (!tells_where())
        skip();
    lose(false);
    lose(true);
    lose(false); /* and again */
}

static void *lose_on_thread(void *unused)
{
    (void)unused;
    lose(true);
    return NULL;
}

static void test_loses_on_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    if (!tells_where())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, lose_on_thread, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* What is no business of ours ends the process as ever. */
static void test_foreign(void **state)
{
    struct reading r = {.cut = -1};
    struct err e = ERR_INIT;
    int fd = make_file(LEN), status = 0;
    pid_t child;

    (void)state;
    expect_success(mapping_open(&r.m, fd, &e) == 0, &e);
    expect_success(mapping_read(&r.m, read_all, &r, &e) == 0, &e); /* the handler is there */
    child = fork();
    if (child == 0) {
        r.cut = fd;
        read_all(&r); /* without a guard */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0); /* a sanitizer has a handler of its own */
    child = fork();
    if (child == 0) {
        (void)raise(SIGBUS);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    mapping_close(&r.m);
    assert_int_equal(close(fd), 0);
}

static void test_errors(void **state)
{
    struct mapping m;
    struct err e = ERR_INIT;
    int fd = make_file(0), pipe_fds[2];

    (void)state;
    assert_int_equal(mapping_open(&m, fd, &e), -1);
    assert_int_equal(e.kind, ERR_INTEGRITY);
    assert_int_equal(close(fd), 0);
    assert_int_equal(mapping_open(&m, fd, &e), -1);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(mapping_open(&m, pipe_fds[0], &e), -1);
    assert_null(m.at);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_reads),
            cmocka_unit_test(test_loses),
            cmocka_unit_test(test_loses_on_threads),
            cmocka_unit_test(test_foreign),
            cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
