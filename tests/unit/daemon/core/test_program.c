/* Other programs, run for real: what they say, how they end, what they get; and etcdutl, played by scripts. */
#include "expect.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "failing.h"
#include "folder.h"
#include "job/restore/etcdutl.h"
#include "program/program.h"

static uv_loop_t loop;

/* Seconds that the tool gives somebody become milliseconds. */
static uint64_t time_divisor;

int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    return __real_uv_timer_start(timer, cb, timeout / time_divisor, repeat);
}

static struct {
    struct program *tool;
    bool stops;      /* at its first line */
    unsigned lines;  /* how many */
    char text[8192]; /* the first of them, each ended by '|' */
    size_t longest;
    unsigned ends;
    struct err err;
} ran;

static int setup(void **state)
{
    memset(&ran, 0, sizeof(ran));
    time_divisor = 1;
    return uv_loop_init(&loop) == 0 ? folder_setup(state) : -1;
}

static int teardown(void **state)
{
    if (uv_run(&loop, UV_RUN_DEFAULT) != 0 || uv_loop_close(&loop) != 0)
        return -1;
    return folder_teardown(state);
}

static void on_line(void *ctx, const char *line)
{
    size_t len = strlen(ran.text);

    assert_ptr_equal(ctx, &ran);
    assert_int_equal(ran.ends, 0);
    ran.lines++;
    if (strlen(line) > ran.longest)
        ran.longest = strlen(line);
    if (len + strlen(line) + 2 < sizeof(ran.text))
        (void)sprintf(ran.text + len, "%s|", line);
    if (ran.stops)
        program_stop(ran.tool);
}

static void on_done(void *ctx, const struct err *err)
{
    assert_ptr_equal(ctx, &ran);
    ran.ends++;
    ran.err = err ? *err : ERR_INIT;
}

static struct program_spec spec_of(const char *const *args)
{
    return (struct program_spec){.args = args, .inherit_fd = -1, .ctx = &ran, .on_line = on_line, .on_done = on_done};
}

/* Runs it to its end. */
static void run(struct program_spec *spec)
{
    struct err e = ERR_INIT;

    ran.tool = program_start(&loop, spec, &e);
    expect_success(ran.tool, &e);
    assert_int_equal(ran.ends + ran.lines, 0);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(ran.ends, 1);
}

static void run_script(const char *script)
{
    const char *args[] = {"/bin/sh", "-c", script, NULL};
    struct program_spec spec = spec_of(args);

    run(&spec);
}

/* ---- what it says ---- */

static void test_lines(void **state)
{
    static const struct {
        const char *script, *text;
    } rows[] = {
            {":", ""}, {"echo one; echo two >&2; echo three", "one|two|three|"}, {"printf 'no end'", "no end|"},
            {"printf '\\n\\na\\r\\n\\r\\rb\\n'", "a|b|"}, {"printf 'a\\tb\\000c\\n'", "a b?c|"},
            {"cat; echo end", "end|"}, /* it gets no input */
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        memset(&ran, 0, sizeof(ran));
        run_script(rows[i].script);
        assert_string_equal(ran.text, rows[i].text);
        expect_error(&ran.err, ERR_NONE, "");
    }
    (void)state;
}

static void test_a_long_line(void **state)
{
    (void)state;
    run_script("head -c 100000 /dev/zero | tr '\\0' x; echo; echo next");
    assert_int_equal(ran.lines, 2);
    assert_int_equal(ran.longest, TOOL_LINE_MAX);
    assert_string_equal(strchr(ran.text, '|'), "|next|");
}

/* It is read to the end, so that the program can end, and no more told of. */
static void test_many_lines(void **state)
{
    (void)state;
    run_script("seq 30000; exit 1");
    assert_int_equal(ran.lines, TOOL_LINES_MAX);
    expect_error(&ran.err, ERR_CONFIG, "/bin/sh ended with status 1: 30000");
}

/* ---- how it ends ---- */

