#include "job/restore/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/path.h"
#include "job/restore/owner.h"
#include "job/restore/scratch_dir.h"
#include "job/restore/tree.h"

enum { MOVED_MAX = 64, NEW_MODE = 0700 };

#define FILLED "data" /* in the scratch directory */

struct data_dir {
    struct path_place place;
    int base_fd; /* the directory that the scratch directory is made in: above the place, or itself if it is a mount */
    char *base;
    struct scratch_dir scratch;
    char *inside; /* what is filled, by the scratch directory's descriptor */
    char *handed; /* the same for a program that inherits the descriptor */
    bool is_mount;
    uid_t uid;
    gid_t gid;
    mode_t mode;
    bool owner_chosen; /* not just what we found */
    uid_t old_uid;     /* of the empty directory that is there */
    gid_t old_gid;
    mode_t old_mode;
    bool prepared;
    bool settled;           /* in place, and not the entries of a mount alone */
    char *moved[MOVED_MAX]; /* names of the entries that have moved up, of a mount */
    unsigned n_moved;
};

/* ---- looking ---- */

/* A disk of its own cannot be moved aside: what its root may have in it, and etcd passes over. */
static bool is_passed_over(const char *name)
{
    size_t len = strlen(name);

    return scratch_dir_has_name(name) || strcmp(name, "lost+found") == 0 ||
           (len > 4 && strcmp(name + len - 4, ".old") == 0);
}

/* The name of something in it that is not to be passed over: "" if it is as good as empty. */
static int find_content(const struct data_dir *p, int fd, char found[NAME_MAX + 1], struct err *e)
{
    int again = tree_reopen(fd);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    const struct dirent *entry;

    found[0] = '\0';
    if (!dir) {
        int number = errno;

        if (again >= 0)
            close(again);
        return owner_errno(e, number, p->place.text);
    }
    while (!found[0] && (entry = readdir(dir))) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !(p->is_mount && is_passed_over(name)))
            (void)snprintf(found, NAME_MAX + 1, "%s", name);
    }
    (void)closedir(dir);
    return 0;
}

/* Linux says it from 5.8 on; before, another device than that of the directory above does, bind mounts excepted. */
static bool is_mount_root(int fd, int above)
{
    struct stat here, there;
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0 && (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
        return st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
    return fstat(fd, &here) == 0 && fstat(above, &there) == 0 && here.st_dev != there.st_dev;
}

static int resolve(struct data_dir *p, const char *path, struct err *e)
{
    _cleanup_free_ char *above = path_dir(path);

    if (!above)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (path_find(path, &p->place, e) == 0) {
        if (p->place.is_linked && !p->place.exists)
            return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: a symbolic link to nothing", path);
        return 0;
    }
    if (e->domain != ERR_DOMAIN_ERRNO)
        return -1;
    if (e->code == ENOENT)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: the directory above it does not exist: mkdir -p %s",
                path, above);
    if (e->code == ENOTDIR)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: %s is not a directory", path, above);
    return owner_errno(e, (int)e->code, path);
}

