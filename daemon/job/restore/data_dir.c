#include "job/restore/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "job/restore/owner.h"

#define SCRATCH_PREFIX ".etcd-backupd-unpack."

enum { MOVED_MAX = 64, SCRATCH_TRIES = 8 };

struct data_dir {
    char *path; /* resolved */
    char *base; /* the directory that the scratch directory is made in: above the place, or itself if it is a mount */
    char *scratch;
    char *inside; /* scratch/data, by the descriptor: whoever owns the base could put another in the place of its name
                   */
    char *handed; /* the same for a program that inherits the descriptor */
    bool exists;
    bool is_mount;
    uid_t uid;
    gid_t gid;
    mode_t mode;
    bool owner_chosen; /* not just what we found */
    uid_t old_uid;     /* of the empty directory that is there */
    gid_t old_gid;
    bool root_given; /* of a mount, to the owner */
    int base_fd;
    int lock_fd; /* of the scratch directory */
    bool settled;
    char *moved[MOVED_MAX]; /* names of the entries that have moved up, of a mount */
    unsigned n_moved;
};

/* ---- looking ---- */

static bool is_ours(const char *name)
{
    return strncmp(name, SCRATCH_PREFIX, strlen(SCRATCH_PREFIX)) == 0;
}

/* The name of something in it that is not to be passed over: "" if it is as good as empty. */
static int find_content(const struct data_dir *p, char found[NAME_MAX + 1], struct err *e)
{
    DIR *dir = opendir(p->path);
    const struct dirent *entry;

    found[0] = '\0';
    if (!dir)
        return owner_errno(e, errno, p->path);
    while (!found[0] && (entry = readdir(dir))) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
                !(p->is_mount && (is_ours(name) || strcmp(name, "lost+found") == 0)))
            (void)snprintf(found, NAME_MAX + 1, "%s", name);
    }
    (void)closedir(dir);
    return 0;
}

/* Linux says it from 5.8 on; before, another device than that of the directory above does, bind mounts excepted. */
static bool is_mount_root(const char *path)
{
    _cleanup_free_ char *above = NULL;
    struct stat here, there;
    struct statx st;

    if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &st) == 0 && (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
        return st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
    if (asprintf(&above, "%s/..", path) < 0)
        above = NULL;
    return above && stat(path, &here) == 0 && stat(above, &there) == 0 && here.st_dev != there.st_dev;
}

static int resolve(struct data_dir *p, const char *path, struct err *e)
{
    struct stat st;
    size_t len;

    p->path = realpath(path, NULL);
    p->exists = p->path != NULL;
    if (p->exists)
        return 0;
    if (errno != ENOENT)
        return owner_errno(e, errno, path);
    if (lstat(path, &st) == 0)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: a symbolic link to nothing", path);
    p->path = strdup(path);
    for (len = p->path ? strlen(p->path) : 0; len > 1 && p->path[len - 1] == '/'; len--)
        p->path[len - 1] = '\0';
    return p->path ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

static int look_at_base(struct data_dir *p, struct err *e)
{
    _cleanup_free_ char *copy = strdup(p->path);
    const char *base = p->is_mount ? p->path : copy ? dirname(copy) : NULL;
    struct stat st;

    p->base = base ? strdup(base) : NULL;
    if (!p->base)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (stat(p->base, &st) < 0)
        return errno == ENOENT ? err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                                         "%s: the directory above it does not exist: mkdir -p %s", p->path, p->base)
                               : owner_errno(e, errno, p->base);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: %s is not a directory", p->path, p->base);
    if (faccessat(AT_FDCWD, p->base, W_OK | X_OK, AT_EACCESS) < 0)
        return owner_errno(e, errno, p->base);
    if (!p->exists) {
        p->uid = st.st_uid;
        p->gid = st.st_gid;
        p->mode = st.st_mode & 0775; /* what is like /tmp does not make the data everybody's */
    }
    return 0;
}

static int look_at_existing(struct data_dir *p, struct err *e)
{
    char found[NAME_MAX + 1];
    struct stat st;

    if (stat(p->path, &st) < 0)
        return owner_errno(e, errno, p->path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: exists and is not a directory", p->path);
    p->is_mount = is_mount_root(p->path);
    p->uid = p->old_uid = st.st_uid;
    p->gid = p->old_gid = st.st_gid;
    p->mode = st.st_mode & 0777;
    if (find_content(p, found, e) < 0)
        return -1;
    if (found[0])
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: is not empty (there is %s in it) and stays as it is: move it away first, or name another "
                "directory",
                p->path, found);
    return 0;
}

