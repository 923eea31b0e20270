/* A file that appears whole or not at all, on disks of all kinds. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "failing.h"
#include "folder.h"
#include "job/restore/output_file.h"
#include "job/restore/owner.h"

/* What a file system may answer; 0: what the real one does. What the target calls comes here (--wrap). */
static struct {
    int tmpfile, write, fsync_file, fsync_dir, link_by_fd, link_by_proc, rename;
    bool choppy; /* every other write is interrupted, and does a part */
} fault;
static unsigned writes, links_by_fd, links_by_proc, tmpfiles;

static int setup(void **state)
{
    memset(&fault, 0, sizeof(fault));
    links_by_fd = links_by_proc = tmpfiles = 0;
    return folder_setup(state);
}

static int fails(int number)
{
    errno = number;
    return number ? -1 : 0;
}

int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, mode_t mode);
int __wrap_openat64(int dir, const char *path, int flags, mode_t mode)
{
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        tmpfiles++;
        if (fails(fault.tmpfile))
            return -1;
    }
    return __real_openat64(dir, path, flags, mode);
}

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    if (fault.choppy && ++writes % 2)
        return fails(EINTR);
    if (fails(fault.write))
        return -1;
    return __real_write(fd, data, fault.choppy ? len / 2 + 1 : len);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return fails(S_ISDIR(st.st_mode) ? fault.fsync_dir : fault.fsync_file) ? -1 : __real_fsync(fd);
}

int __real_linkat(int from, const char *path, int to, const char *name, int flags);
int __wrap_linkat(int from, const char *path, int to, const char *name, int flags);
int __wrap_linkat(int from, const char *path, int to, const char *name, int flags)
{
    bool by_fd = flags & AT_EMPTY_PATH;

    *(by_fd ? &links_by_fd : &links_by_proc) += 1;
    return fails(by_fd ? fault.link_by_fd : fault.link_by_proc) ? -1 : __real_linkat(from, path, to, name, flags);
}

int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails(fault.rename) ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

static const struct bytes hello = {(const uint8_t *)"hello", 5};

/* What the kernel is asked for, in order: "w 0 16" writes 16 MiB from the beginning, "d 0 16" drops them from the
 * cache. */
static char asked[256];

static void note(char what, off_t from, off_t len)
{
    const size_t n = strlen(asked);

    (void)snprintf(asked + n, sizeof(asked) - n, "%c %lld %lld, ", what, (long long)from >> 20, (long long)len >> 20);
}

int __wrap_sync_file_range(int fd, off64_t from, off64_t len, unsigned flags);
int __wrap_sync_file_range(int fd, off64_t from, off64_t len, unsigned flags)
{
    (void)fd;
    assert_int_equal(flags, SYNC_FILE_RANGE_WRITE);
    note('w', from, len);
    return 0;
}

int __wrap_posix_fadvise64(int fd, off64_t from, off64_t len, int advice);
int __wrap_posix_fadvise64(int fd, off64_t from, off64_t len, int advice)
{
    (void)fd;
    assert_int_equal(advice, POSIX_FADV_DONTNEED);
    note('d', from, len);
    return 0;
}

static struct output_file *open_target(const char *path)
{
    struct err e = ERR_INIT;
    struct output_file *t = output_file_open(path, &e);

    expect_success(t, &e);
    return t;
}

static void write_all(struct output_file *t, struct bytes bytes)
{
    struct err e = ERR_INIT;

    expect_success(output_file_write(t, bytes, &e) == 0, &e);
}

static void commit(struct output_file *t)
{
    struct err e = ERR_INIT;

    expect_success(output_file_commit(t, &e) == 0, &e);
}

static void expect_content(const char *name, const char *text)
{
    struct buf content = folder_read(name);

    assert_int_equal(content.len, strlen(text));
    assert_memory_equal(content.data, text, content.len);
    buf_reset(&content);
}

static void expect_mode(const char *name, mode_t mode)
{
    struct stat st;

    assert_int_equal(lstat(name, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | mode);
}

/* ---- what it is for ---- */

/* Absolute and relative, new and over what was there, whose mode and other names do not matter. */
static void test_commit(void **state)
{
    char absolute[PATH_MAX];
    const char *const paths[] = {"file", "./file", absolute};

    (void)state;
    (void)snprintf(absolute, sizeof(absolute), "%s/file", folder_path());
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct output_file *t = open_target(paths[i]);

        write_all(t, hello);
        write_all(t, (struct bytes){(const uint8_t *)" world", 6});
        if (i)
            expect_content("file", "what was there");
        else
            assert_int_equal(folder_count(), tmpfiles ? 0 : 1);
        commit(t);
        output_file_free(t);
        expect_content("file", "hello world");
        expect_mode("file", 0600);
        assert_int_equal(folder_count(), 1);
        folder_write("file", "what was there", 14, 0644);
    }
}

