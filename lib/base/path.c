#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

enum { LINKS_MAX = 40 }; /* as the kernel follows: path_resolution(7) */

struct walk {
    const char *path; /* as it was given */
    int fd;           /* where we are */
    char text[PATH_MAX];
    char rest[PATH_MAX]; /* what is still to be walked */
    unsigned links;
    bool is_linked; /* the last link that was followed was the last component */
};

char *path_dir(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len ? strndup(path, len) : strdup(".");
}

void path_place_clear(struct path_place *p)
{
    if (p->dir_fd >= 0)
        close(p->dir_fd);
    free(p->name);
    free(p->text);
    *p = PATH_PLACE_INIT;
}

static int failed(const struct walk *w, int number, struct err *e)
{
    return err_errno(e, number, "%s", w->path);
}

static void go_to(struct walk *w, int fd)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd;
}

static int start(struct walk *w, bool at_root, struct err *e)
{
    go_to(w, open(at_root ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (w->fd < 0 || (!at_root && !getcwd(w->text, sizeof(w->text))))
        return failed(w, errno, e);
    if (at_root || strcmp(w->text, "/") == 0)
        w->text[0] = '\0';
    return 0;
}

/* Takes the next component off the rest; false: there is none. */
static bool next(struct walk *w, char name[NAME_MAX + 1], struct err *e)
{
    size_t skipped = strspn(w->rest, "/"), len = strcspn(w->rest + skipped, "/");
    const char *after = w->rest + skipped + len;

    if (len > NAME_MAX)
        (void)failed(w, ENAMETOOLONG, e);
    if (len == 0 || len > NAME_MAX)
        return false;
    (void)memcpy(name, w->rest + skipped, len);
    name[len] = '\0';
    after += strspn(after, "/");
    (void)memmove(w->rest, after, strlen(after) + 1);
    return true;
}

static int append(struct walk *w, const char *name, struct err *e)
{
    size_t len = strlen(w->text);
    int n = snprintf(w->text + len, sizeof(w->text) - len, "/%s", name);

    return n < 0 || (size_t)n >= sizeof(w->text) - len ? failed(w, ENAMETOOLONG, e) : 0;
}

static int enter(struct walk *w, const char *name, struct err *e)
{
    int fd = openat(w->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return failed(w, errno, e);
    go_to(w, fd);
    if (strcmp(name, "..") != 0)
        return append(w, name, e);
    if (strrchr(w->text, '/'))
        *strrchr(w->text, '/') = '\0';
    return 0;
}

/* Links of /proc lead to what a process has open, whatever they are called. */
static bool is_in_proc(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static int follow(struct walk *w, const char *name, const struct stat *st, struct err *e)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t len;
    int n;

    if (st->st_uid != 0 && st->st_uid != geteuid())
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: %s/%s is a symbolic link of user %u, who could make it lead anywhere, and is not followed: name "
                "the place itself",
                w->path, w->text, name, st->st_uid);
    if (is_in_proc(w->fd))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: leads to what is open in a process (%s/%s): name a file on a disk", w->path, w->text, name);
    len = readlinkat(w->fd, name, target, sizeof(target) - 1);
    if (len < 0)
        return failed(w, errno, e);
    if (++w->links > LINKS_MAX)
        return failed(w, ELOOP, e);
    target[len] = '\0';
    w->is_linked = w->rest[0] == '\0';
    n = snprintf(rest, sizeof(rest), "%s%s%s", target, w->rest[0] ? "/" : "", w->rest);
    if (n < 0 || (size_t)n >= sizeof(rest))
        return failed(w, ENAMETOOLONG, e);
    (void)memcpy(w->rest, rest, (size_t)n + 1);
    return target[0] == '/' ? start(w, true, e) : 0;
}

/* The end of the way, in the directory where we are. */
static int arrive(struct walk *w, const char *name, bool exists, struct path_place *out, struct err *e)
{
    if (append(w, name, e) < 0)
        return -1;
    *out = (struct path_place){
            .dir_fd = w->fd,
            .name = strdup(name),
            .text = strdup(w->text),
            .exists = exists,
            .is_linked = w->is_linked,
    };
    w->fd = -1;
    return out->name && out->text ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

/* It ended in "..", "." or a link to such: the directory where we are is the place itself. */
static int arrive_here(struct walk *w, struct path_place *out, struct err *e)
{
    char name[NAME_MAX + 1];
    const char *slash = strrchr(w->text, '/');
    struct stat here, named;
    int n = slash ? snprintf(name, sizeof(name), "%s", slash + 1) : -1;

    if (n < 0 || (size_t)n >= sizeof(name))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: is the root of the file system", w->path);
    if (fstat(w->fd, &here) < 0 || enter(w, "..", e) < 0)
        return failed(w, errno, e);
    if (fstatat(w->fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(w, errno, e);
    if (here.st_dev != named.st_dev || here.st_ino != named.st_ino)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: was moved while it was looked at", w->path);
    return arrive(w, name, true, out, e);
}

static int walk(struct walk *w, struct path_place *out, struct err *e)
{
    char name[NAME_MAX + 1];
    struct stat st;

    while (e->kind = ERR_NONE, next(w, name, e)) {
        bool is_last = w->rest[0] == '\0', is_name = strcmp(name, ".") != 0 && strcmp(name, "..") != 0;

        if (strcmp(name, ".") == 0)
            continue;
        if (is_name && fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno == ENOENT && is_last ? arrive(w, name, false, out, e) : failed(w, errno, e);
        if (is_name && S_ISLNK(st.st_mode)) {
            if (follow(w, name, &st, e) < 0)
                return -1;
        } else if (is_name && is_last) {
            return arrive(w, name, true, out, e);
        } else if (enter(w, name, e) < 0) {
            return -1;
        }
    }
    return e->kind ? -1 : arrive_here(w, out, e);
}

int path_find(const char *path, struct path_place *out, struct err *e)
{
    struct walk w = {.path = path, .fd = -1};
    struct err why = ERR_INIT;
    int r;

    *out = PATH_PLACE_INIT;
    if (!path[0] || strlen(path) >= sizeof(w.rest))
        return failed(&w, path[0] ? ENAMETOOLONG : ENOENT, e);
    (void)strcpy(w.rest, path);
    r = start(&w, path[0] == '/', &why) < 0 ? -1 : walk(&w, out, &why);
    cleanup_close(&w.fd);
    if (r == 0)
        return 0;
    path_place_clear(out);
    *e = why;
    return -1;
}