struct data_dir *data_dir_plan(const char *path, struct err *e)
{
    _cleanup_(cleanup_data_dir_free) struct data_dir *p = calloc(1, sizeof(*p));

    if (!p) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    p->base_fd = p->lock_fd = -1;
    if (path[0] != '/' || path[strspn(path, "/")] == '\0') {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "'%s' is no absolute path of a directory to make", path);
        return NULL;
    }
    if (resolve(p, path, e) < 0 || (p->exists && look_at_existing(p, e) < 0) || look_at_base(p, e) < 0)
        return NULL;
    if (data_dir_set_owner(p, NULL, e) < 0)
        return NULL;
    return TAKE_PTR(p);
}

/* ---- whose it will be ---- */

int data_dir_set_owner(struct data_dir *p, const char *owner, struct err *e)
{
    if (owner && *owner) {
        /* The root of a mount that is another's cannot be given; we may write to it, that has been looked at. */
        p->owner_chosen = !p->is_mount || p->old_uid == geteuid() || owner_may_give();
        return owner_parse(owner, &p->uid, &p->gid, e);
    }
    if (p->uid != geteuid() && !owner_may_give()) {
        p->uid = geteuid();
        p->gid = getegid();
    } else if (!owner_may_give_group(p->gid)) {
        p->gid = getegid();
    }
    return 0;
}

const char *data_dir_path(const struct data_dir *p)
{
    return p->path;
}

bool data_dir_lies_in(const struct data_dir *inner, const struct data_dir *outer)
{
    size_t len = strlen(outer->path);

    return strncmp(inner->path, outer->path, len) == 0 && (inner->path[len] == '/' || inner->path[len] == '\0');
}

const char *data_dir_owner(const struct data_dir *p, char *out)
{
    return owner_format(p->uid, p->gid, out);
}

int data_dir_room(const struct data_dir *p, dev_t *dev, uint64_t *bytes, struct err *e)
{
    struct statvfs fs;
    struct stat st;

    if (statvfs(p->base, &fs) < 0 || stat(p->base, &st) < 0)
        return err_errno(e, errno, "%s", p->base);
    *dev = st.st_dev;
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return 0;
}

/* ---- trees ---- */

/* Calls `each` for every file, and for every directory after what is in it. */
static int walk(const char *path, int (*each)(const struct data_dir *, const FTSENT *, struct err *),
        const struct data_dir *p, struct err *e)
{
    char *paths[] = {(char *)(uintptr_t)path, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR | FTS_XDEV, NULL);
    const FTSENT *entry;
    int r = 0;

    if (!fts)
        return err_errno(e, errno, "%s", path);
    while (r == 0 && (entry = fts_read(fts))) {
        if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS)
            r = err_errno(e, entry->fts_errno, "%s", entry->fts_path);
        else if (entry->fts_info != FTS_D)
            r = each(p, entry, e);
    }
    (void)fts_close(fts);
    return r;
}

static int remove_entry(const struct data_dir *p, const FTSENT *entry, struct err *e)
{
    (void)p;
    (void)e;
    if (entry->fts_level > 0)
        (void)remove(entry->fts_accpath); /* what cannot go, stays */
    return 0;
}

static bool has_proc(void)
{
    return access("/proc/self/fd", X_OK) == 0;
}

/* The directory `path` that is open as `fd`. Below it by the descriptor, and the name itself only if it is empty. */
static void remove_tree(const char *path, int fd)
{
    char by_descriptor[32];
    struct err e = ERR_INIT;

    (void)snprintf(by_descriptor, sizeof(by_descriptor), "/proc/self/fd/%d/", fd);
    (void)walk(has_proc() ? by_descriptor : path, remove_entry, NULL, &e);
    (void)rmdir(path);
}

/* Nobody else could make it, or change what is in it: root would follow links that others lay. */
static bool is_only_ours(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 && st.st_nlink > 0;
}

/* Whether nothing is in the directory but, `with_data`, what is made in a scratch directory: "data", and what etcdutl
 * has beside it while it works ("data.tmp": etcd, server/wal/wal.go). Whoever owns the base could give another
 * directory of ours the name of a scratch directory. */