/* The owner alone reads it, whatever the umask lets pass, and whatever the old file let pass. */
static void test_mode(void **state)
{
    mode_t before = umask(0);

    (void)state;
    for (int with_tmpfile = 0; with_tmpfile < 2; with_tmpfile++) {
        struct output_file *t;

        fault.tmpfile = with_tmpfile ? 0 : EOPNOTSUPP;
        folder_write("file", "", 0, 0666);
        t = open_target("file");
        commit(t);
        output_file_free(t);
        expect_mode("file", 0600);
    }
    (void)umask(before);
}

static void test_nothing_is_left_without_a_commit(void **state)
{
    (void)state;
    folder_write("file", "as before", 9, 0640);
    for (int with_tmpfile = 0; with_tmpfile < 2; with_tmpfile++) {
        struct output_file *t;

        fault.tmpfile = with_tmpfile ? 0 : EOPNOTSUPP;
        t = open_target("file");
        write_all(t, hello);
        output_file_free(t);
        assert_int_equal(folder_count(), 1);
        expect_content("file", "as before");
        expect_mode("file", 0640);
    }
    output_file_free(NULL);
}

static void expect_refused(const char *path, enum err_kind kind, const char *text)
{
    struct err e = ERR_INIT;

    assert_null(output_file_open(path, &e));
    expect_error(&e, kind, text);
}

/* A symbolic link would be replaced, and what it leads to not be written to: neither is what its owner thinks of.
 * Another name of the old file keeps the old content. */
static void test_links(void **state)
{
    char text[ERR_TEXT_MAX];
    struct output_file *t;

    (void)state;
    folder_write("other", "as before", 9, 0600);
    assert_int_equal(symlink("other", "file") | symlink("nothing", "dangling"), 0);
    (void)snprintf(text, sizeof(text),
            "file: is a symbolic link to %s/other and would be replaced by the file: name one of the two that is no "
            "link",
            folder_path());
    expect_refused("file", ERR_CONFIG, text);
    (void)snprintf(text, sizeof(text),
            "dangling: is a symbolic link to %s/nothing and would be replaced by the file: name one of the two that is "
            "no "
            "link",
            folder_path());
    expect_refused("dangling", ERR_CONFIG, text);
    assert_int_equal(unlink("dangling") | link("other", "second"), 0);
    t = open_target("other");
    write_all(t, hello);
    commit(t);
    output_file_free(t);
    expect_content("second", "as before");
    expect_content("file", "hello"); /* through the link, which is one still */
    assert_int_equal(folder_count(), 3);
}

/* Whoever owns the directory puts another in its place while we write. */
static void test_directory_is_swapped(void **state)
{
    struct output_file *t;

    (void)state;
    assert_int_equal(mkdir("theirs", 0700) | mkdir("outside", 0700), 0);
    for (int with_tmpfile = 0; with_tmpfile < 2; with_tmpfile++) {
        fault.tmpfile = with_tmpfile ? 0 : EOPNOTSUPP;
        t = open_target("theirs/file");
        assert_int_equal(rename("theirs", "aside") | symlink("outside", "theirs"), 0);
        write_all(t, hello);
        commit(t);
        output_file_free(t);
        expect_content("aside/file", "hello");
        assert_int_equal(unlink("theirs") | rename("aside", "theirs"), 0);
    }
    assert_int_equal(rmdir("outside"), 0); /* it is empty */
}

/* Nor is a link followed that another user laid. */
static void test_link_of_another(void **state)
{
    char text[ERR_TEXT_MAX];

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir("outside", 0700) | symlink("outside", "theirs") | lchown("theirs", 75000, 75000), 0);
    (void)snprintf(text, sizeof(text),
            "theirs/file: %s/theirs is a symbolic link of user 75000, who could make it lead anywhere, and is not "
            "followed: "
            "name the place itself",
            folder_path());
    expect_refused("theirs/file", ERR_CONFIG, text);
    assert_int_equal(lchown("theirs", 0, 0), 0);
    output_file_free(open_target("theirs/file"));
    assert_int_equal(rmdir("outside"), 0);
}

