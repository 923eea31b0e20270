#include "job/restore/scratch_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "job/restore/tree.h"

enum { TRIES = 8 };

bool scratch_dir_has_name(const char *name)
{
    return strncmp(name, SCRATCH_PREFIX, strlen(SCRATCH_PREFIX)) == 0;
}

/* Nobody else could make it, or change what is in it. */
static bool is_only_ours(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 && st.st_nlink > 0;
}

static bool is_marked(int fd)
{
    struct stat st;

    return fstatat(fd, SCRATCH_MARK, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid();
}

/* Fails where somebody has put another directory of ours in its place: that one is not empty, or has the mark. */
static bool mark(int fd)
{
    _cleanup_close_ int again = tree_reopen(fd);
    _cleanup_close_ int file = -1;
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    unsigned entries = 0;

    if (!dir)
        return false;
    again = -1; /* it is the stream's */
    while (readdir(dir))
        entries++;
    (void)closedir(dir);
    if (entries > 2) /* "." and ".." */
        return false;
    file = openat(fd, SCRATCH_MARK, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return file >= 0;
}

/* Somebody's sweep may come between making and locking: then once more. */
int scratch_dir_make(struct scratch_dir *s, int above, const char *text, struct err *e)
{
    for (unsigned i = 0; i < TRIES; i++) {
        (void)snprintf(s->name, sizeof(s->name), SCRATCH_PREFIX "%08x", randombytes_random());
        if (mkdirat(above, s->name, 0700) < 0)
            return err_errno(e, errno, "%s/%s", text, s->name);
        s->fd = openat(above, s->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (s->fd >= 0 && flock(s->fd, LOCK_EX | LOCK_NB) == 0 && is_only_ours(s->fd) && mark(s->fd))
            return 0;
        if (s->fd >= 0)
            close(TAKE_FD(s->fd));
        (void)unlinkat(above, s->name, AT_REMOVEDIR);
    }
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "%s/%s: cannot be locked", text, s->name);
}

void scratch_dir_remove(struct scratch_dir *s, int above)
{
    if (s->fd < 0)
        return;
    (void)tree_empty(s->fd);
    (void)unlinkat(above, s->name, AT_REMOVEDIR);
    close(TAKE_FD(s->fd));
}

void scratch_dir_sweep(int above)
{
    int again = tree_reopen(above);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        _cleanup_close_ int fd = -1;

        if (!scratch_dir_has_name(entry->d_name))
            continue;
        fd = openat(above, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || !is_only_ours(fd) || flock(fd, LOCK_EX | LOCK_NB) < 0)
            continue;
        if (is_marked(fd))
            (void)tree_empty(fd);
        (void)unlinkat(above, entry->d_name, AT_REMOVEDIR); /* killed before it was marked: it is empty */
    }
    if (dir)
        (void)closedir(dir);
    else if (again >= 0)
        close(again);
}