static int look_at_base(struct data_dir *p, struct err *e)
{
    struct stat st;

    p->base = p->is_mount ? strdup(p->place.text) : path_dir(p->place.text);
    if (!p->base)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (p->base_fd < 0)
        p->base_fd = tree_reopen(p->place.dir_fd);
    if (p->base_fd < 0 || fstat(p->base_fd, &st) < 0 || faccessat(p->base_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
        return owner_errno(e, errno, p->base);
    if (!p->place.exists) {
        p->uid = st.st_uid;
        p->gid = st.st_gid;
    }
    return 0;
}

static int look_at_existing(struct data_dir *p, struct err *e)
{
    _cleanup_close_ int fd =
            openat(p->place.dir_fd, p->place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char found[NAME_MAX + 1];
    struct stat st;

    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: exists and is not a directory", p->place.text);
    if (fd < 0 || fstat(fd, &st) < 0)
        return owner_errno(e, errno, p->place.text);
    p->is_mount = is_mount_root(fd, p->place.dir_fd);
    p->uid = p->old_uid = st.st_uid;
    p->gid = p->old_gid = st.st_gid;
    p->mode = p->old_mode = st.st_mode & 0777;
    if (find_content(p, fd, found, e) < 0)
        return -1;
    if (found[0])
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: is not empty (there is %s in it) and stays as it is: move it away first, or name another "
                "directory",
                p->place.text, found);
    if (p->is_mount)
        p->base_fd = TAKE_FD(fd);
    return 0;
}

struct data_dir *data_dir_plan(const char *path, struct err *e)
{
    _cleanup_(cleanup_data_dir_free) struct data_dir *p = calloc(1, sizeof(*p));

    if (!p) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    p->place = PATH_PLACE_INIT;
    p->base_fd = p->scratch.fd = -1;
    p->mode = NEW_MODE;
    if (path[0] != '/' || path[strspn(path, "/")] == '\0') {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "'%s' is no absolute path of a directory to make", path);
        return NULL;
    }
    if (resolve(p, path, e) < 0 || (p->place.exists && look_at_existing(p, e) < 0) || look_at_base(p, e) < 0)
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
    return p->place.text;
}

bool data_dir_lies_in(const struct data_dir *inner, const struct data_dir *outer)
{
    size_t len = strlen(outer->place.text);

    return strncmp(inner->place.text, outer->place.text, len) == 0 &&
           (inner->place.text[len] == '/' || inner->place.text[len] == '\0');
}

const char *data_dir_owner(const struct data_dir *p, char *out)
{
    return owner_format(p->uid, p->gid, out);
}

int data_dir_room(const struct data_dir *p, dev_t *dev, uint64_t *bytes, struct err *e)
{
    struct statvfs fs;
    struct stat st;

    if (fstatvfs(p->base_fd, &fs) < 0 || fstat(p->base_fd, &st) < 0)
        return err_errno(e, errno, "%s", p->base);
    *dev = st.st_dev;
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return 0;
}

/* ---- the scratch directory ---- */

static bool has_proc(void)
{
    return access("/proc/self/fd", X_OK) == 0;
}

/* Nobody else can rename what is ours in it, or put something in its place. */
static bool is_base_safe(const struct data_dir *p)
{
    struct stat st;

    return fstat(p->base_fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) &&
           ((st.st_mode & 022) == 0 || (st.st_mode & S_ISVTX));
}

/* What is filled, for a process in which the scratch directory is open as `fd`. The caller frees; NULL without memory.
 */
static char *path_of_data(const struct data_dir *p, int fd)
{
    char *path;
    int r = has_proc() ? asprintf(&path, "/proc/self/fd/%d/" FILLED, fd)
                       : asprintf(&path, "%s/%s/" FILLED, p->base, p->scratch.name);

    return r < 0 ? NULL : path;
}

int data_dir_open(struct data_dir *p, struct err *e)
{
    if (!has_proc() && !is_base_safe(p))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: others may write there, and without /proc it cannot be filled safely", p->base);
    scratch_dir_sweep(p->base_fd);
    if (scratch_dir_make(&p->scratch, p->base_fd, p->base, e) < 0)
        return -1;
    if (!(p->inside = path_of_data(p, p->scratch.fd)))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    return 0;
}

const char *data_dir_hand_over(struct data_dir *p, int child_fd, int *fd)
{
    free(p->handed);
    p->handed = path_of_data(p, child_fd);
    *fd = has_proc() ? p->scratch.fd : -1;
    return p->handed;
}

const char *data_dir_inside(const struct data_dir *p)
{
    return p->inside;
}

/* ---- into place ---- */

static int open_filled(const struct data_dir *p, struct err *e)
{
    int fd = openat(p->scratch.fd, FILLED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? err_errno(e, errno, "%s", p->inside) : fd;
}

int data_dir_prepare(struct data_dir *p, struct err *e)
{
    _cleanup_close_ int fd = open_filled(p, e);

    if (fd < 0)
        return -1;
    if (fchmod(fd, p->mode) < 0)
        return err_errno(e, errno, "%s", p->inside);
    if (tree_give(fd, p->uid, p->gid, p->place.text, e) < 0)
        return -1;
    p->prepared = true;
    return 0;
}

/* rename(2) would take the place of a file that came meanwhile, and etcd's first log has the same name everywhere.
 * Where the file system (NFS) or the kernel cannot leave such a file alone in one step, a link of files can, and a
 * directory only ever takes the place of an empty one. */
static int move_without_replacing(int from, int to, const char *name)
{
    struct stat st;

    if (renameat2(from, name, to, name, RENAME_NOREPLACE) == 0)
        return 0;
    if ((errno != EINVAL && errno != ENOSYS) || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (S_ISDIR(st.st_mode))
        return renameat(from, name, to, name);
    if (linkat(from, name, to, name, 0) < 0)
        return -1;
    (void)unlinkat(from, name, 0); /* else it goes with the scratch directory */
    return 0;
}

static int has_come_there(const struct data_dir *p, const char *name, int number, struct err *e)
{
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_ERRNO, number,
            "%s/%s: has come there meanwhile and stays as it is (is another restore, or an etcd, at work there?)",
            p->place.text, name);
}

static int move_up(struct data_dir *p, int from, const char *name, struct err *e)
{
    if (p->n_moved == MOVED_MAX)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "%s: more files than can be moved into place", p->inside);
    if (!(p->moved[p->n_moved] = strdup(name)))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (move_without_replacing(from, p->base_fd, name) == 0) {
        p->n_moved++;
        return 0;
    }
    free(TAKE_PTR(p->moved[p->n_moved]));
    if (errno == EEXIST || errno == ENOTEMPTY)
        return has_come_there(p, name, errno, e);
    return err_errno(e, errno, "%s/%s", p->place.text, name);
}

/* Nothing is begun that is known not to end well: what has moved up may not be ours to take down again. */
static int look_up(struct data_dir *p, int from, const char *name, struct err *e)
{
    struct stat st;

    (void)from;
    return fstatat(p->base_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : has_come_there(p, name, EEXIST, e);
}

static int for_each_filled(
        struct data_dir *p, int (*each)(struct data_dir *, int, const char *, struct err *), struct err *e)
{
    int fd = open_filled(p, e);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return fd < 0 ? -1 : err_errno(e, errno, "%s", p->inside);
    }
    while (r == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = each(p, fd, entry->d_name, e);
    (void)closedir(dir);
    return r;
}

/* etcd must be able to write into the root of the file system, too. */
static int give_root(struct data_dir *p, struct err *e)
{
    return fchown(p->base_fd, p->uid, p->gid) < 0 ? err_errno(e, errno, "giving %s to its owner", p->place.text) : 0;
}

static int put_in_place(struct data_dir *p, struct err *e)
{
    if (p->is_mount)
        return for_each_filled(p, look_up, e) < 0 || for_each_filled(p, move_up, e) < 0 ||
                               (p->owner_chosen && give_root(p, e) < 0)
                       ? -1
                       : 0;
    if (renameat(p->scratch.fd, FILLED, p->base_fd, p->place.name) < 0)
        return err_errno(e, errno, "%s", p->place.text);
    p->settled = true;
    return 0;
}

int data_dir_settle(struct data_dir *p, struct err *e)
{
    if (!p->prepared && data_dir_prepare(p, e) < 0)
        return -1;
    if (put_in_place(p, e) == 0) {
        if (fsync(p->base_fd) == 0 || errno == EINVAL)
            return 0;
        err_errno(e, errno, "syncing %s", p->base);
    }
    data_dir_take_back(p);
    return -1;
}

bool data_dir_is_in_place(const struct data_dir *p)
{
    return p->settled || p->n_moved;
}

/* ---- and back ---- */

static void take_down(struct data_dir *p)
{
    _cleanup_close_ int to = openat(p->scratch.fd, FILLED, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    while (to >= 0 && p->n_moved) {
        char *name = p->moved[p->n_moved - 1];

        if (renameat(p->base_fd, name, to, name) < 0)
            return;
        free(name);
        p->n_moved--;
    }
}

/* The empty directory that was there, as it was. */
static void make_old_one(const struct data_dir *p)
{
    _cleanup_close_ int fd = -1;

    if (mkdirat(p->base_fd, p->place.name, 0700) < 0)
        return; /* nobody is left to be told */
    fd = openat(p->base_fd, p->place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        (void)!(fchown(fd, p->old_uid, p->old_gid) == 0 && fchmod(fd, p->old_mode) == 0);
}

bool data_dir_take_back(struct data_dir *p)
{
    if (!data_dir_is_in_place(p))
        return true;
    if (p->uid != geteuid() || !is_base_safe(p))
        return false;
    take_down(p);
    if (p->settled && renameat(p->base_fd, p->place.name, p->scratch.fd, FILLED) == 0) {
        p->settled = false;
        if (p->place.exists)
            make_old_one(p);
    }
    return !data_dir_is_in_place(p);
}

void data_dir_clean(struct data_dir *p)
{
    if (p)
        scratch_dir_remove(&p->scratch, p->base_fd);
}

void data_dir_free(struct data_dir *p)
{
    if (!p)
        return;
    data_dir_clean(p);
    while (p->n_moved)
        free(p->moved[--p->n_moved]);
    if (p->base_fd >= 0)
        close(p->base_fd);
    path_place_clear(&p->place);
    free(p->handed);
    free(p->inside);
    free(p->base);
    free(p);
}
