#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failing.h"
#include "seal/key.h"

/* ---- the disk (--wrap) ---- */

static unsigned fsync_fails; /* the n-th from now on; 0: none */
static unsigned fsyncs;
static bool fsync_saw_folder;

int __wrap_fsync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat st;

    fsyncs++;
    fsync_saw_folder = fsync_saw_folder || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
    if (fsync_fails && --fsync_fails == 0) {
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}

/* ---- files ---- */

struct folder {
    char path[32];
    char file[64];
};

static int make_folder(void **state)
{
    struct folder *f = test_calloc(1, sizeof(*f));

    strcpy(f->path, "/tmp/test_key.XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    (void)snprintf(f->file, sizeof(f->file), "%s/master.key", f->path);
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *f = *state;

    (void)unlink(f->file);
    if (rmdir(f->path) != 0)
        return -1;
    test_free(f);
    return 0;
}

static void write_file(const struct folder *f, const char *content, size_t len, mode_t mode)
{
    int fd = open(f->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void a_master_key_is_64_digits_and_white_space(void **state)
{
    static const char *const files[] = {
            "5525212737270d24feb43a688215865da747059fc00d0f427da9d5fcd8171f23",
            "5525212737270d24feb43a688215865da747059fc00d0f427da9d5fcd8171f23\n",
            "5525212737270D24FEB43A688215865DA747059FC00D0F427DA9D5FCD8171F23\r\n",
            " \t\n5525212737270d24feb43a688215865da747059fc00d0f427da9d5fcd8171f23 \v\f\n\n",
    };
    struct folder *f = *state;
    static const uint8_t expected[KEY_LEN] = {0x55, 0x25, 0x21, 0x27, 0x37, 0x27, 0x0d, 0x24, 0xfe, 0xb4, 0x3a, 0x68,
            0x82, 0x15, 0x86, 0x5d, 0xa7, 0x47, 0x05, 0x9f, 0xc0, 0x0d, 0x0f, 0x42, 0x7d, 0xa9, 0xd5, 0xfc, 0xd8, 0x17,
            0x1f, 0x23};

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *key = NULL;

        write_file(f, files[i], strlen(files[i]), 0600);
        key = key_read_master(f->file, &e);
        expect_success(key, &e);
        assert_int_equal(secret_len(key), KEY_LEN);
        assert_memory_equal(secret_const_data(key), expected, KEY_LEN);
    }
}

#define DIGITS_60 "5525212737270d24feb43a688215865da747059fc00d0f427da9d5fcd817"

static void any_other_file_is_refused_without_its_content(void **state)
{
    static const struct {
        const char *content;
        size_t len; /* 0: up to the NUL */
        const char *why;
    } cases[] = {
            {"", 0, "0 hexadecimal digits instead of 64"},
            {" \n", 0, "0 hexadecimal digits instead of 64"},
            {"5", 0, "1 hexadecimal digits instead of 64"},
            {DIGITS_60 "1f2", 0, "63 hexadecimal digits instead of 64"},
            {DIGITS_60 "1f234", 0, "65 hexadecimal digits instead of 64"},
            {DIGITS_60 DIGITS_60 "1f231f23", 0, "128 hexadecimal digits instead of 64"},
            {DIGITS_60 "1f2x", 0, "byte 64 is not a hexadecimal digit"},
            {"g" DIGITS_60 "1f2", 0, "byte 1 is not a hexadecimal digit"},
            {"\n 0x" DIGITS_60 "1f", 0, "byte 4 is not a hexadecimal digit"},
            {DIGITS_60 "\n1f23", 0, "byte 61 is not a hexadecimal digit"},
            {DIGITS_60 "1f23\0", 65, "byte 65 is not a hexadecimal digit"},
            {"\xef\xbb\xbf" DIGITS_60 "1f23", 0, "byte 1 is not a hexadecimal digit"},
            {"key: " DIGITS_60 "1f23", 0, "byte 1 is not a hexadecimal digit"},
    };
    struct folder *f = *state;
    char text[256];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;

        write_file(f, cases[i].content, cases[i].len ? cases[i].len : strlen(cases[i].content), 0600);
        assert_null(key_read_master(f->file, &e));
        (void)snprintf(text, sizeof(text), "%s: %s", f->file, cases[i].why);
        expect_error(&e, ERR_CONFIG, text);
    }
}

static void a_file_that_is_no_key_file_at_all_is_refused(void **state)
{
    struct folder *f = *state;
    struct err e = ERR_INIT;
    char text[256], blanks[1025];

    assert_null(key_read_master(f->file, &e));
    (void)snprintf(text, sizeof(text), "%s: No such file or directory", f->file);
    expect_error(&e, ERR_NOT_FOUND, text);

    write_file(f, DIGITS_60 "1f23", 64, 0644);
    assert_null(key_read_master(f->file, &e));
    (void)snprintf(
            text, sizeof(text), "%s: holds a secret but is open to all users (mode 0644); use chmod o-rwx", f->file);
    expect_error(&e, ERR_CONFIG, text);

    memset(blanks, ' ', sizeof(blanks));
    write_file(f, blanks, sizeof(blanks), 0600);
    assert_null(key_read_master(f->file, &e));
    (void)snprintf(text, sizeof(text), "%s: longer than 1024 bytes", f->file);
    expect_error(&e, ERR_CONFIG, text);
}

static void reading_fails_cleanly_at_each_allocation(void **state)
{
    struct folder *f = *state;
    bool reached;
    size_t n = 0;

    write_file(f, DIGITS_60 "1f23", 64, 0600);
    do {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *key = NULL;

        failing_arm(++n);
        key = key_read_master(f->file, &e);
        reached = failing_disarm();
        assert_int_equal(reached, key == NULL);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_int_equal(n, 7); /* three for each of two secrets */
}

/* A person brings a key on a stick whose files are open to all; the daemon's own may not be. */
static void a_key_that_is_brought_may_be_open_to_others(void **state)
{
    struct folder *f = *state;
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *brought = NULL, *master = NULL;
    char text[256];

    write_file(f, DIGITS_60 "1f23\n", 65, 0644);
    assert_null(key_read_master(f->file, &e));
    e = ERR_INIT;
    brought = key_read_brought(f->file, &e);
    expect_success(brought, &e);
    write_file(f, DIGITS_60 "1f23\n", 65, 0600);
    master = key_read_master(f->file, &e);
    expect_success(master, &e);
    assert_true(secret_equal(brought, master));
    /* Apart from that it is read as any other. */
    write_file(f, DIGITS_60 "1f2\n", 64, 0644);
    assert_null(key_read_brought(f->file, &e));
    (void)snprintf(text, sizeof(text), "%s: 63 hexadecimal digits instead of 64", f->file);
    expect_error(&e, ERR_CONFIG, text);
    assert_null(key_read_brought(f->path, &e));
    (void)snprintf(text, sizeof(text), "%s: not a regular file", f->path);
    expect_error(&e, ERR_CONFIG, text);
}

/* ---- writing ---- */

static struct secret *new_master(void)
{
    struct err e = ERR_INIT;
    struct secret *key = key_new_master(&e);

    expect_success(key, &e);
    return key;
}

static void a_written_key_can_be_read_whatever_the_umask(void **state)
{
    static const mode_t umasks[] = {0, 022, 077, 0277, 0777};
    struct folder *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(umasks); i++) {
        _cleanup_secret_ struct secret *key = new_master(), *back = NULL;
        struct err e = ERR_INIT;
        struct stat st;
        mode_t before = umask(umasks[i]);
        int r = key_write_master(f->file, key, &e);

        (void)umask(before);
        expect_success(r == 0, &e);
        assert_int_equal(stat(f->file, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_size, 65);
        back = key_read_master(f->file, &e);
        expect_success(back, &e);
        assert_true(secret_equal(key, back));
        assert_int_equal(unlink(f->file), 0);
    }
}

/* 64 digits and a line's end, in lower case, as `openssl rand -hex 32` writes them. */
static void a_written_key_is_a_line_of_digits(void **state)
{
    struct folder *f = *state;
    _cleanup_secret_ struct secret *key = new_master();
    struct err e = ERR_INIT;
    char found[100], digits[2 * KEY_LEN + 1];
    int fd;

    fsyncs = 0;
    fsync_saw_folder = false;
    expect_success(key_write_master(f->file, key, &e) == 0, &e);
    assert_int_equal(fsyncs, 2);
    assert_true(fsync_saw_folder); /* else the name could be lost with the power */
    fd = open(f->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, found, sizeof(found)), 65);
    close(fd);
    (void)sodium_bin2hex(digits, sizeof(digits), secret_const_data(key), KEY_LEN);
    assert_memory_equal(found, digits, 64);
    assert_int_equal(found[64], '\n');
    sodium_memzero(found, sizeof(found));
}

/* A key that is overwritten may be the only one there is. */
static void what_exists_stays_as_it_is(void **state)
{
    struct folder *f = *state;
    _cleanup_secret_ struct secret *key = new_master(), *back = NULL;
    struct err e = ERR_INIT;
    char text[256], target[64];
    struct stat st;

    write_file(f, DIGITS_60 "1f23\n", 65, 0600);
    (void)snprintf(text, sizeof(text), "%s: exists already, and stays as it is", f->file);
    assert_int_equal(key_write_master(f->file, key, &e), -1);
    expect_error(&e, ERR_CONFIG, text);
    back = key_read_master(f->file, &e);
    expect_success(back, &e);
    assert_int_equal(secret_const_data(back)[0], 0x55);
    assert_int_equal(unlink(f->file), 0);
    /* A link, to a file or to nothing, is not followed. */
    (void)snprintf(target, sizeof(target), "%s/target", f->path);
    assert_int_equal(symlink(target, f->file), 0);
    assert_int_equal(key_write_master(f->file, key, &e), -1);
    expect_error(&e, ERR_CONFIG, text);
    assert_int_equal(stat(target, &st), -1);
    assert_int_equal(lstat(f->file, &st), 0);
    assert_int_equal(unlink(f->file), 0);
    (void)snprintf(text, sizeof(text), "%s: exists already, and stays as it is", f->path);
    assert_int_equal(key_write_master(f->path, key, &e), -1);
    expect_error(&e, ERR_CONFIG, text);
}

static void a_key_without_a_folder_is_not_written(void **state)
{
    struct folder *f = *state;
    _cleanup_secret_ struct secret *key = new_master();
    struct err e = ERR_INIT;
    char path[64], text[256];

    (void)snprintf(path, sizeof(path), "%s/no/dir/key", f->path);
    assert_int_equal(key_write_master(path, key, &e), -1);
    (void)snprintf(text, sizeof(text), "%s: directory %s/no/dir does not exist; make it: mkdir -p %s/no/dir", path,
            f->path, f->path);
    expect_error(&e, ERR_NOT_FOUND, text);
    assert_int_equal(key_write_master("", key, &e), -1);
    expect_error(&e, ERR_NOT_FOUND, ": No such file or directory");
}

/* Half a key, or one that may not survive a loss of power, must not pass for a key. */
static void a_key_that_cannot_be_written_leaves_no_file(void **state)
{
    struct folder *f = *state;
    _cleanup_secret_ struct secret *key = new_master();
    struct rlimit before, limit;
    struct err e = ERR_INIT;
    char text[256];

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)snprintf(text, sizeof(text), "%s: File too large", f->file);
    for (rlim_t room = 0; room < 65; room += 32) { /* nothing, half, all but the line's end */
        int r;

        limit = (struct rlimit){.rlim_cur = room, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        r = key_write_master(f->file, key, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(r, -1);
        expect_error(&e, ERR_RESOURCE, text);
        assert_int_equal(access(f->file, F_OK), -1);
    }
    (void)snprintf(text, sizeof(text), "%s: Input/output error", f->file);
    for (unsigned n = 1; n <= 2; n++) { /* the file, its folder */
        e = ERR_INIT;
        fsync_fails = n;
        assert_int_equal(key_write_master(f->file, key, &e), -1);
        assert_int_equal(fsync_fails, 0);
        expect_error(&e, ERR_RESOURCE, text);
        assert_int_equal(access(f->file, F_OK), -1);
    }
}

/* Neither is a key written to where another user's link leads, nor taken away there. */
static void a_link_of_another_user_is_not_followed(void **state)
{
    struct folder *f = *state;
    _cleanup_secret_ struct secret *key = new_master();
    char link[80], path[96];
    struct err e = ERR_INIT;

    if (geteuid() != 0)
        skip();
    (void)snprintf(link, sizeof(link), "%s.link", f->file);
    (void)snprintf(path, sizeof(path), "%s/key", link);
    assert_int_equal(symlink("/tmp", link) | lchown(link, 75000, 75000), 0);
    assert_int_equal(key_write_master(path, key, &e), -1);
    assert_non_null(strstr(e.text, " is a symbolic link of user 75000, who could make it lead anywhere"));
    assert_int_equal(access("/tmp/key", F_OK), -1);
    assert_int_equal(unlink(link), 0);
}

static void writing_fails_cleanly_at_each_allocation(void **state)
{
    struct folder *f = *state;
    _cleanup_secret_ struct secret *key = new_master();
    bool reached;
    size_t n = 0;

    do {
        struct err e = ERR_INIT;
        int r;

        failing_arm(++n);
        r = key_write_master(f->file, key, &e);
        reached = failing_disarm();
        assert_int_equal(r, reached ? -1 : 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        assert_int_equal(access(f->file, F_OK), reached ? -1 : 0);
    } while (reached);
    assert_int_equal(n, 6); /* three for the text, two for the place */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(a_master_key_is_64_digits_and_white_space, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(any_other_file_is_refused_without_its_content, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_file_that_is_no_key_file_at_all_is_refused, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(reading_fails_cleanly_at_each_allocation, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_key_that_is_brought_may_be_open_to_others, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_written_key_can_be_read_whatever_the_umask, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_written_key_is_a_line_of_digits, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(what_exists_stays_as_it_is, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_key_without_a_folder_is_not_written, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_link_of_another_user_is_not_followed, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_key_that_cannot_be_written_leaves_no_file, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(writing_fails_cleanly_at_each_allocation, make_folder, remove_folder),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
