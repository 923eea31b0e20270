#include "expect.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failing.h"
#include "seal/key.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(a_master_key_is_64_digits_and_white_space, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(any_other_file_is_refused_without_its_content, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(a_file_that_is_no_key_file_at_all_is_refused, make_folder, remove_folder),
            cmocka_unit_test_setup_teardown(reading_fails_cleanly_at_each_allocation, make_folder, remove_folder),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
