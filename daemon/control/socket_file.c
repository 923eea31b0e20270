#include "control/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/path.h"

enum { LOCK_TRIES = 16 };

struct socket_file {
    char *path; /* as it was given, for bind(2) and people */
    struct path_place place;
    char *lock_name; /* in the same directory */
    char *lock_path;
    int lock;
    bool made;
    struct stat st; /* of the file, once it is made */
};

/* What is wrong is the place, and that is configured. */
static int objection(struct err *e, const char *path)
{
    err_errno(e, errno, "control.socket: %s", path);
    if (e->kind == ERR_NOT_FOUND)
        e->kind = ERR_CONFIG;
    return -1;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int find_place(struct socket_file *f, struct err *e)
{
    _cleanup_free_ char *dir = path_dir(f->path);

    if (!dir)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (path_find(f->path, &f->place, e) == 0) {
        if (!f->place.is_linked && asprintf(&f->lock_name, "%s.lock", f->place.name) >= 0)
            return 0;
        f->lock_name = NULL;
        return f->place.is_linked ? err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                                            "control.socket: %s exists and is not a socket", f->path)
                                  : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    }
    if (e->domain == ERR_DOMAIN_ERRNO && e->code == ENOENT)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_ERRNO, ENOENT,
                "control.socket: directory %s does not exist: mkdir -p %s (the unit makes it, with RuntimeDirectory=)",
                dir, dir);
    if (e->kind == ERR_NOT_FOUND)
        e->kind = ERR_CONFIG;
    return err_prepend(e, "control.socket: ");
}

/* The lock is worth something only on the file that others will find: the last holder may have removed this one. */
static int take_lock(struct socket_file *f, struct err *e)
{
    struct stat ours, named;

    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        _cleanup_close_ int fd = openat(f->place.dir_fd, f->lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
            return objection(e, f->lock_path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno != EWOULDBLOCK)
                return objection(e, f->lock_path);
            return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "another etcd-backupd has %s", f->path);
        }
        if (fstat(fd, &ours) < 0)
            return objection(e, f->lock_path);
        if (fstatat(f->place.dir_fd, f->lock_name, &named, AT_SYMLINK_NOFOLLOW) == 0 && is_same_file(&ours, &named)) {
            f->lock = TAKE_FD(fd);
            return 0;
        }
    }
    return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "others keep taking %s", f->lock_path);
}

/* A socket file without a daemon behind it refuses connections, and goes. One that answers belongs to somebody. */
static int remove_stale(const struct socket_file *f, const struct sockaddr_un *addr, struct err *e)
{
    const char *path = addr->sun_path;
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (fstatat(f->place.dir_fd, f->place.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : objection(e, path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "control.socket: %s exists and is not a socket", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return objection(e, path);
    if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
        return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "another etcd-backupd listens on %s", path);
    if (errno != ECONNREFUSED)
        return objection(e, path);
    return unlinkat(f->place.dir_fd, f->place.name, 0) < 0 ? objection(e, path) : 0;
}

/* By a descriptor and not by the path, which somebody with rights to the directory could make lead elsewhere. */
static int give_to_group(struct socket_file *f, const gid_t *group, struct err *e)
{
    _cleanup_close_ int fd = openat(f->place.dir_fd, f->place.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &f->st) < 0)
        return objection(e, f->path);
    if (!S_ISSOCK(f->st.st_mode) || f->st.st_uid != geteuid())
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "control.socket: %s was replaced under us", f->path);
    f->made = true;
    if (group && fchownat(fd, "", (uid_t)-1, *group, AT_EMPTY_PATH) < 0)
        return objection(e, f->path);
    return 0;
}

static int make(struct socket_file *f, const gid_t *group, int *out, struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;
    mode_t before;
    int n;

    if (strlen(f->path) >= sizeof(addr.sun_path))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "control.socket: %s is too long for a socket", f->path);
    (void)strcpy(addr.sun_path, f->path);
    if (find_place(f, e) < 0 || take_lock(f, e) < 0 || remove_stale(f, &addr, e) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return objection(e, f->path);
    before = umask(group ? 0117 : 0177); /* never open to others, not even for a moment */
    n = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
    (void)umask(before);
    if (n < 0)
        return objection(e, f->path);
    if (give_to_group(f, group, e) < 0)
        return -1;
    *out = TAKE_FD(fd);
    return 0;
}

struct socket_file *socket_file_make(const char *path, const gid_t *group, int *fd, struct err *e)
{
    _cleanup_(cleanup_socket_file_remove) struct socket_file *f = calloc(1, sizeof(*f));

    if (f) {
        f->lock = -1;
        f->place = PATH_PLACE_INIT;
        f->path = strdup(path);
        if (asprintf(&f->lock_path, "%s.lock", path) < 0)
            f->lock_path = NULL;
    }
    if (!f || !f->path || !f->lock_path) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    return make(f, group, fd, e) < 0 ? NULL : TAKE_PTR(f);
}

void socket_file_remove(struct socket_file *f)
{
    struct stat st;

    if (!f)
        return;
    if (f->made && fstatat(f->place.dir_fd, f->place.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_same_file(&st, &f->st))
        (void)unlinkat(f->place.dir_fd, f->place.name, 0);
    if (f->lock >= 0) {
        (void)unlinkat(f->place.dir_fd, f->lock_name, 0);
        close(f->lock);
    }
    path_place_clear(&f->place);
    free(f->lock_name);
    free(f->lock_path);
    free(f->path);
    free(f);
}
