/* A directory that appears whole or not at all, and whether there is room for it. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "failing.h"
#include "folder.h"
#include "job/restore/data_dir.h"
#include "job/restore/disk_space.h"
#include "job/restore/output_file.h"
#include "job/restore/owner.h"

#define _cleanup_data_dir_ _cleanup_(cleanup_data_dir_free)

/* An absolute path in the folder; valid until the next call but three. */
static const char *path_of(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned n;
    char *path = paths[n++ % 4];

    (void)snprintf(path, PATH_MAX, "%s/%s", folder_path(), name);
    return path;
}

static struct data_dir *plan(const char *name)
{
    struct err e = ERR_INIT;
    struct data_dir *p = data_dir_plan(path_of(name), &e);

    expect_success(p, &e);
    return p;
}

static void open_and_fill(struct data_dir *p)
{
    struct err e = ERR_INIT;
    char path[PATH_MAX];

    expect_success(data_dir_open(p, &e) == 0, &e);
    assert_int_equal(mkdir(data_dir_inside(p), 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/member", data_dir_inside(p));
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/member/file", data_dir_inside(p));
    folder_write(path, "content", 7, 0600);
    (void)snprintf(path, sizeof(path), "%s/more", data_dir_inside(p));
    assert_int_equal(symlink("/no/such", path), 0);
}

static void settle(struct data_dir *p)
{
    struct err e = ERR_INIT;

    expect_success(data_dir_settle(p, &e) == 0, &e);
}

static void expect_file(const char *name)
{
    struct buf content = folder_read(name);

    assert_int_equal(content.len, 7);
    assert_memory_equal(content.data, "content", 7);
    buf_reset(&content);
}

static mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(name, &st), 0);
    return st.st_mode & 07777;
}

static bool is_there(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0;
}

/* ---- system calls that can be told to fail ---- */

static int renameat2_errno; /* 0: it works */

int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (!renameat2_errno)
        return __real_renameat2(from_dir, from, to_dir, to, flags);
    errno = renameat2_errno;
    return -1;
}

/* What the renaming of the filled directory into place says; 0: it works. */
static int renameat_errno;
static const char *renameat_fails_for = "";

int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (!renameat_errno || strcmp(to, renameat_fails_for) != 0)
        return __real_renameat(from_dir, from, to_dir, to);
    errno = renameat_errno;
    return -1;
}

/* The owner of the base puts this directory in the place of the next scratch directory, once. */
static const char *slipped_in;

int __real_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
    const char *other = slipped_in;

    if (!other || !strstr(path, ".etcd-backupd-unpack."))
        return __real_mkdirat(dir, path, mode);
    slipped_in = NULL;
    assert_int_equal(rename(other, path) | symlink(path, "slipped"), 0);
    return 0;
}

/* ---- the way it should go ---- */

/* Absent: only its owner may enter it, whatever is above, and nothing else is left there. */
static void test_absent(void **state)
{
    struct data_dir *p;
    char *inside;

    (void)state;
    assert_int_equal(chmod(".", 0751), 0);
    p = plan("data//");
    assert_string_equal(data_dir_path(p), path_of("data"));
    assert_int_equal(folder_count(), 0); /* looking touches nothing */
    open_and_fill(p);
    assert_int_equal(folder_count(), 1);
    assert_false(is_there("data"));
    inside = realpath(data_dir_inside(p), NULL); /* by a descriptor: nobody puts another in its place */
    assert_non_null(inside);
    assert_memory_equal(inside, path_of(".etcd-backupd-unpack."), strlen(path_of(".etcd-backupd-unpack.")));
    free(inside);
    settle(p);
    expect_file("data/member/file");
    assert_int_equal(mode_of("data"), 0700);
    assert_int_equal(mode_of("data/member"), 0700);
    data_dir_free(p);
    assert_int_equal(folder_count(), 1);
    expect_file("data/member/file");
}