/* What will be replaced is known before. */
static void test_old_file(void **state)
{
    struct output_file *t = open_target("file");
    struct stat st;

    (void)state;
    assert_false(output_file_replaces(t)->exists);
    output_file_free(t);
    folder_write("file", "as before", 9, 0600);
    assert_int_equal(stat("file", &st), 0);
    t = open_target("file");
    assert_true(output_file_replaces(t)->exists);
    assert_int_equal(output_file_replaces(t)->size, 9);
    assert_int_equal(output_file_replaces(t)->changed, st.st_mtime);
    output_file_free(t);
}

/* ---- file systems ---- */

static void test_without_tmpfile(void **state)
{
    static const int answers[] = {EOPNOTSUPP, EISDIR, EINVAL};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct output_file *t;

        fault.tmpfile = answers[i];
        t = open_target("file");
        write_all(t, hello);
        assert_int_equal(folder_count(), 1 + (i > 0)); /* the hidden one */
        commit(t);
        assert_int_equal(folder_count(), 1);
        output_file_free(t);
        expect_content("file", "hello");
        assert_int_equal(links_by_fd + links_by_proc, 0);
    }
}

static void test_ways_to_link(void **state)
{
    struct output_file *t = open_target("file");

    (void)state;
    fault.link_by_fd = ENOENT; /* what is said to whoever lacks CAP_DAC_READ_SEARCH */
    write_all(t, hello);
    commit(t);
    output_file_free(t);
    expect_content("file", "hello");
    assert_int_equal(links_by_proc, 1);
}

/* Full, or lying: whoever restored is told, and what was there is there. */
static void test_faults(void **state)
{
    static const struct {
        int *fault, number;
        enum err_kind kind;
        const char *text; /* begins like this */
    } rows[] = {
            {&fault.write, ENOSPC, ERR_RESOURCE, "writing file: No space left on device"},
            {&fault.write, EIO, ERR_RESOURCE, "writing file: Input/output error"},
            {&fault.fsync_file, EIO, ERR_RESOURCE, "syncing file: Input/output error"},
            {&fault.link_by_proc, ENOSPC, ERR_RESOURCE, "./.etcd-backupd."},
            {&fault.rename, EPERM, ERR_CONFIG, "file: Operation not permitted"},
    };

    (void)state;
    folder_write("file", "as before", 9, 0600);
    fault.link_by_fd = ENOENT;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct output_file *t = open_target("file");
        struct err e = ERR_INIT;

        *rows[i].fault = rows[i].number;
        assert_int_equal(output_file_write(t, hello, &e) < 0 || output_file_commit(t, &e) < 0, 1);
        *rows[i].fault = 0;
        assert_memory_equal(e.text, rows[i].text, strlen(rows[i].text));
        assert_int_equal(e.kind, rows[i].kind);
        output_file_free(t);
        assert_int_equal(folder_count(), 1);
        expect_content("file", "as before");
    }
}

/* After the rename it cannot be untouched any more, and the error says so. */
static void test_directory_is_not_synced(void **state)
{
    struct output_file *t = open_target("file");
    struct err e = ERR_INIT;

    (void)state;
    write_all(t, hello);
    fault.fsync_dir = EIO;
    assert_int_equal(output_file_commit(t, &e), -1);
    expect_error(&e, ERR_RESOURCE, "file is written, but may not outlive a crash: syncing .: Input/output error");
    output_file_free(t);
    expect_content("file", "hello");
    t = open_target("file");
    fault.fsync_dir = EINVAL; /* nothing to sync there */
    commit(t);
    output_file_free(t);
}