static bool has_nothing_else(int fd, bool with_data)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    const struct dirent *entry;
    bool nothing = dir != NULL;

    while (nothing && (errno = 0, entry = readdir(dir))) {
        const char *name = entry->d_name;

        nothing = strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
                  (with_data && (strcmp(name, "data") == 0 || strncmp(name, "data.", 5) == 0));
    }
    nothing = nothing && errno == 0;
    if (dir)
        (void)closedir(dir);
    else if (again >= 0)
        close(again);
    return nothing;
}

static int finish_entry(const struct data_dir *p, const FTSENT *entry, struct err *e)
{
    _cleanup_close_ int fd = -1;
    const struct stat *st = entry->fts_statp;

    if ((st->st_uid != p->uid || st->st_gid != p->gid) && lchown(entry->fts_accpath, p->uid, p->gid) < 0)
        return err_errno(e, errno, "giving %s to its owner", entry->fts_path);
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return 0;
    fd = open(entry->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return err_errno(e, errno, "syncing %s", entry->fts_path);
    return 0;
}

/* ---- the scratch directory ---- */

static void sweep(const struct data_dir *p)
{
    DIR *dir = opendir(p->base);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -1;

        if (!is_ours(entry->d_name) || asprintf(&path, "%s/%s", p->base, entry->d_name) < 0)
            continue;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && is_only_ours(fd) && flock(fd, LOCK_EX | LOCK_NB) == 0 && has_nothing_else(fd, true))
            remove_tree(path, fd);
    }
    if (dir)
        (void)closedir(dir);
}

/* Somebody's sweep may come between making and locking: then once more. */
static int make_scratch(struct data_dir *p, struct err *e)
{
    for (unsigned i = 0; i < SCRATCH_TRIES; i++) {
        free(TAKE_PTR(p->scratch));
        if (asprintf(&p->scratch, "%s/" SCRATCH_PREFIX "%08x", p->base, randombytes_random()) < 0)
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        if (mkdir(p->scratch, 0700) < 0) {
            err_errno(e, errno, "%s", p->scratch);
            free(TAKE_PTR(p->scratch));
            return -1;
        }
        p->lock_fd = open(p->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (p->lock_fd >= 0 && flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0 && is_only_ours(p->lock_fd) &&
                has_nothing_else(p->lock_fd, false))
            return 0;
        if (p->lock_fd >= 0)
            close(TAKE_FD(p->lock_fd));
        (void)rmdir(p->scratch);
    }
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "%s: cannot be locked", p->scratch);
}

/* What is filled, for a process in which the scratch directory is open as `fd`. The caller frees; NULL without memory.
 */
static char *path_of_data(const struct data_dir *p, int fd)
{
    char *path;
    int r = has_proc() ? asprintf(&path, "/proc/self/fd/%d/data", fd) : asprintf(&path, "%s/data", p->scratch);

    return r < 0 ? NULL : path;
}

/* A name in the base directory, by its descriptor where that can be. */
static char *path_in_base(const struct data_dir *p, const char *name)
{
    char *path;
    int r = has_proc() ? asprintf(&path, "/proc/self/fd/%d/%s", p->base_fd, name)
                       : asprintf(&path, "%s/%s", p->base, name);

    return r < 0 ? NULL : path;
}

int data_dir_open(struct data_dir *p, struct err *e)
{
    sweep(p);
    p->base_fd = open(p->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->base_fd < 0)
        return err_errno(e, errno, "%s", p->base);
    if (make_scratch(p, e) < 0)
        return -1;
    if (!(p->inside = path_of_data(p, p->lock_fd)))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    return 0;
}

const char *data_dir_hand_over(struct data_dir *p, int child_fd, int *fd)
{
    free(p->handed);
    p->handed = path_of_data(p, child_fd);
    *fd = has_proc() ? p->lock_fd : -1;
    return p->handed;
}

const char *data_dir_inside(const struct data_dir *p)
{
    return p->inside;
}

/* ---- the end ---- */

/* rename(2) would take the place of a file that came meanwhile, and etcd's first log has the same name everywhere.
 * Where the file system (NFS) or the kernel cannot leave such a file alone in one step, a link of files can, and a
 * directory only ever takes the place of an empty one. */