/* An empty directory keeps its own mode; a link to it stays one. */
static void test_empty(void **state)
{
    struct data_dir *p;

    (void)state;
    assert_int_equal(mkdir("real", 0700) | chmod("real", 0710) | symlink("real", "link"), 0);
    p = plan("link");
    assert_string_equal(data_dir_path(p), path_of("real"));
    open_and_fill(p);
    assert_int_equal(folder_count(), 3);
    settle(p);
    data_dir_free(p);
    assert_int_equal(folder_count(), 2);
    expect_file("link/member/file");
    assert_int_equal(mode_of("real"), 0710);
}

/* Freed at each point before it has settled, or taken back after: as before. */
static void test_nothing_stays(void **state)
{
    (void)state;
    for (int exists = 0; exists < 2; exists++)
        for (int step = 0; step < 4; step++) {
            struct err e = ERR_INIT;
            struct data_dir *p;

            if (exists)
                assert_int_equal(mkdir("data", 0700) | chmod("data", 0711), 0);
            p = plan("data");
            if (step == 1)
                expect_success(data_dir_open(p, &e) == 0, &e);
            if (step >= 2)
                open_and_fill(p);
            if (step == 3) {
                settle(p);
                expect_file("data/member/file");
                assert_true(data_dir_is_in_place(p) && data_dir_take_back(p) && !data_dir_is_in_place(p));
            }
            data_dir_free(p);
            assert_int_equal(folder_count(), exists);
            if (exists) {
                assert_int_equal(mode_of("data"), 0711);
                assert_int_equal(rmdir("data"), 0); /* which is empty */
            }
        }
    data_dir_free(NULL);
}

/* ---- what is in the way ---- */

static void test_objections(void **state)
{
    static const struct {
        const char *path; /* in the folder; or what begins with '!', without that */
        enum err_kind kind;
        const char *words;
    } rows[] = {
            {"!relative", ERR_CONFIG, "'relative' is no absolute path"},
            {"!", ERR_CONFIG, "'' is no absolute path"},
            {"!//", ERR_CONFIG, "'//' is no absolute path"},
            {"full", ERR_CONFIG, "is not empty (there is something in it) and stays as it is"},
            {"hidden", ERR_CONFIG, "is not empty (there is .something in it)"},
            {"file", ERR_CONFIG, "exists and is not a directory"},
            {"file/data", ERR_CONFIG, ""},
            {"dangling", ERR_CONFIG, "a symbolic link to nothing"},
            {"none/data", ERR_CONFIG, "the directory above it does not exist: mkdir -p "},
    };

    (void)state;
    assert_int_equal(mkdir("full", 0700) | mkdir("hidden", 0700) | symlink("nothing", "dangling"), 0);
    folder_write("full/something", "", 0, 0600);
    folder_write("hidden/.something", "", 0, 0600);
    folder_write("file", "", 0, 0600);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *path = rows[i].path[0] == '!' ? rows[i].path + 1 : path_of(rows[i].path);
        struct err e = ERR_INIT;

        assert_null(data_dir_plan(path, &e));
        if (!strstr(e.text, rows[i].words) || (rows[i].words[0] && e.kind != rows[i].kind))
            fail_msg("%s: %s", rows[i].path, e.text);
        assert_non_null(strstr(e.text, path));
    }
    assert_int_equal(folder_count(), 4);
}

/* What comes into the way while it is filled is as safe as what was there before. */
static void test_in_the_way_later(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *p = plan("data");

    (void)state;
    open_and_fill(p);
    assert_int_equal(mkdir("data", 0700), 0);
    folder_write("data/theirs", "content", 7, 0600);
    assert_int_equal(data_dir_settle(p, &e), -1);
    assert_non_null(strstr(e.text, path_of("data")));
    data_dir_free(p);
    assert_int_equal(folder_count(), 1);
    expect_file("data/theirs");
    assert_false(is_there("data/member"));
}