static void test_interrupted_writes(void **state)
{
    enum { LEN = 100000 };
    static uint8_t data[LEN];
    struct output_file *t = open_target("file");
    struct buf content;

    (void)state;
    for (size_t i = 0; i < LEN; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    fault.choppy = true;
    write_all(t, (struct bytes){data, LEN});
    fault.choppy = false;
    commit(t);
    output_file_free(t);
    content = folder_read("file");
    assert_int_equal(content.len, LEN);
    assert_memory_equal(content.data, data, LEN);
    buf_reset(&content);
}

/* A real one that is full: the file is not there, and its space is free again. */
static void on_small_disk(void)
{
    static uint8_t block[4096];
    struct err e = ERR_INIT;
    unsigned blocks = 0;

    for (int round = 0; round < 2; round++) {
        struct output_file *t = open_target("disk/file");

        while (output_file_write(t, (struct bytes){block, sizeof(block)}, &e) == 0)
            blocks++;
        expect_error(&e, ERR_RESOURCE, "writing disk/file: No space left on device");
        output_file_free(t);
        assert_int_equal(access("disk/file", F_OK), -1);
    }
    assert_true(blocks >= 2 * 64 - 8); /* the second round had as much room */
}

static void test_full_disk(void **state)
{
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(mkdir("disk", 0700), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!folder_own_mounts() || mount("none", "disk", "tmpfs", 0, "size=256k") < 0)
            _exit(77);
        on_small_disk();
        _exit(0); /* the mount goes with us */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* a place where nothing may be mounted */
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- what is refused before the first byte ---- */

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    folder_write("file", "", 0, 0600);
    expect_refused("", ERR_CONFIG, "'' is not the name of a file");
    expect_refused("new/", ERR_CONFIG, "'new/' is not the name of a file");
    expect_refused("folder", ERR_CONFIG, "folder: exists and is not a regular file");
    expect_refused("folder/", ERR_CONFIG, "'folder/' is not the name of a file");
    expect_refused("/", ERR_CONFIG, "'/' is not the name of a file");
    expect_refused("pipe", ERR_CONFIG, "pipe: exists and is not a regular file");
    expect_refused("/dev/null", ERR_CONFIG, "/dev/null: exists and is not a regular file");
    expect_refused("none/file", ERR_NOT_FOUND, "directory none does not exist: mkdir -p none");
    expect_refused("file/file", ERR_NOT_FOUND, "file: Not a directory");
    expect_refused("/proc/self/fd/1", ERR_CONFIG,
            "/proc/self/fd/1: leads to what is open in a process (/proc/self): name a file on a disk");
    assert_int_equal(folder_count(), 3);
}

static void test_refused_by_the_file_system(void **state)
{
    (void)state;
    fault.tmpfile = EACCES;
    if (geteuid() == 0 && owner_may_give()) /* others are told who may (test_place.c) */
        expect_refused("file", ERR_CONFIG, ".: Permission denied");
    fault.tmpfile = ENOSPC;
    expect_refused("file", ERR_RESOURCE, ".: No space left on device");
    fault.tmpfile = EROFS;
    expect_refused("file", ERR_RESOURCE,
            ".: Read-only file system (for a confined daemon; etcd-backupctl -c FILE writes with your own rights)");
}

/* A name as long as names can be leaves no room for a prefix. */
static void test_long_names(void **state)
{
    char name[NAME_MAX + 1];

    (void)state;
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    for (int with_tmpfile = 0; with_tmpfile < 2; with_tmpfile++) {
        struct output_file *t;

        fault.tmpfile = with_tmpfile ? 0 : EOPNOTSUPP;
        t = open_target(name);
        write_all(t, hello);
        commit(t);
        output_file_free(t);
        expect_content(name, "hello");
    }
}

static void test_no_memory(void **state)
{
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct output_file *t;

        failing_arm(++n);
        t = output_file_open("file", &e);
        reached = failing_disarm();
        assert_true(!t == reached);
        if (reached)
            expect_error(&e, ERR_RESOURCE, "out of memory");
        output_file_free(t);
    } while (reached);
    assert_true(n > 3);
}

/* Nothing is dropped that was not asked to be written the time before; nor anything that is read at once. */
static void test_page_cache(void **state)
{
    static uint8_t mib[1 << 20];
    struct err e = ERR_INIT;

    (void)state;
    for (int transient = 0; transient < 2; transient++) {
        struct output_file *t = transient ? output_file_open_transient("f", &e) : open_target("f");

        asked[0] = '\0';
        for (unsigned i = 0; i < 50; i++)
            expect_success(output_file_write(t, (struct bytes){mib, sizeof(mib)}, &e) == 0, &e);
        assert_string_equal(asked, transient ? "" : "w 0 16, w 16 16, d 0 16, w 32 16, d 0 32, ");
        expect_success(output_file_commit(t, &e) == 0, &e);
        output_file_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_commit, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_mode, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_nothing_is_left_without_a_commit, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_links, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_directory_is_swapped, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_link_of_another, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_old_file, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_without_tmpfile, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_ways_to_link, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_faults, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_directory_is_not_synced, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_interrupted_writes, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_full_disk, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_refused, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_refused_by_the_file_system, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_long_names, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_no_memory, setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_page_cache, setup, folder_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
