#include "job/restore/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/path.h"
#include "job/restore/owner.h"
#include "job/restore/tree.h"

/* So many bytes at a time are given to the disk while more are on their way; else the sync at the end does it all. */
enum { WRITE_BACK = 16 << 20 };

struct output_file {
    char *path; /* as it was given, like dir */
    char *dir;
    struct path_place place;
    char hidden[24];   /* name of the unfinished file in the directory; "" while it has none */
    char *hidden_path; /* of a transient one that has a name */
    int fd;
    int dir_fd; /* opened before the work, so that nothing but the disk can fail after the rename */
    bool is_transient;
    bool is_in_place;
    struct output_file_old old;
    uint64_t written, written_back; /* bytes */
};

/* Not made of the target's name, which may be as long as names can be. */
static void choose_hidden_name(struct output_file *t)
{
    (void)snprintf(t->hidden, sizeof(t->hidden), ".etcd-backupd.%08x", randombytes_random());
}

static bool has_proc(void)
{
    return access("/proc/self/fd", X_OK) == 0;
}

static int open_hidden(struct output_file *t, struct err *e)
{
    choose_hidden_name(t);
    t->fd = openat(t->dir_fd, t->hidden, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (t->fd < 0) {
        err_errno(e, errno, "%s/%s", t->dir, t->hidden);
        t->hidden[0] = '\0';
        return -1;
    }
    /* What is read through /proc needs no name. */
    if (t->is_transient && has_proc() && unlinkat(t->dir_fd, t->hidden, 0) == 0)
        t->hidden[0] = '\0';
    if (!t->is_transient || !t->hidden[0] || asprintf(&t->hidden_path, "%s/%s", t->dir, t->hidden) >= 0)
        return 0;
    t->hidden_path = NULL;
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

static int open_unfinished(struct output_file *t, struct err *e)
{
    t->dir_fd = tree_reopen(t->place.dir_fd);
    if (t->dir_fd < 0)
        return owner_errno(e, errno, t->dir);
    if (t->is_transient && !has_proc())
        return open_hidden(t, e);
    t->fd = openat(t->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (t->fd >= 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return owner_errno(e, errno, t->dir);
    return open_hidden(t, e);
}

static int find_place(struct output_file *t, struct err *e)
{
    if (path_find(t->path, &t->place, e) == 0)
        return 0;
    if (e->domain != ERR_DOMAIN_ERRNO)
        return -1;
    if (e->code == ENOENT)
        return err_set(
                e, ERR_NOT_FOUND, ERR_DOMAIN_ERRNO, ENOENT, "directory %s does not exist: mkdir -p %s", t->dir, t->dir);
    return owner_errno(e, (int)e->code, t->dir);
}

/* What rename would refuse is better known now than when all is read. And who named a link most likely means the file
 * that it leads to, which may be on another disk: he is asked. */
static int look_at_place(struct output_file *t, struct err *e)
{
    struct stat st;

    if (t->place.is_linked)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: is a symbolic link to %s and would be replaced by the file: name one of the two that is no link",
                t->path, t->place.text);
    if (fstatat(t->place.dir_fd, t->place.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : owner_errno(e, errno, t->path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: exists and is not a regular file", t->path);
    t->old = (struct output_file_old){.exists = true, .size = (uint64_t)st.st_size, .changed = st.st_mtime};
    return 0;
}

static struct output_file *open_target(const char *path, bool is_transient, struct err *e)
{
    _cleanup_(cleanup_output_file_free) struct output_file *t = calloc(1, sizeof(*t));

    if (t) {
        t->fd = t->dir_fd = -1;
        t->place = PATH_PLACE_INIT;
        t->is_transient = is_transient;
        t->path = strdup(path);
        t->dir = path_dir(path);
    }
    if (!t || !t->path || !t->dir) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    if (!path[0] || path[strlen(path) - 1] == '/') {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "'%s' is not the name of a file", path);
        return NULL;
    }
    if (find_place(t, e) < 0 || (!is_transient && look_at_place(t, e) < 0) || open_unfinished(t, e) < 0)
        return NULL;
    return TAKE_PTR(t);
}

struct output_file *output_file_open(const char *path, struct err *e)
{
    return open_target(path, false, e);
}

struct output_file *output_file_open_transient(const char *path, struct err *e)
{
    return open_target(path, true, e);
}

const char *output_file_hand_over(const struct output_file *t, int *fd)
{
    *fd = t->hidden[0] ? -1 : t->fd;
    return t->hidden[0] ? t->hidden_path : "/proc/self/fd/3";
}

int output_file_read(const struct output_file *t, struct err *e)
{
    char path[32];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", t->fd);
    fd = t->hidden[0] ? openat(t->dir_fd, t->hidden, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
                      : open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : err_errno(e, errno, "%s: the snapshot cannot be opened to be read", t->dir);
}

const char *output_file_path(const struct output_file *t)
{
    return t->place.text;
}

const struct output_file_old *output_file_replaces(const struct output_file *t)
{
    return &t->old;
}

int output_file_room(const struct output_file *t, dev_t *dev, uint64_t *bytes, struct err *e)
{
    struct statvfs fs;
    struct stat st;

    if (fstatvfs(t->dir_fd, &fs) < 0 || fstat(t->dir_fd, &st) < 0)
        return err_errno(e, errno, "%s", t->dir);
    *dev = st.st_dev;
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return 0;
}

/*
 * Only asks for it: errors are the sync's to report, and file systems without it lose nothing but time. What was asked
 * for the time before is mostly on the disk by now, and leaves the page cache: the next pages are then these again, and
 * not fresh ones, which cost more than all else here, and an etcd beside us keeps its own.
 */
static void start_write_back(struct output_file *t)
{
    if (t->is_transient || t->written - t->written_back < WRITE_BACK)
        return;
    (void)sync_file_range(t->fd, (off_t)t->written_back, (off_t)(t->written - t->written_back), SYNC_FILE_RANGE_WRITE);
    if (t->written_back)
        (void)posix_fadvise(t->fd, 0, (off_t)t->written_back, POSIX_FADV_DONTNEED);
    t->written_back = t->written;
}

int output_file_write(struct output_file *t, struct bytes bytes, struct err *e)
{
    while (bytes.len) {
        ssize_t n = write(t->fd, bytes.data, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return t->is_transient ? err_errno(e, errno, "writing the snapshot in %s, where it has no name", t->dir)
                                   : err_errno(e, errno, "writing %s", t->path);
        bytes.data += n;
        bytes.len -= (size_t)n;
        t->written += (uint64_t)n;
    }
    start_write_back(t);
    return 0;
}

/* Of the two ways that open(2) knows (O_TMPFILE) the first wants a privilege, the second /proc. */
static int link_hidden(const struct output_file *t)
{
    char link[32];

    if (linkat(t->fd, "", t->dir_fd, t->hidden, AT_EMPTY_PATH) == 0)
        return 0;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", t->fd);
    return linkat(AT_FDCWD, link, t->dir_fd, t->hidden, AT_SYMLINK_FOLLOW);
}

/* linkat cannot replace what is there, so a file without a name gets a hidden one first. */
static int give_name(struct output_file *t, struct err *e)
{
    if (!t->hidden[0]) {
        choose_hidden_name(t);
        if (link_hidden(t) < 0) {
            err_errno(e, errno, "%s/%s", t->dir, t->hidden);
            t->hidden[0] = '\0';
            return -1;
        }
    }
    if (renameat(t->dir_fd, t->hidden, t->dir_fd, t->place.name) < 0)
        return err_errno(e, errno, "%s", t->path);
    t->hidden[0] = '\0';
    t->is_in_place = true;
    return 0;
}

int output_file_commit(struct output_file *t, struct err *e)
{
    if (t->is_transient)
        return 0;
    if (fsync(t->fd) < 0)
        return err_errno(e, errno, "syncing %s", t->path);
    if (give_name(t, e) < 0)
        return -1;
    /* Some file systems have nothing to sync in a directory (fsync(2), EINVAL). */
    if (fsync(t->dir_fd) < 0 && errno != EINVAL)
        return err_errno(e, errno, "%s is written, but may not outlive a crash: syncing %s", t->path, t->dir);
    return 0;
}

bool output_file_is_in_place(const struct output_file *t)
{
    return t->is_in_place;
}

void output_file_clean(struct output_file *t)
{
    if (!t)
        return;
    if (t->hidden[0])
        (void)unlinkat(t->dir_fd, t->hidden, 0);
    t->hidden[0] = '\0';
    if (t->fd >= 0)
        close(TAKE_FD(t->fd));
    if (t->dir_fd >= 0)
        close(TAKE_FD(t->dir_fd));
}

void output_file_free(struct output_file *t)
{
    if (!t)
        return;
    output_file_clean(t);
    path_place_clear(&t->place);
    free(t->hidden_path);
    free(t->dir);
    free(t->path);
    free(t);
}