/* Whoever should have filled it has not. */
static void test_not_filled(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *p = plan("data");

    (void)state;
    expect_success(data_dir_open(p, &e) == 0, &e);
    assert_int_equal(data_dir_settle(p, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    data_dir_free(p);
    assert_int_equal(folder_count(), 0);
}

/* What others left goes, what others hold stays, and so does what only looks like it. */
static void test_sweep(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *one, *two;
    int held;

    (void)state;
    assert_int_equal(mkdir(".etcd-backupd-unpack.00000001", 0700) | mkdir(".etcd-backupd-unpack.00000002", 0700) |
                             mkdir(".etcd-backupd-unpack.00000001/data", 0000) | mkdir(".etcd-backupd-other", 0700) |
                             mkdir("elsewhere", 0700) | symlink("elsewhere", ".etcd-backupd-unpack.00000003"),
            0);
    folder_write(".etcd-backupd-unpack.00000001/etcd-backupd.scratch", "", 0, 0600);
    folder_write("elsewhere/file", "content", 7, 0600);
    folder_write(".etcd-backupd-unpack.00000004", "", 0, 0600); /* no directory of ours */
    held = open(".etcd-backupd-unpack.00000002", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
    one = plan("one");
    two = plan("two");
    open_and_fill(one);
    assert_false(is_there(".etcd-backupd-unpack.00000001"));
    assert_true(is_there(".etcd-backupd-unpack.00000002") && is_there(".etcd-backupd-other"));
    expect_file("elsewhere/file");
    expect_success(data_dir_open(two, &e) == 0, &e); /* beside it, at the same time */
    settle(one);
    data_dir_free(one);
    data_dir_free(two);
    expect_file("one/member/file");
    close(held);
    assert_int_equal(folder_count(), 6);
}

/* Another directory of ours, renamed by whoever owns the base, is not emptied, whatever is in it: it has no mark. */
static void test_sweep_of_what_only_has_the_name(void **state)
{
    struct data_dir *p;

    (void)state;
    assert_int_equal(mkdir(".etcd-backupd-unpack.00000001", 0700) | mkdir(".etcd-backupd-unpack.00000002", 0700) |
                             mkdir(".etcd-backupd-unpack.00000001/data", 0700) |
                             mkdir(".etcd-backupd-unpack.00000002/data", 0700) |
                             mkdir(".etcd-backupd-unpack.00000002/data.tmp", 0700) |
                             mkdir(".etcd-backupd-unpack.00000003", 0700),
            0);
    folder_write(".etcd-backupd-unpack.00000001/data/file", "content", 7, 0600);
    folder_write(".etcd-backupd-unpack.00000002/data.tmp/file", "content", 7, 0600);
    folder_write(".etcd-backupd-unpack.00000002/etcd-backupd.scratch", "", 0, 0600);
    p = plan("data");
    open_and_fill(p);
    expect_file(".etcd-backupd-unpack.00000001/data/file");
    assert_false(is_there(".etcd-backupd-unpack.00000002") || is_there(".etcd-backupd-unpack.00000003"));
    data_dir_free(p);
    assert_int_equal(folder_count(), 1);
}

/* Nor is it taken for the new one, to be filled and emptied at the end. */
static void test_another_in_its_place(void **state)
{
    struct data_dir *p;

    (void)state;
    assert_int_equal(mkdir("theirs", 0700), 0);
    folder_write("theirs/file", "content", 7, 0600);
    p = plan("data");
    slipped_in = "theirs";
    open_and_fill(p);
    assert_null(slipped_in);
    settle(p);
    data_dir_free(p);
    expect_file("data/member/file");
    expect_file("slipped/file");
}

static void test_without_memory(void **state)
{
    size_t n = 0;
    bool reached;

    (void)state;
    for (int exists = 0; exists < 2; exists++) {
        if (exists)
            assert_int_equal(mkdir("data", 0700), 0);
        do {
            struct err e = ERR_INIT;
            struct data_dir *p;

            failing_arm(++n);
            p = data_dir_plan(path_of("data"), &e);
            reached = failing_disarm();
            assert_int_equal(reached, p == NULL);
            assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
            data_dir_free(p);
        } while (reached);
        assert_true(n > 2);
        n = 0;
    }
}

/* ---- whose it is ---- */

static void expect_owner(const char *name, uid_t uid, gid_t gid)
{
    struct stat st;

    assert_int_equal(lstat(name, &st), 0);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_gid, gid);
}

static void test_owner(void **state)
{
    static const struct {
        const char *owner, *shown;
        uid_t uid;
        gid_t gid;
    } rows[] = {
            {NULL, "71234:74321", 71234, 74321}, /* that of the directory above */
            {"", "71234:74321", 71234, 74321},
            {"75000", "75000:74321", 75000, 74321},
            {"75000:75001", "75000:75001", 75000, 75001},
            {"root:root", "root:root", 0, 0},
            {"0:75001", "root:75001", 0, 75001},
            {"nobody", "nobody:nogroup", 65534, 65534}, /* with the group that is his */
            {"nobody:root", "nobody:root", 65534, 0},
    };

    (void)state;
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;
        char shown[OWNER_TEXT_MAX];
        struct data_dir *p;

        assert_int_equal(mkdir("above", 0755) | chown("above", 71234, 74321), 0);
        p = plan("above/data");
        expect_success(data_dir_set_owner(p, rows[i].owner, &e) == 0, &e);
        assert_string_equal(data_dir_owner(p, shown), rows[i].shown);
        open_and_fill(p);
        settle(p);
        data_dir_free(p);
        expect_owner("above/data", rows[i].uid, rows[i].gid);
        expect_owner("above/data/member", rows[i].uid, rows[i].gid);
        expect_owner("above/data/member/file", rows[i].uid, rows[i].gid);
        expect_owner("above/data/more", rows[i].uid, rows[i].gid); /* the link, not what it means */
        assert_int_equal(unlink("above/data/member/file") | rmdir("above/data/member") | unlink("above/data/more") |
                                 rmdir("above/data") | rmdir("above"),
                0);
    }
}

static void test_owners_that_are_not(void **state)
{
    static const struct {
        const char *owner, *words;
    } rows[] = {
            {"no-such-user", "--owner: no user 'no-such-user' on this machine"},
            {":0", "--owner: no user '' on this machine"},
            {"0:", "--owner: no group '' on this machine"},
            {"0:no-such-group", "--owner: no group 'no-such-group' on this machine"},
            {"-1", "--owner: no user '-1' on this machine"},
            {"4294967295", "--owner: no user '4294967295' on this machine"},
            {"0:4294967295", "--owner: no group '4294967295' on this machine"},
            {"99999999999999999999", "--owner: no user '99999999999999999999' on this machine"},
            {"12x", "--owner: no user '12x' on this machine"},
            {"0:0:0", "--owner: no group '0:0' on this machine"},
    };
    _cleanup_data_dir_ struct data_dir *p = plan("data");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        assert_int_equal(data_dir_set_owner(p, rows[i].owner, &e), -1);
        expect_error(&e, ERR_CONFIG, rows[i].words);
    }
}

