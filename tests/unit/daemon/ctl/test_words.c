/* What stands on a command line, and what of it is for etcdutl. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/show.h"
#include "ctl/words.h"
#include "failing.h"
#include "folder.h"
#include "job/restore/unpack.h"

static char told[512];

void show_failure(const char *text)
{
    (void)snprintf(told, sizeof(told), "%s", text);
}

/* ---- words ---- */

/* The words of Go's strconv.ParseBool, and no other. */
static void test_bool(void **state)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", "=true", "=1", NULL};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", "=false", "=0"};
    static const char *const neither[] = {"", "=", "yes", "no", "tRUE", "2", "true ", "==true", "on"};
    bool value;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        value = false;
        assert_int_equal(word_bool(yes[i], &value), 0);
        assert_true(value);
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        value = true;
        assert_int_equal(word_bool(no[i], &value), 0);
        assert_false(value);
    }
    for (size_t i = 0; i < ARRAY_LEN(neither); i++)
        assert_int_equal(word_bool(neither[i], &value), -1);
}

static void test_instant(void **state)
{
    static const struct {
        const char *text;
        bool is_name;
    } rows[] = {
            {"2024-12-06T22:22:25+01:00", false},
            {"2024-12-06T21:22:25.000000Z", false},
            {"2024-12-06t21:22:25z", false},
            {"backup-2024-12-06T21:22:25Z.dump", true}, /* as list shows it */
            {"backup-2024-12-06T21:22:25Z.key", true},
            {"backup-2024-12-06T21:22:25Z", true},
            {"a/b c-2024-12-06T22:22:25+01:00.dump", true},
            {"a-2023-01-01T00:00:00Z-2024-12-06T21:22:25Z.dump", true},
            {"-2024-12-06T21:22:25Z", true},
    };
    static const char *const wrong[] = {"yesterday", "backup-2024-12-06.dump", "2024-12-06T21:22:25Z.dump", "-",
            ".dump", "backup-2024-12-06T21:22:25.000Z.dump", "backup-2024-12-06T21:22:25Z.dump.gz",
            "2024-12-06T21:22:25.5Z"};
    struct word_backup backup;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(word_backup(rows[i].text, &backup), 0);
        assert_true(backup.is_given);
        assert_int_equal(backup.instant, 1733520145);
        assert_string_equal(backup.name, rows[i].is_name ? rows[i].text : "");
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        told[0] = '\0';
        assert_int_equal(word_backup(wrong[i], &backup), -1);
        assert_non_null(strstr(told, wrong[i]));
    }
    assert_int_equal(word_backup("", &backup), 0); /* as the Go tool's: the latest */
    assert_false(backup.is_given);
}

static void test_count(void **state)
{
    static const char *const wrong[] = {
            "", "0", "-1", "+1", " 1", "1 ", "1k", "0x10", "9223372036854775808", "18446744073709551616", "1.5"};
    uint64_t value;

    (void)state;
    assert_int_equal(word_count("--n", "1", &value), 0);
    assert_int_equal(value, 1);
    assert_int_equal(word_count("--n", "9223372036854775807", &value), 0);
    assert_int_equal(value, INT64_MAX);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(word_count("--n", wrong[i], &value), -1);
}

static void expect_path(char *path, const char *below)
{
    char expected[200];

    (void)snprintf(expected, sizeof(expected), "%s/%s", folder_path(), below);
    assert_non_null(path);
    assert_string_equal(path, below[0] == '/' ? below : expected);
    free(path);
}

static void test_paths(void **state)
{
    char gone[200];

    (void)state;
    expect_path(word_path("/a/b"), "/a/b");
    expect_path(word_path("a/b"), "a/b");
    (void)snprintf(gone, sizeof(gone), "%s/gone", folder_path());
    assert_int_equal(mkdir(gone, 0700) | chdir(gone) | rmdir(gone), 0);
    assert_null(word_path("a")); /* of a working directory that is no more */
    expect_path(word_path("/a"), "/a");
    assert_int_equal(chdir(folder_path()), 0);
}

/* What our PATH means by a name; its relative folders mean something else to the daemon. */
static void test_programs(void **state)
{
    char path[200];

    (void)state;
    assert_int_equal(mkdir("bin", 0755), 0);
    folder_write("bin/tool", "", 0, 0755);
    folder_write("bin/text", "", 0, 0644);
    expect_path(word_program("bin/tool"), "bin/tool");
    expect_path(word_program("/bin/sh"), "/bin/sh");
    (void)snprintf(path, sizeof(path), "/no/such::bin:%s/bin", folder_path());
    assert_int_equal(setenv("PATH", path, 1), 0);
    expect_path(word_program("tool"), "bin/tool");
    for (int i = 0; i < 3; i++) {
        char *name = word_program("text"); /* left for the daemon to find */

        assert_string_equal(name, "text");
        free(name);
        if (i == 0)
            assert_int_equal(setenv("PATH", "bin", 1), 0);
        else
            assert_int_equal(unsetenv("PATH"), 0);
    }
}