static void test_ends(void **state)
{
    static const struct {
        const char *script;
        enum err_kind kind;
        const char *text;
    } rows[] = {
            {"exit 0", ERR_NONE, ""},
            {"exit 3", ERR_CONFIG, "/bin/sh ended with status 3"},
            {"echo first; echo why >&2; exit 255", ERR_CONFIG, "/bin/sh ended with status 255: why"},
            {"printf why; exit 2", ERR_CONFIG, "/bin/sh ended with status 2: why"},
            {"kill -TERM $$", ERR_TRANSIENT, "/bin/sh was ended by signal 15 (Terminated)"},
            {"kill -KILL $$", ERR_TRANSIENT, "/bin/sh was ended by signal 9 (Killed)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        memset(&ran, 0, sizeof(ran));
        run_script(rows[i].script);
        expect_error(&ran.err, rows[i].kind, rows[i].text);
    }
    (void)state;
}

static void test_too_late(void **state)
{
    const char *args[] = {"/bin/sh", "-c", "exec sleep 1000", NULL};
    struct program_spec spec = spec_of(args);

    (void)state;
    time_divisor = 100;
    spec.limit_ms = 2000;
    run(&spec);
    expect_error(&ran.err, ERR_TRANSIENT, "/bin/sh did not end within 2 s");
}

/* What hangs is ended; what works or says something is not, however long it takes, itself or what it has started. */
static void test_stalled(void **state)
{
    static const struct {
        const char *script;
        bool stalls;
    } cases[] = {
            {"exec sleep 1000", true},
            {"sleep 1000 & wait", true},
            {"for i in 1 2 3 4 5; do echo working; sleep 0.3; done", false},
            {"(i=0; while [ $i -lt 2000000 ]; do i=$((i + 1)); done) & wait", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *args[] = {"/bin/sh", "-c", cases[i].script, NULL};
        struct program_spec spec = spec_of(args);

        memset(&ran, 0, sizeof(ran));
        spec.stall_ms = 1200;
        run(&spec);
        if (cases[i].stalls)
            expect_error(&ran.err, ERR_TRANSIENT, "/bin/sh did nothing for 1 s, and was ended");
        else
            assert_int_equal(ran.err.kind, ERR_NONE);
    }
}

/* Also one that will not hear of it. */
static void test_stopped(void **state)
{
    static const char *const scripts[] = {
            "echo up; exec sleep 1000", "trap '' TERM; echo up; while :; do sleep 0.01; done",
            "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done", /* ended well, and yet was asked to */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        memset(&ran, 0, sizeof(ran));
        ran.stops = true;
        time_divisor = i == 1 ? 100 : 1;
        run_script(scripts[i]);
        expect_error(&ran.err, ERR_CANCELLED, "cancelled");
    }
}

/* A child of its own that lives on holds the output, and must not hold us. */
static void test_somebody_holds_its_output(void **state)
{
    (void)state;
    time_divisor = 10;
    run_script("sleep 1000 & echo $!");
    expect_error(&ran.err, ERR_NONE, "");
    assert_int_equal(kill(atoi(ran.text), SIGKILL), 0);
}

static void test_cannot_be_started(void **state)
{
    static const struct {
        const char *path;
        enum err_kind kind;
        const char *text;
    } rows[] = {
            {"/no/such/tool", ERR_NOT_FOUND, "/no/such/tool: No such file or directory"},
            {"/etc/passwd", ERR_CONFIG, "/etc/passwd: Permission denied"},
            {"/tmp", ERR_CONFIG, "/tmp: Permission denied"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *args[] = {rows[i].path, NULL};
        struct program_spec spec = spec_of(args);
        struct err e = ERR_INIT;

        assert_null(program_start(&loop, &spec, &e));
        expect_error(&e, rows[i].kind, rows[i].text);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(ran.ends, 0);
    }
}

static void test_without_memory(void **state)
{
    const char *args[] = {"/bin/sh", "-c", "exit 0", NULL};
    struct program_spec spec = spec_of(args);
    struct err e = ERR_INIT;
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        failing_arm(++n);
        ran.tool = program_start(&loop, &spec, &e);
        reached = failing_disarm();
        assert_int_equal(reached, ran.tool == NULL);
        if (reached)
            expect_error(&e, ERR_RESOURCE, "out of memory");
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    } while (reached);
    assert_true(n > 2);
    assert_int_equal(ran.ends, 1);
}

/* ---- what it gets ---- */

static void test_environment(void **state)
{
    const char *args[] = {"/usr/bin/env", NULL};
    struct program_spec spec = spec_of(args);
    char expected[4096];

    (void)state;
    assert_int_equal(setenv("ETCDCTL_ENDPOINTS", "https://production", 1), 0);
    assert_int_equal(setenv("ETCDCTL_API", "2", 1), 0);
    assert_int_equal(setenv("HOME", "/root/home", 1), 0);
    (void)snprintf(expected, sizeof(expected), "PATH=%s|HOME=/root/home|ETCDCTL_API=3|", getenv("PATH"));
    run(&spec);
    assert_string_equal(ran.text, expected);
    memset(&ran, 0, sizeof(ran));
    assert_int_equal(unsetenv("HOME"), 0);
    (void)snprintf(expected, sizeof(expected), "PATH=%s|HOME=/|ETCDCTL_API=3|", getenv("PATH"));
    run(&spec);
    assert_string_equal(ran.text, expected);
}

/* The one that it should have, as 3, wherever it was here; and no other, though nobody marked them. */
static void test_descriptors(void **state)
{
    static const char script[] = "cat <&3; for n in 3 4 5 6 7 8 9 77; do [ ! -e /proc/$$/fd/$n ] || echo $n; done";
    const char *args[] = {"/bin/sh", "-c", script, NULL};
    struct program_spec spec = spec_of(args);
    int fd, other;

    (void)state;
    folder_write("file", "content\n", 8, 0600);
    fd = open("file", O_RDONLY); /* NOLINT: not close-on-exec */
    other = open("file", O_RDONLY);
    assert_int_equal(dup2(other, 77), 77);
    spec.inherit_fd = fd;
    run(&spec);
    /* 10: where the shell keeps what it replaced. */
    assert_string_equal(ran.text, "content|3|");
    expect_error(&ran.err, ERR_NONE, "");
    close(fd);
    close(other);
    close(77);
}

/* ---- etcdutl ---- */

#define SAYS_VERSION "case \"$1$3\" in version) echo \"etcdutl version: 3.5.16\"; echo \"API version: 3.5\";; "
#define HELP         "snapshot--help) echo \"  --initial-advertise-peer-urls string\";; esac\n"
#define HELP_BUMP                                                                                                      \
    "snapshot--help) echo \"  --initial-advertise-peer-urls string\"; echo \"  --bump-revision uint\";; esac\n"

static void write_script(const char *name, const char *text)
{
    char script[1000];

    (void)snprintf(script, sizeof(script), "#!/bin/sh\n%s", text);
    folder_write(name, script, strlen(script), 0755);
}

static struct etcdutl *find(const char *tool, struct err *e)
{
    struct etcdutl_spec spec = {.tool = tool, .ctx = &ran, .on_done = on_done};

    return etcdutl_find(&loop, &spec, e);
}

static void test_etcdutl(void **state)
{
    struct err e = ERR_INIT;
    char path[200];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/tool", folder_path());
    for (int bump = 0; bump < 2; bump++) {
        struct etcdutl *u;

        memset(&ran, 0, sizeof(ran));
        write_script("tool", bump ? SAYS_VERSION HELP_BUMP : SAYS_VERSION HELP);
        u = find(path, &e);
        expect_success(u, &e);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        expect_error(&ran.err, ERR_NONE, "");
        assert_int_equal(ran.ends, 1);
        assert_string_equal(etcdutl_path(u), path);
        assert_string_equal(etcdutl_version(u), "etcdutl version: 3.5.16");
        assert_int_equal(etcdutl_can_bump(u), bump);
        etcdutl_free(u);
    }
    etcdutl_free(NULL);
}

/* The texts go on after its path. */
static void test_no_etcdutl(void **state)
{
    static const struct {
        const char *script;
        enum err_kind kind;
        const char *text;
    } rows[] = {
            {"exit 0", ERR_CONFIG, " does not say its version: is it an etcdutl?"},
            {"echo hello", ERR_CONFIG, " does not say its version: is it an etcdutl?"},
            {"echo wrong; exit 7", ERR_CONFIG, " ended with status 7: wrong"},
            {"kill -SEGV $$", ERR_TRANSIENT, " was ended by signal 11 (Segmentation fault)"},
            {"echo etcdctl version: 3.6.0", ERR_CONFIG,
                    " (etcdctl version: 3.6.0) has no 'snapshot restore': take the etcdutl of its release"},
            {SAYS_VERSION "*) echo unknown command; exit 1;; esac", ERR_CONFIG,
                    " ended with status 1: unknown command"},
            /* The version is not the last that it does. */
            {SAYS_VERSION "esac; [ $1 = version ] && rm \"$0\"", ERR_NOT_FOUND, ": No such file or directory"},
    };
    char path[200], expected[400];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/tool", folder_path());
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;
        struct etcdutl *u;

        memset(&ran, 0, sizeof(ran));
        write_script("tool", rows[i].script);
        u = find(path, &e);
        expect_success(u, &e);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(ran.ends, 1);
        (void)snprintf(expected, sizeof(expected), "%s%s", path, rows[i].text);
        expect_error(&ran.err, rows[i].kind, expected);
        etcdutl_free(u);
    }
}

/* One that hangs, and somebody who does not want to wait. */
static void test_etcdutl_stopped(void **state)
{
    struct err e = ERR_INIT;
    struct etcdutl *u;
    char path[200];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/tool", folder_path());
    write_script("tool", "exec sleep 1000");
    for (int late = 0; late < 2; late++) {
        memset(&ran, 0, sizeof(ran));
        time_divisor = late ? 100 : 1;
        u = find(path, &e);
        expect_success(u, &e);
        if (!late)
            etcdutl_stop(u);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(ran.ends, 1);
        assert_int_equal(ran.err.kind, late ? ERR_TRANSIENT : ERR_CANCELLED);
        etcdutl_free(u);
    }
}

static void test_search(void **state)
{
    static const struct {
        const char *tool, *found; /* under the folder */
    } rows[] = {
            {"other", "two/other"}, {NULL, "two/etcdctl"}, {"", "two/etcdctl"},
            {NULL, "one/etcdctl"}, /* once it may be executed */
            {NULL, "two/etcdutl"}, /* which goes before it, wherever it is */
    };
    char path[300], expected[200];

    (void)state;
    assert_int_equal(mkdir("one", 0755) | mkdir("two", 0755), 0);
    (void)snprintf(path, sizeof(path), "/no/such:%s/one::%s/two", folder_path(), folder_path());
    assert_int_equal(setenv("PATH", path, 1), 0);
    write_script("two/etcdctl", "/bin/true");
    write_script("two/other", "/bin/true");
    write_script("one/etcdctl", "/bin/true");
    assert_int_equal(chmod("one/etcdctl", 0644), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;
        struct etcdutl *u;

        if (i == 3)
            assert_int_equal(chmod("one/etcdctl", 0755), 0);
        if (i == 4)
            write_script("two/etcdutl", "/bin/true");
        u = find(rows[i].tool, &e);
        expect_success(u, &e);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        (void)snprintf(expected, sizeof(expected), "%s/%s", folder_path(), rows[i].found);
        assert_string_equal(etcdutl_path(u), expected);
        etcdutl_free(u);
    }
}

static void test_search_in_vain(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(setenv("PATH", folder_path(), 1), 0);
    assert_null(find("other", &e));
    expect_error(&e, ERR_NOT_FOUND, "no 'other' in PATH to unpack with");
    assert_null(find(NULL, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "neither etcdutl nor etcdctl in PATH"));
    assert_null(find("/no/such/tool", &e));
    expect_error(&e, ERR_NOT_FOUND, "/no/such/tool: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
            cmocka_unit_test_setup_teardown(test_stalled, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_long_line, setup, teardown),
            cmocka_unit_test_setup_teardown(test_many_lines, setup, teardown),
            cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
            cmocka_unit_test_setup_teardown(test_too_late, setup, teardown),
            cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
            cmocka_unit_test_setup_teardown(test_somebody_holds_its_output, setup, teardown),
            cmocka_unit_test_setup_teardown(test_cannot_be_started, setup, teardown),
            cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
            cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
            cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
            cmocka_unit_test_setup_teardown(test_etcdutl, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_etcdutl, setup, teardown),
            cmocka_unit_test_setup_teardown(test_etcdutl_stopped, setup, teardown),
            /* The last: they change PATH. */
            cmocka_unit_test_setup_teardown(test_search, setup, teardown),
            cmocka_unit_test_setup_teardown(test_search_in_vain, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
