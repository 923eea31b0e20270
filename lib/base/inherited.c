#include "base/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

static int fill_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        const int how = fd == STDOUT_FILENO ? O_RDONLY : O_RDWR;

        /* The lowest free number is the one that is missing: those below are there by now. */
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", how) < 0)
            return -1;
    }
    return 0;
}

static bool is_ignored_on_purpose(int number)
{
    return number == SIGHUP || number == SIGINT || number == SIGQUIT || number == SIGTSTP || number == SIGTTIN ||
           number == SIGTTOU;
}

static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction now;

        /* Those that libc keeps for itself, SIGKILL and SIGSTOP are refused, and stay. */
        if (!is_ignored_on_purpose(number) && sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            (void)signal(number, SIG_DFL);
    }
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int inherited_clean(void)
{
    reset_signals();
    return fill_descriptors();
}