static int move_without_replacing(const char *from, const char *to)
{
    struct stat st;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if ((errno != EINVAL && errno != ENOSYS) || lstat(from, &st) < 0)
        return -1;
    if (S_ISDIR(st.st_mode))
        return rename(from, to);
    if (link(from, to) < 0)
        return -1;
    (void)unlink(from); /* else it goes with the scratch directory */
    return 0;
}

static int move_up(struct data_dir *p, const char *name, struct err *e)
{
    _cleanup_free_ char *from = NULL, *to = NULL;
    int number;

    if (p->n_moved == MOVED_MAX)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "%s: more files than can be moved into place", p->inside);
    if (asprintf(&from, "%s/%s", p->inside, name) < 0 || !(to = path_in_base(p, name)) ||
            !(p->moved[p->n_moved] = strdup(name)))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (move_without_replacing(from, to) == 0) {
        p->n_moved++;
        return 0;
    }
    number = errno;
    free(TAKE_PTR(p->moved[p->n_moved]));
    if (number != EEXIST && number != ENOTEMPTY)
        return err_errno(e, number, "%s/%s", p->path, name);
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_ERRNO, number,
            "%s/%s: has come there meanwhile and stays as it is (is another restore, or an etcd, at work there?)",
            p->path, name);
}

static int move_all_up(struct data_dir *p, struct err *e)
{
    DIR *dir = opendir(p->inside);
    const struct dirent *entry;
    int r = 0;

    if (!dir)
        return err_errno(e, errno, "%s", p->inside);
    while (r == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = move_up(p, entry->d_name, e);
    (void)closedir(dir);
    return r;
}

void data_dir_take_back(struct data_dir *p)
{
    while (p->n_moved) {
        char *name = p->moved[--p->n_moved];
        _cleanup_free_ char *from = NULL, *to = NULL;

        if (asprintf(&from, "%s/%s", p->path, name) >= 0 && asprintf(&to, "%s/%s", p->inside, name) >= 0)
            (void)rename(from, to);
        free(name);
    }
    if (p->settled && !p->is_mount && rename(p->path, p->inside) == 0 && p->exists && mkdir(p->path, 0700) < 0)
        p->exists = false; /* nobody is left to be told */
    if (p->root_given || (p->exists && !p->is_mount && p->settled))
        (void)!lchown(p->path, p->old_uid, p->old_gid);
    if (p->exists && !p->is_mount && p->settled)
        (void)chmod(p->path, p->mode);
    p->settled = p->root_given = false;
}

/* etcd must be able to write into the root of the file system, too. Another restore may have given it away since the
 * plan, to whom a failure of ours leaves it. */
static int give_root(struct data_dir *p, struct err *e)
{
    struct stat st;

    if (stat(p->path, &st) < 0)
        return err_errno(e, errno, "%s", p->path);
    p->old_uid = st.st_uid;
    p->old_gid = st.st_gid;
    if (lchown(p->path, p->uid, p->gid) < 0)
        return err_errno(e, errno, "giving %s to its owner", p->path);
    p->root_given = true;
    return 0;
}

static int put_in_place(struct data_dir *p, struct err *e)
{
    _cleanup_free_ char *to = NULL;

    if (p->is_mount)
        return p->owner_chosen && give_root(p, e) < 0 ? -1 : move_all_up(p, e);
    to = path_in_base(p, strrchr(p->path, '/') + 1);
    if (!to)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    return rename(p->inside, to) < 0 ? err_errno(e, errno, "%s", p->path) : 0;
}

int data_dir_settle(struct data_dir *p, struct err *e)
{
    if (chmod(p->inside, p->mode) < 0)
        return err_errno(e, errno, "%s", p->inside);
    if (walk(p->inside, finish_entry, p, e) < 0)
        return -1;
    if (put_in_place(p, e) < 0) {
        data_dir_take_back(p);
        return -1;
    }
    p->settled = true;
    if (fsync(p->base_fd) < 0 && errno != EINVAL) {
        err_errno(e, errno, "syncing %s", p->base);
        data_dir_take_back(p);
        return -1;
    }
    return 0;
}

void data_dir_free(struct data_dir *p)
{
    if (!p)
        return;
    if (p->scratch && p->lock_fd >= 0)
        remove_tree(p->scratch, p->lock_fd);
    while (p->n_moved)
        free(p->moved[--p->n_moved]);
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    if (p->base_fd >= 0)
        close(p->base_fd);
    free(p->handed);
    free(p->inside);
    free(p->scratch);
    free(p->base);
    free(p->path);
    free(p);
}