/* Who is not root can give nothing away, and is not asked to. */
static void test_as_somebody_else(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *p;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir("open", 0777) | chmod("open", 0777) | mkdir("closed", 0755) | mkdir("private", 0700) |
                             chmod(".", 0755),
            0);
    assert_int_equal(setegid(75001) | seteuid(75000), 0);
    p = data_dir_plan(path_of("open/data"), &e);
    expect_success(p, &e);
    assert_int_equal(data_dir_set_owner(p, "75002", &e), -1);
    expect_error(&e, ERR_CONFIG, "--owner: only root may give files to 75002");
    expect_success(data_dir_set_owner(p, "75000", &e) == 0 && data_dir_set_owner(p, NULL, &e) == 0, &e);
    open_and_fill(p);
    settle(p);
    data_dir_free(p);
    assert_null(data_dir_plan(path_of("closed/data"), &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(
            strstr(e.text, "closed: Permission denied (the daemon runs as 75000:75001; etcd-backupctl -c FILE writes "
                           "with your own rights)"));
    /* Nor may it look: which is what etcd's own directories are like. */
    e = ERR_INIT;
    assert_null(data_dir_plan(path_of("private"), &e));
    assert_non_null(strstr(e.text, "private: Permission denied (the daemon runs as 75000:75001; "));
    e = ERR_INIT;
    assert_null(data_dir_plan(path_of("private/data"), &e));
    assert_non_null(strstr(e.text, "private/data: Permission denied (the daemon runs as 75000:75001; "));
    assert_int_equal(seteuid(0) | setegid(0), 0);
    expect_owner("open/data/member/file", 75000, 75001);
}

/* ---- the directory above is another user's ---- */

/* A link that he laid is not followed, on the way or at its end; root's own is. */
static void test_links_of_others(void **state)
{
    static const struct {
        const char *path, *words; /* NULL: it is followed */
    } rows[] = {
            {"theirs/link/data", "theirs/link is a symbolic link of user 75000, who could make it lead anywhere"},
            {"theirs/link", "theirs/link is a symbolic link of user 75000, who could make it lead anywhere"},
            {"theirs/dangling", "theirs/dangling is a symbolic link of user 75000"},
            {"theirs/roots/data", NULL},
            {"theirs/roots", NULL},
            {"theirs/proc", ": leads to what is open in a process ("},
    };

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir("theirs", 0755) | mkdir("target", 0755) | symlink("../target", "theirs/link") |
                             symlink("../target", "theirs/roots") | symlink("nothing", "theirs/dangling") |
                             symlink("/proc/self/cwd", "theirs/proc") | lchown("theirs/link", 75000, 75000) |
                             lchown("theirs/dangling", 75000, 75000) | chown("theirs", 75000, 75000),
            0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;
        _cleanup_data_dir_ struct data_dir *p = data_dir_plan(path_of(rows[i].path), &e);

        if (rows[i].words && (p || e.kind != ERR_CONFIG || !strstr(e.text, rows[i].words)))
            fail_msg("%s: %s", rows[i].path, p ? "is followed" : e.text);
        if (!rows[i].words)
            expect_success(p, &e);
        if (p) /* where it leads is what is told */
            assert_memory_equal(data_dir_path(p), path_of("target"), strlen(path_of("target")));
    }
}

