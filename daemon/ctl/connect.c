#include "ctl/connect.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "version.h"

static int connect_socket(const char *path, unsigned patience, struct connection *c, struct err *e)
{
    const struct timeval limit = {.tv_sec = patience}; /* socket(7): of a connect, too; 0: none */
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_errno(e, errno, "socket");
    if (strlen(path) >= sizeof(addr.sun_path))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s is too long for a socket", path);
    (void)strcpy(addr.sun_path, path);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
        return err_errno(e, errno, "SO_SNDTIMEO");
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        if (errno == EACCES || errno == EPERM)
            return err_set(
                    e, ERR_AUTH, ERR_DOMAIN_ERRNO, errno, "not allowed to use %s: be root or in control.group", path);
        if (errno == EAGAIN) /* it listens, and those before us are enough for it */
            return err_set(
                    e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s takes no connection for %u seconds", path, patience);
        return err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_ERRNO, errno,
                "no etcd-backupd listens on %s (%s); start it, or use -c FILE to work without one", path,
                strerror(errno));
    }
    c->fd = TAKE_FD(fd);
    return 0;
}

/* The daemon of this very installation (bin beside sbin), or of the build directory. */
static void find_daemon(char path[PATH_MAX])
{
    static const char *const places[] = {"/etcd-backupd", "/../etcd-backupd", "/../sbin/etcd-backupd"};
    char self[PATH_MAX] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const char *dir = n > 0 ? dirname(self) : SBINDIR;

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        (void)snprintf(path, PATH_MAX, "%s%s", dir, places[i]);
        if (access(path, X_OK) == 0)
            return;
    }
    (void)snprintf(path, PATH_MAX, "%s", SBINDIR "/etcd-backupd");
}

static int start_private(const char *config, enum purpose purpose, struct connection *c, struct err *e)
{
    static const char *const words[] = {PURPOSE_WORDS};
    char path[PATH_MAX], fd_text[16];
    int pair[2];

    find_daemon(path);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, errno, "socketpair");
    c->private = fork();
    if (c->private == 0) {
        int inherited = dup(pair[1]); /* the copy is not close-on-exec */

        (void)snprintf(fd_text, sizeof(fd_text), "%d", inherited);
        (void)execl(path, "etcd-backupd", "-c", config, "--control-fd", fd_text, "--for", words[purpose], (char *)NULL);
        (void)fprintf(stderr, "etcd-backupctl: cannot run %s: %s\n", path, strerror(errno));
        _exit(127);
    }
    close(pair[1]);
    c->fd = pair[0];
    if (c->private < 0) {
        close(pair[0]);
        return err_errno(e, errno, "fork");
    }
    return 0;
}

int connect_daemon(const struct ctl *ctl, enum purpose purpose, unsigned patience, struct connection *c, struct err *e)
{
    *c = (struct connection){.fd = -1};
    if (ctl->config)
        return start_private(ctl->config, purpose, c, e);
    return connect_socket(ctl->socket, patience, c, e);
}

int connect_close(struct connection *c)
{
    int status = 0;

    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (c->private <= 0)
        return 0;
    while (waitpid(c->private, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? CONNECT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}
