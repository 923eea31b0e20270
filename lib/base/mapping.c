#include "base/mapping.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct guard {
    const struct mapping *mapping;
    sigjmp_buf back;
};

static _Thread_local struct guard *volatile guarded;

static bool is_within(const struct mapping *m, const void *at)
{
    return (uintptr_t)at >= (uintptr_t)m->at && (uintptr_t)at - (uintptr_t)m->at < m->len;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    struct guard *g = guarded;

    (void)context;
    if (g && info->si_code > 0 && is_within(g->mapping, info->si_addr))
        siglongjmp(g->back, 1);
    (void)signal(number, SIG_DFL); /* what has failed fails again */
    if (info->si_code <= 0)
        (void)raise(number); /* somebody has sent it */
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL);
}

int mapping_open(struct mapping *m, int fd, struct err *e)
{
    struct stat st;

    *m = MAPPING_INIT;
    if (fstat(fd, &st) < 0)
        return err_errno(e, errno, "a file that is to be looked into");
    if (st.st_size <= 0)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "is empty");
    if ((uint64_t)st.st_size > SIZE_MAX)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "is too large to be looked into on this machine");
    m->at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (m->at == MAP_FAILED) {
        m->at = NULL;
        return err_errno(e, errno, "a file that is to be looked into");
    }
    m->len = (size_t)st.st_size;
    return 0;
}

struct bytes mapping_bytes(const struct mapping *m)
{
    return (struct bytes){.data = m->at, .len = m->len};
}

int mapping_read(const struct mapping *m, void (*read)(void *ctx), void *ctx, struct err *e)
{
    struct guard guard = {.mapping = m};
    sigset_t bus, before;
    volatile bool has_failed = true;

    install(); /* each time: nobody else is to have it while we read */
    (void)sigemptyset(&bus);
    (void)sigaddset(&bus, SIGBUS);
    (void)pthread_sigmask(SIG_UNBLOCK, &bus, &before); /* one that is blocked would end us */
    guarded = &guard;
    if (sigsetjmp(guard.back, 1) == 0) {
        read(ctx);
        has_failed = false;
    }
    guarded = NULL;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return has_failed ? err_errno(e, EIO, "what was written to the disk cannot be read back") : 0;
}

void mapping_close(struct mapping *m)
{
    if (m->at)
        (void)munmap(m->at, m->len);
    *m = MAPPING_INIT;
}