/* He swaps the directory above for a link after it was looked at: what was looked at is filled. */
static void test_above_is_swapped(void **state)
{
    struct data_dir *p;

    (void)state;
    assert_int_equal(mkdir("above", 0755) | mkdir("outside", 0755), 0);
    p = plan("above/data");
    assert_int_equal(rename("above", "aside") | symlink("outside", "above"), 0);
    open_and_fill(p);
    assert_int_equal(
            unlink("above") | rename("aside", "above") | rename("above", "aside") | symlink("outside", "above"), 0);
    settle(p);
    assert_true(data_dir_take_back(p));
    data_dir_free(p);
    assert_int_equal(rmdir("outside") | rmdir("aside"), 0); /* both are empty */
}

/* What was given away is not gone back into: its owner may have put a link there. */
static void test_given_is_not_taken_back(void **state)
{
    struct data_dir *p;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir("above", 0755) | chown("above", 75000, 75000) | mkdir("outside", 0700), 0);
    folder_write("outside/file", "content", 7, 0600);
    p = plan("above/data");
    open_and_fill(p);
    settle(p);
    assert_int_equal(rename("above/data", "above/aside") | rename("outside", "above/data"), 0);
    assert_false(data_dir_take_back(p));
    assert_true(data_dir_is_in_place(p));
    data_dir_free(p);
    expect_file("above/data/file");
    expect_file("above/aside/member/file");
}

/* The same of what is ours, where he can swap it. */
static void test_not_taken_back_where_others_write(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *p;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir("above", 0755) | chown("above", 75000, 75000), 0);
    p = plan("above/data");
    expect_success(data_dir_set_owner(p, "0:0", &e) == 0, &e);
    open_and_fill(p);
    settle(p);
    assert_false(data_dir_take_back(p));
    data_dir_free(p);
    expect_file("above/data/member/file");
}

/* Whatever can fail has failed before anything is in place. */
static void test_nothing_in_place_after_a_failure(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *p = plan("data");

    (void)state;
    open_and_fill(p);
    expect_success(data_dir_prepare(p, &e) == 0, &e);
    assert_false(data_dir_is_in_place(p));
    renameat_errno = EIO;
    renameat_fails_for = "data";
    assert_int_equal(data_dir_settle(p, &e), -1);
    renameat_errno = 0;
    assert_false(data_dir_is_in_place(p));
    data_dir_free(p);
    assert_int_equal(folder_count(), 0);
}

