#include "job/restore/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { ENTER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static void close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
}

int tree_reopen(int fd)
{
    return openat(fd, ".", ENTER);
}

/* Reads by a descriptor of its own: `fd` keeps its position, and its lock. */
static DIR *open_entries(int fd)
{
    int again = tree_reopen(fd);
    DIR *dir = again < 0 ? NULL : fdopendir(again);

    if (!dir && again >= 0)
        close(again);
    return dir;
}

/* The next but "." and ".."; NULL at the end, and when reading fails, with errno. */
static const char *next_name(DIR *dir)
{
    const struct dirent *entry;

    do {
        errno = 0;
        entry = readdir(dir);
    } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry ? entry->d_name : NULL;
}

/* ---- removing ---- */

static bool empty(int fd, dev_t dev, unsigned depth);

static bool remove_dir(int above, const char *name, dev_t dev, unsigned depth)
{
    _cleanup_close_ int fd = openat(above, name, ENTER);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != dev)
        return false;
    return empty(fd, dev, depth + 1) && unlinkat(above, name, AT_REMOVEDIR) == 0;
}

static bool empty(int fd, dev_t dev, unsigned depth)
{
    _cleanup_(close_dir) DIR *dir = depth < TREE_DEPTH_MAX ? open_entries(fd) : NULL;
    const char *name;
    bool all = dir != NULL;

    while (dir && (name = next_name(dir))) {
        if (unlinkat(fd, name, 0) == 0)
            continue;
        all = (errno == EISDIR || errno == EPERM) && remove_dir(fd, name, dev, depth) && all; /* unlink(2): which */
    }
    return all && errno == 0;
}

bool tree_empty(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && empty(fd, st.st_dev, 0);
}

/* ---- giving ---- */

struct gift {
    uid_t uid;
    gid_t gid;
    dev_t dev;
    const char *text;
};

static int give_tree(const struct gift *g, int fd, unsigned depth, struct err *e);

static int failed(const struct gift *g, const char *what, const char *name, struct err *e)
{
    return err_errno(e, errno, "%s %s%s%s", what, g->text, name[0] ? "/.../" : "", name);
}

/* A link, say: only its own owner changes. */
static int give_node(const struct gift *g, int above, const char *name, struct err *e)
{
    _cleanup_close_ int fd = openat(above, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return failed(g, "giving away", name, e);
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s/.../%s: was replaced under us", g->text, name);
    if (fchownat(fd, "", g->uid, g->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
        return failed(g, "giving away", name, e);
    return 0;
}

static int give_file(const struct gift *g, int fd, const struct stat *st, const char *name, struct err *e)
{
    if (S_ISREG(st->st_mode) && st->st_nlink != 1)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s/.../%s: has another name as well and may be somebody else's: it is not given away", g->text, name);
    if ((st->st_uid != g->uid || st->st_gid != g->gid) && fchown(fd, g->uid, g->gid) < 0)
        return failed(g, "giving away", name, e);
    return fsync(fd) < 0 && errno != EINVAL ? failed(g, "syncing", name, e) : 0;
}

static int give_entry(const struct gift *g, int above, const char *name, unsigned depth, struct err *e)
{
    struct stat seen, st;
    _cleanup_close_ int fd = -1;

    if (fstatat(above, name, &seen, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(g, "giving away", name, e);
    if (!S_ISREG(seen.st_mode) && !S_ISDIR(seen.st_mode))
        return give_node(g, above, name, e);
    fd = openat(above, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return failed(g, "giving away", name, e);
    /* Of what is mounted over a directory nothing is ours. Files of an overlay have devices of their own. */
    if ((S_ISDIR(st.st_mode) && st.st_dev != g->dev) || st.st_dev != seen.st_dev || st.st_ino != seen.st_ino)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s/.../%s: was replaced under us", g->text, name);
    if (S_ISDIR(st.st_mode) && give_tree(g, fd, depth + 1, e) < 0)
        return -1;
    return give_file(g, fd, &st, name, e);
}

/* What is in the directory. */
static int give_tree(const struct gift *g, int fd, unsigned depth, struct err *e)
{
    _cleanup_(close_dir) DIR *dir = NULL;
    const char *name;

    if (depth >= TREE_DEPTH_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: has too many directories in each other", g->text);
    dir = open_entries(fd);
    if (!dir)
        return failed(g, "reading", "", e);
    while ((name = next_name(dir)))
        if (give_entry(g, fd, name, depth, e) < 0)
            return -1;
    return errno ? failed(g, "reading", "", e) : 0;
}

int tree_give(int fd, uid_t uid, gid_t gid, const char *text, struct err *e)
{
    struct gift g = {.uid = uid, .gid = gid, .text = text};
    struct stat st;

    if (fstat(fd, &st) < 0)
        return failed(&g, "giving away", "", e);
    g.dev = st.st_dev;
    return give_tree(&g, fd, 0, e) < 0 ? -1 : give_file(&g, fd, &st, "", e);
}
