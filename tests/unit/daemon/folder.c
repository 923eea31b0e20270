#include "folder.h"

#include "expect.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <sodium.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

int folder_setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-daemon.XXXXXX");
    return sodium_init() >= 0 && mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int folder_teardown(void **state)
{
    (void)state;
    return chdir("/") == 0 && nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

const char *folder_path(void)
{
    return folder;
}

/* In a plain chroot `/` is no mount point, and what it lies on, which may be shared with the whole machine, can be made
 * private from the root of the namespace alone: setns(2) leads there. */
static bool make_private_from_outside(void)
{
    _cleanup_close_ int root = open("/", O_PATH | O_CLOEXEC);
    _cleanup_close_ int here = open(".", O_PATH | O_CLOEXEC);
    _cleanup_close_ int namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

    return setns(namespace, CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           fchdir(root) == 0 && chroot(".") == 0 && fchdir(here) == 0;
}

bool folder_own_mounts(void)
{
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || make_private_from_outside();
}

unsigned folder_count(void)
{
    DIR *dir = opendir(folder);
    unsigned n = 0;

    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir));)
        n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
    closedir(dir);
    return n;
}

void folder_write(const char *name, const void *data, size_t len, mode_t mode)
{
    _cleanup_close_ int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
}

struct buf folder_read(const char *name)
{
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct buf content = BUF_INIT(SIZE_MAX / 2);
    struct err e = ERR_INIT;
    ssize_t n;

    assert_true(fd >= 0);
    do {
        assert_int_equal(buf_reserve(&content, 1 << 16, &e), 0);
        n = read(fd, content.data + content.len, content.cap - content.len);
        assert_true(n >= 0);
        content.len += (size_t)n;
    } while (n > 0);
    return content;
}
