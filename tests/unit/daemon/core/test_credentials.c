/* Credentials that change on disk while they are in use. */
#include "expect.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/credentials.h"
#include "failing.h"
#include "folder.h"

static const char one[] = "access_key: one\nsecret_key: first\n";
static const char two[] = "access_key: two\nsecret_key: other\n"; /* as long as the first */

static struct credentials *c;

static void write_text(const char *text)
{
    folder_write("file", text, strlen(text), 0600);
}

static int setup(void **state)
{
    struct err e = ERR_INIT;

    if (folder_setup(state) < 0)
        return -1;
    c = credentials_new("file", CONF_CREDENTIALS_S3, &e);
    return c ? 0 : -1;
}

static int teardown(void **state)
{
    credentials_free(c);
    return folder_teardown(state);
}

static void expect_id(const char *id, const char *secret)
{
    struct err e = ERR_INIT;
    const struct conf_credentials *got = credentials_get(c, &e);

    expect_success(got, &e);
    assert_string_equal(got->id, id);
    assert_int_equal(secret_len(got->secret), strlen(secret));
    assert_memory_equal(secret_const_data(got->secret), secret, strlen(secret));
    assert_null(got->token);
}

/* The file's time of change, set by hand: two writes within one tick of the file system's clock look alike. */
static void set_mtime(time_t seconds, long ns)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = ns}};

    assert_int_equal(utimensat(AT_FDCWD, "file", times, 0), 0);
}

static void test_every_change_is_seen(void **state)
{
    struct stat st;

    (void)state;
    write_text(one);
    assert_int_equal(stat("file", &st), 0);
    expect_id("one", "first");
    write_text(two); /* the same inode and size */
    set_mtime(st.st_mtim.tv_sec, (st.st_mtim.tv_nsec + 1) % 1000000000);
    expect_id("two", "other");
    write_text("access_key: three\nsecret_key: longer\n"); /* another size, the same time */
    set_mtime(st.st_mtim.tv_sec, (st.st_mtim.tv_nsec + 1) % 1000000000);
    expect_id("three", "longer");
    folder_write("new", one, strlen(one), 0600); /* another inode */
    assert_int_equal(rename("new", "file"), 0);
    expect_id("one", "first");
}

/* As orchestrators do it: the name leads to a link, which is turned to another file. */
static void test_link_is_turned(void **state)
{
    (void)state;
    folder_write("a", one, strlen(one), 0600);
    folder_write("b", two, strlen(two), 0600);
    assert_int_equal(symlink("a", "file"), 0);
    expect_id("one", "first");
    assert_int_equal(symlink("b", "next"), 0);
    assert_int_equal(rename("next", "file"), 0);
    expect_id("two", "other");
}

/* What was read stays where it is while the file stays as it is. */
static void test_not_read_again(void **state)
{
    struct err e = ERR_INIT;
    const struct conf_credentials *first;

    (void)state;
    write_text(one);
    first = credentials_get(c, &e);
    assert_non_null(first);
    assert_ptr_equal(credentials_get(c, &e)->id, first->id);
}

/* In the middle of a rotation the old ones are the better guess; afterwards the new ones count. */
static void test_half_written(void **state)
{
    static const char *const halves[] = {"", "access_key: tw", "access_key: two\n", "access_key: two\nsecret_key:\n",
            "access_key: two\nsecret_key: \"oth"};

    (void)state;
    write_text(one);
    expect_id("one", "first");
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        write_text(halves[i]);
        expect_id("one", "first");
        expect_id("one", "first");
    }
    assert_int_equal(unlink("file"), 0);
    expect_id("one", "first");
    write_text(two);
    expect_id("two", "other");
}

/* Open to all it is not taken, and the old ones stay. */
static void test_open_to_others(void **state)
{
    (void)state;
    write_text(one);
    expect_id("one", "first");
    folder_write("file", "access_key: bad\nsecret_key: bad\n", 32, 0644);
    expect_id("one", "first");
    assert_int_equal(chmod("file", 0600), 0);
    expect_id("bad", "bad");
}

/* Without anything good the error is told, each time, and never a content. */
static void test_nothing_good_yet(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_null(credentials_get(c, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    write_text("access_key: one\nsecret: GEHEIM\n");
    e = ERR_INIT;
    assert_null(credentials_get(c, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_memory_equal(e.text, "file:2:1: ", 10);
    assert_null(strstr(e.text, "GEHEIM"));
    write_text(one);
    expect_id("one", "first");
}

static void test_no_memory(void **state)
{
    struct err e = ERR_INIT;
    bool reached;
    size_t n = 0;

    (void)state;
    failing_arm(1);
    assert_null(credentials_new("file", CONF_CREDENTIALS_S3, &e));
    assert_true(failing_disarm());
    expect_error(&e, ERR_RESOURCE, "out of memory");
    write_text(one);
    do {
        const struct conf_credentials *got;

        e = ERR_INIT;
        failing_arm(++n);
        got = credentials_get(c, &e);
        reached = failing_disarm();
        assert_true(!got == reached);
    } while (reached);
    expect_id("one", "first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_every_change_is_seen, setup, teardown),
            cmocka_unit_test_setup_teardown(test_link_is_turned, setup, teardown),
            cmocka_unit_test_setup_teardown(test_not_read_again, setup, teardown),
            cmocka_unit_test_setup_teardown(test_half_written, setup, teardown),
            cmocka_unit_test_setup_teardown(test_open_to_others, setup, teardown),
            cmocka_unit_test_setup_teardown(test_nothing_good_yet, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
