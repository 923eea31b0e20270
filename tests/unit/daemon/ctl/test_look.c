/*
 * The commands that look inside a snapshot, when there are more keys than their index may take memory for: one line
 * says so, and nothing is shown. The bound is a GiB, which no test fills: here the index is made with a smaller one.
 */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/diff_command.h"
#include "ctl/export_command.h"
#include "ctl/get_command.h"
#include "ctl/look.h"
#include "ctl/ls_command.h"
#include "ctl/talk.h"
#include "folder.h"
#include "made_up.h"

#define SNAPSHOT "made-up.db"
#define WHY                                                                                                            \
    SNAPSHOT ": an index of these keys does not fit into 24.0 KiB of memory: ask for those below a longer prefix"

enum { KEYS = 1000 };

/* ---- in place of talk.c: there is no daemon ---- */

int talk(const struct ctl *ctl, Control__Request *request, const struct talk *t)
{
    (void)ctl;
    (void)request;
    (void)t;
    fail_msg("a daemon was asked");
    return CTL_FAILED;
}

void talk_release_signals(void)
{
}

/* ---- a smaller bound ---- */

static uint64_t bound, granted;

struct keyspace_live *__real_keyspace_live_new(
        struct keyspace_changes *changes, const struct keyspace_live_spec *spec, struct err *e);
struct keyspace_live *__wrap_keyspace_live_new(
        struct keyspace_changes *changes, const struct keyspace_live_spec *spec, struct err *e);
struct keyspace_live *__wrap_keyspace_live_new(
        struct keyspace_changes *changes, const struct keyspace_live_spec *spec, struct err *e)
{
    struct keyspace_live_spec smaller = *spec;

    granted = spec->memory_max;
    smaller.memory_max = bound;
    return __real_keyspace_live_new(changes, &smaller, e);
}

/* ---- what a command says ---- */

static char *out, *said; /* of the last one */

static int run(int (*command)(const struct ctl *), const struct ctl *ctl)
{
    FILE *before[] = {stdout, stderr};
    size_t len[2];
    int status;

    free(TAKE_PTR(out));
    free(TAKE_PTR(said));
    stdout = open_memstream(&out, &len[0]);
    stderr = open_memstream(&said, &len[1]);
    status = command(ctl);
    (void)fclose(stdout);
    (void)fclose(stderr);
    stdout = before[0];
    stderr = before[1];
    return status;
}

static const struct {
    const char *name;
    int (*run)(const struct ctl *);
    int failed; /* its exit status then */
} commands[] = {{"ls", ls_run, CTL_FAILED}, {"export", export_run, CTL_FAILED}, {"diff", diff_run, 2}};

static void test_bound(void **state)
{
    static const char line[] = "etcd-backupctl: " WHY "\n",
                      object[] = "{\"failure\":{\"kind\":\"resource\",\"text\":\"" WHY "\"}}\n";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        bound = 24 << 10; /* of 384 keys */
        granted = 0;
        assert_int_equal(run(commands[i].run, &(struct ctl){.argument = NULL}), commands[i].failed);
        assert_true(granted == UINT64_C(1) << 30); /* as the manual says */
        assert_string_equal(out, "");
        assert_string_equal(said, line);
        assert_int_equal(run(commands[i].run, &(struct ctl){.json = true}), commands[i].failed);
        assert_string_equal(out, object);
        assert_string_equal(said, line);
        /* As it advises. */
        assert_int_not_equal(
                run(commands[i].run, &(struct ctl){.argument = "key/00", .quiet = true}), commands[i].failed);
        assert_string_equal(said, "");
        assert_string_not_equal(out, "");
        bound = 96 << 10;
        assert_int_not_equal(run(commands[i].run, &(struct ctl){.quiet = true}), commands[i].failed);
        assert_string_equal(said, "");
    }
}

/* Who has mistyped a prefix gets an empty listing, or a script that puts nothing back: he is told that it is none. */
static void test_count(void **state)
{
    (void)state;
    bound = 96 << 10;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(run(commands[i].run, &(struct ctl){.argument = NULL}), CTL_DONE);
        assert_string_equal(said, "1000 keys at revision 1001 of " SNAPSHOT "\n");
        assert_int_equal(run(commands[i].run, &(struct ctl){.argument = "/key/"}), CTL_DONE);
        assert_string_equal(said, "0 keys at revision 1001 of " SNAPSHOT "\n");
        assert_string_equal(out, "");
        assert_int_equal(run(commands[i].run, &(struct ctl){.json = true}), CTL_DONE);
        assert_string_equal(said, "");
    }
}

/* One key needs no index. */
static void test_get(void **state)
{
    char name[MADE_UP_NAME_LEN + 1];

    (void)state;
    bound = 0;
    made_up_name(KEYS - 1, name);
    assert_int_equal(run(get_run, &(struct ctl){.argument = name}), CTL_DONE);
    assert_string_equal(out, "");
    assert_string_equal(said, "");
    assert_int_equal(run(get_run, &(struct ctl){.argument = "key"}), CTL_FAILED);
    assert_non_null(strstr(said, ": there is no such key at revision "));
}

static int set_up(void **state)
{
    static int (*const set[])(int letter, const char *value) = {ls_set, export_set, diff_set, get_set};
    size_t len;
    uint8_t *bytes = made_up_keys(KEYS, &len);

    if (folder_setup(state) < 0)
        return -1;
    folder_write(SNAPSHOT, bytes, len, 0600);
    free(bytes);
    for (size_t i = 0; i < ARRAY_LEN(set); i++)
        if (set[i](LOOK_FILE, SNAPSHOT) < 0 || set[i](LOOK_SKIP_HASH_CHECK, NULL) < 0)
            return -1;
    for (const struct option *o = diff_options; o->name; o++)
        if (strcmp(o->name, "to-rev") == 0)
            return diff_set(o->val, "2"); /* when there was one key */
    return -1;
}

static int tear_down(void **state)
{
    free(out);
    free(said);
    return folder_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_bound), cmocka_unit_test(test_count), cmocka_unit_test(test_get)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
