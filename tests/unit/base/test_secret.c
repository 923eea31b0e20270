#include "expect.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "failing.h"

struct folder {
    char path[32];
    char file[64]; /* in it; removed by tear-down if it is there */
};

static int make_folder(void **state)
{
    struct folder *f = test_calloc(1, sizeof(*f));

    strcpy(f->path, "/tmp/test_secret.XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    (void)snprintf(f->file, sizeof(f->file), "%s/secret", f->path);
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

/* Reads the file, expects it to be refused. */
static void expect_refused(const struct folder *f, size_t max, enum err_kind kind, const char *why)
{
    struct err e = ERR_INIT;
    char text[256];

    assert_null(secret_read_file(f->file, max, true, &e));
    (void)snprintf(text, sizeof(text), "%s: %s", f->file, why);
    expect_error(&e, kind, text);
}

static void a_new_one_is_zero(void **state)
{
    static const uint8_t zeros[100];
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *s = secret_new(100, &e), *empty = secret_new(0, &e);

    (void)state;
    assert_int_equal(secret_len(s), 100);
    assert_memory_equal(secret_const_data(s), zeros, 100);
    assert_int_equal(secret_len(empty), 0);
    secret_free(NULL);
}

static void equal_means_length_and_bytes(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *a = secret_copy("abc", 3, &e), *b = secret_copy("abc", 3, &e),
                                   *c = secret_copy("abd", 3, &e), *d = secret_copy("ab", 2, &e),
                                   *none = secret_copy(NULL, 0, &e);

    (void)state;
    assert_true(secret_equal(a, b));
    assert_false(secret_equal(a, c));
    assert_false(secret_equal(a, d));
    assert_false(secret_equal(d, a));
    assert_false(secret_equal(none, a));
    secret_data(b)[0] = 'x';
    assert_false(secret_equal(a, b));
}

static void truncating_wipes_the_tail(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *s = secret_copy("password", 8, &e);

    (void)state;
    secret_truncate(s, 4);
    assert_int_equal(secret_len(s), 4);
    assert_memory_equal(secret_const_data(s), "pass\0\0\0\0", 8);
}

static void wipe_overwrites(void **state)
{
    char text[] = "secret";

    (void)state;
    secret_wipe(text, sizeof(text));
    assert_memory_equal(text, "\0\0\0\0\0\0", 7);
}

/* The address sanitizer makes mlock do nothing. */
#if defined(__SANITIZE_ADDRESS__)
static const bool mlock_is_disabled = true;
#elif defined(__has_feature)
static const bool mlock_is_disabled = __has_feature(address_sanitizer);
#else
static const bool mlock_is_disabled = false;
#endif

/* Memory that the kernel leaves out of core dumps and never swaps: as it says itself. */
static void memory_is_locked_and_not_dumped(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *s = secret_new(32, &e);
    _cleanup_fclose_ FILE *f = fopen("/proc/self/smaps", "re");
    uintptr_t at = (uintptr_t)secret_const_data(s), begin, end;
    bool inside = false, found = false;
    char line[1024];

    (void)state;
    if (getenv("EMULATOR"))
        skip(); /* which does not tell the kernel */
    assert_non_null(f);
    while (!found && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            inside = at >= begin && at < end;
        found = inside && strncmp(line, "VmFlags:", 8) == 0;
    }
    assert_true(found);
    assert_non_null(strstr(line, " dd"));
    if (!mlock_is_disabled)
        assert_non_null(strstr(line, " lo"));
}

static void a_file_is_read_whole(void **state)
{
    struct folder *f = *state;
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *s = NULL, *empty = NULL;

    write_file(f, "two\nlines\0x", 11, 0600);
    s = secret_read_file(f->file, 11, true, &e);
    expect_success(s, &e);
    assert_int_equal(secret_len(s), 11);
    assert_memory_equal(secret_const_data(s), "two\nlines\0x", 11);
    write_file(f, "", 0, 0600);
    empty = secret_read_file(f->file, 11, true, &e);
    expect_success(empty, &e);
    assert_int_equal(secret_len(empty), 0);
}

static void the_mode_decides_who_may_have_seen_it(void **state)
{
    static const struct {
        mode_t mode;
        bool fine;
    } cases[] = {
            {0600, true},
            {0400, true},
            {0640, true},
            {0440, true},
            {0660, true},
            {0644, false},
            {0604, false},
            {0602, false},
            {0601, false},
            {0666, false},
            {0777, false},
    };
    struct folder *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *s = NULL, *open_one = NULL;
        char text[256];

        write_file(f, "x", 1, cases[i].mode);
        s = secret_read_file(f->file, 10, true, &e);
        if (cases[i].fine) {
            expect_success(s, &e);
        } else {
            assert_null(s);
            (void)snprintf(text, sizeof(text),
                    "%s: holds a secret but is open to all users (mode %04o); use chmod o-rwx", f->file,
                    (unsigned)cases[i].mode);
            expect_error(&e, ERR_CONFIG, text);
        }
        open_one = secret_read_file(f->file, 10, false, &e);
        expect_success(open_one, &e);
        assert_int_equal(unlink(f->file), 0);
    }
}

static void a_file_that_is_too_long_is_refused(void **state)
{
    struct folder *f = *state;

    write_file(f, "12345678901", 11, 0600);
    expect_refused(f, 10, ERR_CONFIG, "longer than 10 bytes");
    expect_refused(f, 0, ERR_CONFIG, "longer than 0 bytes");
}

static void a_missing_file_is_told(void **state)
{
    expect_refused(*state, 10, ERR_NOT_FOUND, "No such file or directory");
}

static void only_regular_files_are_read(void **state)
{
    struct folder *f = *state;
    struct err e = ERR_INIT;
    char text[128];

    assert_null(secret_read_file(f->path, 10, true, &e));
    (void)snprintf(text, sizeof(text), "%s: not a regular file", f->path);
    expect_error(&e, ERR_CONFIG, text);
    assert_int_equal(mkfifo(f->file, 0600), 0);
    expect_refused(f, 10, ERR_CONFIG, "not a regular file"); /* and does not wait for somebody to write */
    assert_null(secret_read_file("/dev/zero", 10, true, &e));
    expect_error(&e, ERR_CONFIG, "/dev/zero: not a regular file");
}

static void a_link_to_a_file_is_followed(void **state)
{
    struct folder *f = *state;
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *s = NULL;
    char link[64];

    write_file(f, "x", 1, 0600);
    (void)snprintf(link, sizeof(link), "%s/link", f->path);
    assert_int_equal(symlink("secret", link), 0);
    s = secret_read_file(link, 10, true, &e);
    assert_int_equal(unlink(link), 0);
    expect_success(s, &e);
}

static void each_allocation_may_fail(void **state)
{
    struct folder *f = *state;
    bool reached;
    size_t n = 0;

    write_file(f, "x", 1, 0600);
    do {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *s = NULL;

        failing_arm(++n);
        s = secret_read_file(f->file, 10, true, &e);
        reached = failing_disarm();
        assert_int_equal(reached, s == NULL);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        if (n == 3)
            expect_error(&e, ERR_RESOURCE, "cannot lock memory for a secret (RLIMIT_MEMLOCK): Operation not permitted");
    } while (reached);
    assert_int_equal(n, 4); /* the struct, its memory, locking it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_new_one_is_zero),
            cmocka_unit_test(equal_means_length_and_bytes),
            cmocka_unit_test(truncating_wipes_the_tail),
            cmocka_unit_test(wipe_overwrites),
            cmocka_unit_test(memory_is_locked_and_not_dumped),
            cmocka_unit_test_setup_teardown(a_file_is_read_whole, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(the_mode_decides_who_may_have_seen_it, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_file_that_is_too_long_is_refused, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_missing_file_is_told, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(only_regular_files_are_read, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_link_to_a_file_is_followed, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(each_allocation_may_fail, make_folder, remove_folder),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
