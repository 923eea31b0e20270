/* The command line of etcd-backupd. */
#include "expect.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "core/options.h"
#include "folder.h"
#include "version.h"

/* What was printed by the last call, both streams. */
static struct buf printed;

static int teardown(void **state)
{
    buf_reset(&printed);
    return folder_teardown(state);
}

/* PARSE(&o, ARGUMENTS..., NULL) */
#define PARSE(o, ...) parse((const char *[]){"etcd-backupd", __VA_ARGS__}, o)

static int parse(const char **argv, struct options *o)
{
    int argc = 0, out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), status;
    int file = open("printed", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err e = ERR_INIT;

    while (argv[argc])
        argc++;
    optind = 0;
    assert_true(file >= 0 && out >= 0 && err >= 0);
    (void)fflush(stdout);
    assert_true(dup2(file, STDOUT_FILENO) >= 0 && dup2(file, STDERR_FILENO) >= 0);
    status = options_parse(argc, (char **)(uintptr_t)argv, o); /* getopt changes the order alone */
    (void)fflush(stdout);
    assert_true(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    close(file);
    close(out);
    close(err);
    buf_reset(&printed);
    printed = folder_read("printed");
    assert_int_equal(buf_append(&printed, "", 1, &e), 0);
    return status;
}

static bool has_printed(const char *text)
{
    return strstr((const char *)printed.data, text) != NULL;
}

static void test_good(void **state)
{
    struct options o;

    (void)state;
    assert_int_equal(PARSE(&o, NULL), -1);
    assert_string_equal(o.config, DEFAULT_CONFIG);
    assert_false(o.check_config);
    assert_int_equal(o.control_fd, -1);
    assert_int_equal(o.idle_exit_ms, 30000);
    assert_int_equal(PARSE(&o, "--idle-exit", "1.5s", NULL), -1);
    assert_int_equal(o.idle_exit_ms, 1500);
    assert_int_equal(PARSE(&o, "-c", "file", "--check-config", NULL), -1);
    assert_string_equal(o.config, "file");
    assert_true(o.check_config);
    assert_int_equal(PARSE(&o, "--config=other", "--control-fd", "0", NULL), -1);
    assert_string_equal(o.config, "other");
    assert_int_equal(o.control_fd, 0);
    assert_int_equal(o.purpose, PURPOSE_BACKUP);
    assert_int_equal(PARSE(&o, "--control-fd", "0", "--for", "change", NULL), -1);
    assert_int_equal(o.purpose, PURPOSE_CHANGE);
    assert_int_equal(PARSE(&o, "--control-fd", "0", "--for", "read", NULL), -1);
    assert_int_equal(o.purpose, PURPOSE_READ);
    assert_int_equal(printed.len, 1);
}

static void test_told(void **state)
{
    struct options o;

    (void)state;
    assert_int_equal(PARSE(&o, "--version", NULL), 0);
    assert_memory_equal(printed.data, "etcd-backupd " VERSION "\n", strlen("etcd-backupd " VERSION "\n"));
    /* What a report of a fault needs. */
    assert_true(has_printed("libuv ") && has_printed("libcurl/") && has_printed("OpenSSL/") &&
                has_printed("mbedTLS ") && has_printed("nghttp2 ") && has_printed("libsodium "));
    assert_int_equal(PARSE(&o, "-h", NULL), 0);
    assert_true(has_printed("--config FILE") && has_printed("--check-config") && has_printed("--version"));
    assert_true(has_printed(DEFAULT_CONFIG));
    assert_false(has_printed("control-fd") || has_printed("--for")); /* etcd-backupctl's alone */
}

/* A descriptor that is none must not become descriptor 0, or a daemon that listens. */
static void test_mistakes(void **state)
{
    static const char *const descriptors[] = {
            "", "x", "-1", "5x", " ", "0x0", "1000000", "99999999999999999999", "-0x1"};
    struct options o;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(descriptors); i++) {
        assert_int_equal(PARSE(&o, "--control-fd", descriptors[i], NULL), 2);
        assert_true(has_printed("--control-fd") && has_printed("no open descriptor"));
        assert_int_equal(o.control_fd, -1);
    }
    assert_int_equal(PARSE(&o, "--idle-exit", "0s", NULL), 2);
    assert_true(has_printed("--idle-exit 0s: "));
    assert_int_equal(PARSE(&o, "--idle-exit", "soon", NULL), 2);
    assert_true(has_printed("--idle-exit soon: "));
    assert_int_equal(PARSE(&o, "--for", "fun", NULL), 2);
    assert_true(has_printed("--for fun: none of backup, change, read"));
    assert_int_equal(PARSE(&o, "--nonsense", NULL), 2);
    assert_true(has_printed("--help"));
    assert_int_equal(PARSE(&o, "-c", NULL), 2);
    assert_int_equal(PARSE(&o, "backup", NULL), 2);
    assert_true(has_printed("'backup' is not expected here"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_good, folder_setup, teardown),
            cmocka_unit_test_setup_teardown(test_told, folder_setup, teardown),
            cmocka_unit_test_setup_teardown(test_mistakes, folder_setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