/* Becomes 75000:75001, in the group 75003 too, or root again. */
static void become(bool somebody_else)
{
    static gid_t groups[NGROUPS_MAX];
    static int n;
    gid_t other = 75003;

    if (!somebody_else) {
        assert_int_equal(seteuid(0) | setegid(0) | setgroups((size_t)n, groups), 0);
        return;
    }
    n = getgroups(NGROUPS_MAX, groups);
    assert_true(n >= 0);
    assert_int_equal(setgroups(1, &other) | setegid(75001) | seteuid(75000), 0);
}

/* What is ours already may only have a group that we are in: known before anything is filled. */
static void test_a_group_of_others(void **state)
{
    static const struct {
        const char *path, *owner, *shown;
        gid_t gid;
    } rows[] = {
            {"above/data", NULL, "75000:75001", 75001}, /* the directory above is of a group that we are not in */
            {"empty", NULL, "75000:75001", 75001},      /* and so is this one itself */
            {"above/data", "75000", "75000:75001", 75001},
            {"above/data", "75000:75001", "75000:75001", 75001},
            {"above/data", "75000:75003", "75000:75003", 75003},
            {"shared/data", NULL, "75000:75003", 75003},
    };

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir("above", 0755) | chown("above", 75000, 75002) | mkdir("shared", 0755) |
                             chown("shared", 75000, 75003) | chown(".", 75000, 75001),
            0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;
        char shown[OWNER_TEXT_MAX], path[PATH_MAX];
        struct data_dir *p;

        if (strcmp(rows[i].path, "empty") == 0)
            assert_int_equal(mkdir("empty", 0755) | chown("empty", 75000, 75002), 0);
        become(true);
        p = plan(rows[i].path);
        expect_success(data_dir_set_owner(p, rows[i].owner, &e) == 0, &e);
        assert_string_equal(data_dir_owner(p, shown), rows[i].shown);
        open_and_fill(p);
        settle(p);
        data_dir_free(p);
        (void)snprintf(path, sizeof(path), "%s/member/file", rows[i].path);
        expect_owner(rows[i].path, 75000, rows[i].gid);
        expect_owner(path, 75000, rows[i].gid);
        p = plan("more");
        assert_int_equal(data_dir_set_owner(p, "75000:75002", &e), -1);
        expect_error(&e, ERR_CONFIG,
                "--owner: this process is not in the group 75002: only root (CAP_CHOWN) may give files to it");
        data_dir_free(p);
        become(false);
        assert_int_equal(rename(rows[i].path, "done"), 0);
        assert_int_equal(unlink("done/member/file") | rmdir("done/member") | unlink("done/more") | rmdir("done"), 0);
    }
}

/* ---- a file system of its own ---- */

/* A small one at "disk", that nobody else sees. */
static bool mount_disk(void)
{
    static bool is_private;

    if (geteuid() != 0 || (!is_private && !folder_own_mounts()))
        return false;
    is_private = true;
    return mkdir("disk", 0755) == 0 && mount("none", "disk", "tmpfs", 0, "size=1m,mode=0755") == 0;
}

/* Nothing can be renamed onto it: what was filled moves up. */
static void test_mount(void **state)
{
    struct data_dir *p;

    (void)state;
    if (!mount_disk())
        skip();
    assert_int_equal(mkdir("disk/lost+found", 0700) | mkdir("disk/member.old", 0700), 0);
    folder_write("disk/member.old/file", "content", 7, 0600); /* moved aside, since the disk itself cannot be */
    for (int back = 1; back >= 0; back--) {
        p = plan("disk");
        open_and_fill(p);
        assert_int_equal(folder_count(), 1);
        settle(p);
        expect_file("disk/member/file");
        if (back)
            assert_true(data_dir_take_back(p));
        data_dir_free(p);
        assert_int_equal(is_there("disk/member"), !back);
        assert_int_equal(rmdir("disk/lost+found"), 0); /* it was left alone */
        assert_int_equal(mkdir("disk/lost+found", 0700), 0);
    }
    expect_file("disk/member.old/file");
    assert_int_equal(mkdir("old", 0700) | mkdir("old/member.old", 0700), 0); /* where the whole could be moved */
    assert_null(data_dir_plan(path_of("old"), &(struct err){.kind = ERR_NONE}));
    /* Not a second time over it. */
    assert_null(data_dir_plan(path_of("disk"), &(struct err){.kind = ERR_NONE}));
    assert_int_equal(unlink("disk/member/file") | rmdir("disk/member") | unlink("disk/more"), 0);
    assert_int_equal(rmdir("disk/lost+found") | rmdir("disk/none"), -1);
    assert_int_equal(umount("disk"), 0);
}