/* ---- what etcdutl is told ---- */

#define TEXT(s) ((char *)(uintptr_t)(s))

static void test_options_copy(void **state)
{
    const struct unpack_options from = {
            .data_dir = TEXT("/data"),
            .wal_dir = TEXT(""), /* as good as none */
            .tool = NULL,
            .name = TEXT("n"),
            .owner = TEXT("etcd"),
            .bump_revision = 7,
            .mark_compacted = true,
            .skip_hash_check = true,
    };
    struct unpack_options to;
    struct err e = ERR_INIT;
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        int r;

        failing_arm(++n);
        r = unpack_options_copy(&to, &from, &e);
        reached = failing_disarm();
        assert_int_equal(r, reached ? -1 : 0);
        assert_true(!reached || (!to.data_dir && !to.name && !to.owner)); /* nothing is left to be freed */
    } while (reached);
    assert_int_equal(n, 4);
    expect_error(&e, ERR_RESOURCE, "out of memory");
    assert_ptr_not_equal(to.data_dir, from.data_dir);
    assert_string_equal(to.data_dir, "/data");
    assert_string_equal(to.name, "n");
    assert_string_equal(to.owner, "etcd");
    assert_true(!to.wal_dir && !to.tool && !to.initial_cluster);
    assert_true(to.bump_revision == 7 && to.mark_compacted && to.skip_hash_check);
    unpack_options_clear(&to);
    unpack_options_clear(&to); /* twice is once */
}

static void test_options_check(void **state)
{
    static const struct {
        struct unpack_options options;
        unsigned count;
        const char *words;
    } rows[] = {
            {{.name = NULL}, 0, ""},
            {{.name = TEXT("a"), .initial_cluster = TEXT("a=http://a:2380")}, 0, ""},
            {{.name = TEXT("b"), .initial_cluster = TEXT("a=http://a:2380,b=http://b:2380")}, 0, ""},
            {{.name = TEXT("b"), .initial_cluster = TEXT("a=http://a:2380, b=http://b:2380")}, 2, "the blank would be"},
            {{.name = TEXT("a"),
                     .initial_cluster = TEXT("a=http://a:2380"),
                     .initial_advertise_peer_urls = TEXT("https://a:2380")},
                    2, "https://a:2380 is no URL of a"},
            {{.name = TEXT("b"), .initial_cluster = TEXT("bb=http://a:2380,ab=http://b:2380")}, 1,
                    "no member of the --name b"},
            {{.name = TEXT("default"), .initial_cluster = TEXT("a=http://a:2380")}, 1,
                    "--initial-cluster a=http://a:2380"},
            {{.bump_revision = 1, .mark_compacted = true}, 0, ""},
            {{.bump_revision = 1}, 1, "only work together"},
            {{.mark_compacted = true}, 1, "only work together"},
            {{.data_dir = TEXT("/d"), .wal_dir = TEXT("/d/wal")}, 1, "--wal-dir /d/wal lies in the data directory"},
            {{.data_dir = TEXT("/d"), .wal_dir = TEXT("/d")}, 1, "lies in the data directory"},
            {{.data_dir = TEXT("/d"), .wal_dir = TEXT("/d-wal")}, 0, ""},
            {{.data_dir = TEXT("/d/e"), .wal_dir = TEXT("/d")}, 0, ""},
            {{.name = TEXT("b"),
                     .initial_cluster = TEXT("a=http://a:2380"),
                     .data_dir = TEXT("/d"),
                     .wal_dir = TEXT("/d/w"),
                     .mark_compacted = true},
                    3, "3 things are in the way: (1) --initial-cluster"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct objections found = OBJECTIONS_INIT;
        struct err e = ERR_INIT;

        unpack_options_check(&rows[i].options, &found);
        assert_int_equal(found.count, rows[i].count);
        assert_int_equal(objections_verdict(&found, &e), rows[i].count ? -1 : 0);
        if (!strstr(e.text, rows[i].words))
            fail_msg("'%s' is not in: %s", rows[i].words, e.text);
        assert_int_equal(e.kind, rows[i].count ? ERR_CONFIG : ERR_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_bool),
            cmocka_unit_test(test_instant),
            cmocka_unit_test(test_count),
            cmocka_unit_test_setup_teardown(test_paths, folder_setup, folder_teardown),
            cmocka_unit_test_setup_teardown(test_programs, folder_setup, folder_teardown),
            cmocka_unit_test(test_options_copy),
            cmocka_unit_test(test_options_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
