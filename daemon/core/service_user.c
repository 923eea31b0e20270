#include "core/service_user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "version.h"

struct check {
    const struct conf *conf;
    const struct passwd *user;
    void (*each)(void *ctx, const char *text);
    void *ctx;
};

bool service_user_has_file(const char *file)
{
    static const char instances[] = SYSCONFDIR "/etcd-backupd/";

    return strcmp(file, DEFAULT_CONFIG) == 0 || strncmp(file, instances, strlen(instances)) == 0;
}

/* The errno of opening it as that user, with its groups; 0: it can be read. In a process of its own, since rights that
 * were given away do not come back. */
static int try_to_read(const struct passwd *user, const char *path)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
            _exit(0);
        _exit(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) >= 0 ? 0 : errno & 0xff);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void check_file(void *ctx, const char *key, const char *path)
{
    static const char credentials[] = "/run/credentials/"; /* systemd makes them for the unit that runs */
    const struct check *c = ctx;
    int number = strncmp(path, credentials, strlen(credentials)) == 0 ? 0 : try_to_read(c->user, path);
    _cleanup_free_ char *text = NULL;

    if (number != EACCES && number != EPERM) /* what is wrong for root, too, is told by others */
        return;
    if (asprintf(&text,
                "%s: %s%s%s: the user %s, whom the service runs as, cannot read it: chgrp %s and chmod g+r, for a "
                "directory "
                "above it g+x; or LoadCredential= (keys.conf)",
                c->conf->file, key, *key ? ": " : "", path, c->user->pw_name, c->user->pw_name) >= 0)
        c->each(c->ctx, text);
}

void service_user_check(const struct conf *c, const char *user, void (*each)(void *ctx, const char *text), void *ctx)
{
    struct check check = {.conf = c, .user = geteuid() == 0 ? getpwnam(user) : NULL, .each = each, .ctx = ctx};

    if (!check.user || check.user->pw_uid == 0)
        return;
    check_file(&check, "", c->file);
    conf_files_each(c, check_file, &check);
}