/* One of the things cannot go up: those that have, come down again. */
static void test_mount_with_something_in_the_way(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *p;

    (void)state;
    if (!mount_disk())
        skip();
    p = plan("disk");
    open_and_fill(p);
    assert_int_equal(mkdir("disk/member", 0700) | mkdir("disk/more", 0700), 0);
    folder_write("disk/member/theirs", "content", 7, 0600);
    assert_int_equal(data_dir_settle(p, &e), -1);
    data_dir_free(p);
    expect_file("disk/member/theirs");
    assert_true(is_there("disk/more") && !is_there("disk/member/file"));
    assert_int_equal(umount("disk"), 0);
}

/* A restore of a log alone, whose file has the same name each time. */
static void fill_with_a_log(struct data_dir *p, const char *content)
{
    struct err e = ERR_INIT;
    char path[PATH_MAX];

    expect_success(data_dir_open(p, &e) == 0, &e);
    assert_int_equal(mkdir(data_dir_inside(p), 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/0.wal", data_dir_inside(p));
    folder_write(path, content, strlen(content), 0600);
}

/* Two restores onto one mount, side by side: the second fails, and what the first has put there stays. Also where the
 * file system cannot rename without replacing. */
static void test_mount_twice(void **state)
{
    static const int ways[] = {0, EINVAL, ENOSYS};

    (void)state;
    if (!mount_disk())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct err e = ERR_INIT;
        struct data_dir *one = plan("disk"), *two = plan("disk");

        renameat2_errno = ways[i];
        assert_int_equal(chmod("disk", 02755), 0);
        expect_success(
                data_dir_set_owner(one, "71234:74321", &e) == 0 && data_dir_set_owner(two, "75000:75001", &e) == 0, &e);
        fill_with_a_log(one, "content");
        fill_with_a_log(two, "another");
        settle(one);
        assert_int_equal(data_dir_settle(two, &e), -1);
        assert_int_equal(e.kind, ERR_CONFIG);
        assert_memory_equal(e.text, path_of("disk/0.wal"), strlen(path_of("disk/0.wal")));
        assert_non_null(strstr(e.text, ": has come there meanwhile and stays as it is"));
        assert_true(data_dir_take_back(two)); /* has nothing to take */
        data_dir_free(two);
        expect_file("disk/0.wal");
        expect_owner("disk/0.wal", 71234, 74321);
        expect_owner("disk", 71234, 74321);
        assert_int_equal(mode_of("disk"), 02755);
        assert_false(data_dir_take_back(one)); /* it is its owner's now */
        data_dir_free(one);
        expect_owner("disk/0.wal", 71234, 74321);
        assert_int_equal(unlink("disk/0.wal") | chown("disk", 0, 0), 0);
    }
    renameat2_errno = 0;
    assert_int_equal(umount("disk"), 0);
}

/* Directories and links move up there as well, and a directory with something in it is as safe. */
static void test_mount_without_renameat2(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *p;

    (void)state;
    if (!mount_disk())
        skip();
    renameat2_errno = EINVAL;
    p = plan("disk");
    open_and_fill(p);
    settle(p);
    expect_file("disk/member/file");
    assert_true(is_there("disk/more"));
    assert_true(data_dir_take_back(p));
    data_dir_free(p);
    assert_false(is_there("disk/member") || is_there("disk/more"));
    p = plan("disk");
    open_and_fill(p);
    assert_int_equal(mkdir("disk/member", 0700), 0);
    folder_write("disk/member/theirs", "content", 7, 0600);
    assert_int_equal(data_dir_settle(p, &e), -1);
    assert_non_null(strstr(e.text, "/member: has come there meanwhile and stays as it is"));
    data_dir_free(p);
    expect_file("disk/member/theirs");
    assert_false(is_there("disk/more"));
    renameat2_errno = EPERM;
    assert_int_equal(unlink("disk/member/theirs") | rmdir("disk/member"), 0);
    p = plan("disk");
    open_and_fill(p);
    assert_int_equal(data_dir_settle(p, &e), -1);
    assert_non_null(strstr(e.text, "Operation not permitted"));
    data_dir_free(p);
    renameat2_errno = 0;
    assert_int_equal(umount("disk"), 0);
}

/* Its root is root's, and everybody may write into it: it stays root's. */
static void test_mount_of_others(void **state)
{
    struct err e = ERR_INIT;
    struct data_dir *p;

    (void)state;
    if (!mount_disk())
        skip();
    assert_int_equal(chmod("disk", 0777) | chmod(".", 0755), 0);
    become(true);
    p = plan("disk");
    expect_success(data_dir_set_owner(p, "75000", &e) == 0, &e);
    open_and_fill(p);
    settle(p);
    data_dir_free(p);
    become(false);
    expect_owner("disk", 0, 0);
    expect_owner("disk/member/file", 75000, 75001);
    assert_int_equal(umount("disk"), 0);
}

/* ---- room ---- */

static void test_room(void **state)
{
    struct err e = ERR_INIT;
    struct disk_space room = ROOM_INIT;
    _cleanup_data_dir_ struct data_dir *p = plan("data");
    _cleanup_(cleanup_output_file_free) struct output_file *file = output_file_open(path_of("file"), &e);
    uint64_t available;
    dev_t dev;

    (void)state;
    expect_success(file, &e);
    expect_success(data_dir_room(p, &dev, &available, &e) == 0, &e);
    assert_true(available > 4096);
    expect_success(disk_space_need_beside(&room, file, available / 2, &e) == 0, &e);
    expect_success(disk_space_verdict(&room, &e) == 0, &e);
    /* Each would fit, and both do not: they are on one disk. */
    expect_success(disk_space_need(&room, p, available / 2 + available / 4, &e) == 0, &e);
    assert_int_equal(room.count, 1);
    assert_int_equal(disk_space_verdict(&room, &e), -1);
    assert_int_equal(e.kind, ERR_RESOURCE);
    assert_int_equal(e.code, ENOSPC);
    assert_memory_equal(e.text, folder_path(), strlen(folder_path()));
    assert_non_null(strstr(e.text, ": too little room: "));
}

/* Two disks are two; the one that is too small is named. */
static void test_room_on_two_disks(void **state)
{
    struct err e = ERR_INIT;
    struct disk_space room = ROOM_INIT;
    struct output_file *file;
    struct data_dir *p;

    (void)state;
    if (!mount_disk())
        skip();
    p = plan("disk/data");
    file = output_file_open(path_of("file"), &e);
    expect_success(file && disk_space_need_beside(&room, file, 3 << 19, &e) == 0, &e);
    expect_success(disk_space_need(&room, p, 1 << 19, &e) == 0, &e);
    assert_int_equal(room.count, 2);
    expect_success(disk_space_verdict(&room, &e) == 0, &e);
    expect_success(disk_space_need(&room, p, (1 << 19) + 1, &e) == 0, &e);
    assert_int_equal(disk_space_verdict(&room, &e), -1);
    assert_memory_equal(e.text, path_of("disk/data: "), strlen(path_of("disk/data: ")));
    output_file_free(file);
    data_dir_free(p);
    assert_int_equal(umount("disk"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_absent, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_empty, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_nothing_stays, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_objections, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_in_the_way_later, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_not_filled, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_sweep, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_sweep_of_what_only_has_the_name, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_another_in_its_place, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_without_memory, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_owner, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_owners_that_are_not, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_as_somebody_else, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_links_of_others, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_above_is_swapped, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_given_is_not_taken_back, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_not_taken_back_where_others_write, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_nothing_in_place_after_a_failure, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_a_group_of_others, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_mount_of_others, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_mount, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_mount_with_something_in_the_way, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_mount_twice, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_mount_without_renameat2, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_room, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_room_on_two_disks, folder_setup, folder_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
