/*
 * The commands of etcd-backupctl: what each asks the daemon for, and that the program's help tells of every row of the
 * table and of every option. The program's path is the argument.
 */
#include "expect.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/results.h"
#include "ctl/rows.h"
#include "ctl/show.h"
#include "ctl/talk.h"
#include "folder.h"

static char program[PATH_MAX];

/* ---- in place of talk.c and of what shows results ---- */

static struct {
    unsigned calls;
    Control__Request__BodyCase what;
    Control__Restore restore;
    Control__Verify verify;
    char output[4096];
    char unpack[16384]; /* its texts, one after the other */
    Control__Unpack numbers;
    bool wants_progress;
    int status;
} asked;

int talk(const struct ctl *ctl, Control__Request *request, const struct talk *t)
{
    (void)ctl;
    asked.calls++;
    asked.what = request->body_case;
    asked.wants_progress = t->on_progress != NULL;
    if (request->body_case == CONTROL__REQUEST__BODY_RESTORE) {
        asked.restore = *request->restore;
        (void)snprintf(asked.output, sizeof(asked.output), "%s", request->restore->output);
    }
    if (request->body_case == CONTROL__REQUEST__BODY_RESTORE && request->restore->unpack) {
        const Control__Unpack *u = request->restore->unpack;

        asked.numbers = *u;
        (void)snprintf(asked.unpack, sizeof(asked.unpack), "%s|%s|%s|%s|%s|%s|%s|%s", u->data_dir, u->wal_dir, u->tool,
                u->name, u->initial_cluster, u->initial_cluster_token, u->initial_advertise_peer_urls, u->owner);
    }
    if (request->body_case == CONTROL__REQUEST__BODY_VERIFY) {
        asked.verify = *request->verify;
        (void)snprintf(asked.output, sizeof(asked.output), "%s", request->verify->tool);
    }
    return asked.status;
}

void talk_release_signals(void)
{
}

static char told[512];

void show_failure(const char *text)
{
    (void)snprintf(told, sizeof(told), "%s", text);
}

void show_note(const char *text)
{
    (void)text;
}

void show_output(const char *text)
{
    (void)text;
}

void show_verdict(const Control__Verdict *v)
{
    (void)v;
}

void rows_verdict_header(FILE *table, const Control__Verdict *first)
{
    (void)first;
    (void)table;
}

void rows_verdict(FILE *table, const Control__Verdict *v)
{
    (void)table;
    (void)v;
}

void show_verify(const Control__VerifyResult *v)
{
    (void)v;
}

void rows_planned_header(const Control__Planned *first)
{
    (void)first;
}

void rows_planned(const Control__Planned *p, int64_t now)
{
    (void)p;
    (void)now;
}

void show_unrotated(const Control__Unrotated *u)
{
    (void)u;
}

void show_rotate(const Control__RotateResult *r, bool has_failed)
{
    (void)r;
    (void)has_failed;
}

void show_listed(const Control__ListResult *l)
{
    (void)l;
}

void results_finding(const Control__Finding *f)
{
    (void)f;
}

void rows_finding_header(void)
{
}

void rows_finding(const Control__Finding *f)
{
    (void)f;
}

void results_unrotated(const Control__Unrotated *u)
{
    (void)u;
}

void results_failure(const char *kind, const char *text)
{
    (void)kind;
    (void)text;
}

void results_key(const char *file, const char *kind, const char *name)
{
    (void)file;
    (void)kind;
    (void)name;
}

void show_prune(const Control__PruneResult *r, bool has_failed)
{
    (void)has_failed;
    (void)r;
}

void results_planned(const Control__Planned *p)
{
    (void)p;
}

void results_verdict(const Control__Verdict *v)
{
    (void)v;
}

void show_progress_init(struct show_progress *s)
{
    memset(s, 0, sizeof(*s));
}

void show_progress(struct show_progress *s, const Control__Progress *p)
{
    (void)s;
    (void)p;
}

void show_progress_clear(struct show_progress *s)
{
    (void)s;
}

void rows_entry_header(const Control__Entry *first)
{
    (void)first;
}

void rows_entry(const Control__Entry *e, int64_t now)
{
    (void)e;
    (void)now;
}

void show_backup(const Control__BackupResult *b)
{
    (void)b;
}

void show_restore(const Control__RestoreResult *r)
{
    (void)r;
}

void show_status(const Control__StatusResult *s, int64_t now)
{
    (void)s;
    (void)now;
}

void results_entry(const Control__Entry *e)
{
    (void)e;
}

void results_done(const Control__Done *done)
{
    (void)done;
}

/* ---- what is asked for ---- */

static const struct command *find(const char *name)
{
    for (unsigned i = 0; i < command_count; i++)
        if (strcmp(command_table[i].name, name) == 0)
            return &command_table[i];
    fail_msg("no command %s", name);
    return NULL;
}

static int run(const char *name, const struct ctl *ctl)
{
    memset(&asked, 0, sizeof(asked));
    told[0] = '\0';
    return find(name)->run(ctl);
}

static void test_plain_commands(void **state)
{
    static const struct {
        const char *name;
        Control__Request__BodyCase what;
        bool progress;
    } rows[] = {
            {"backup", CONTROL__REQUEST__BODY_BACKUP, true},
            {"list", CONTROL__REQUEST__BODY_LIST, false},
            {"status", CONTROL__REQUEST__BODY_STATUS, false},
    };
    struct ctl ctl = {.socket = "s"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ctl.quiet = ctl.json = false;
        assert_int_equal(run(rows[i].name, &ctl), CTL_DONE);
        assert_int_equal(asked.calls, 1);
        assert_int_equal(asked.what, rows[i].what);
        assert_int_equal(asked.wants_progress, rows[i].progress);
        ctl.quiet = true;
        (void)run(rows[i].name, &ctl);
        assert_false(asked.wants_progress);
        ctl.quiet = false;
        ctl.json = true;
        (void)run(rows[i].name, &ctl);
        assert_false(asked.wants_progress);
    }
}

/* Options stay set for the one command of a process; here the order of the tests is the order of the calls. */
static void test_restore_wants_a_directory(void **state)
{
    struct ctl ctl = {.socket = "s"};

    (void)state;
    assert_int_equal(run("restore", &ctl), CTL_USAGE);
    assert_int_equal(asked.calls, 0);
    assert_non_null(strstr(told, "--data-dir"));
    assert_non_null(strstr(told, "--use-etcdutl=false"));
}

static void test_bool(void **state)
{
    static const struct {
        const char *text;
        int result;
        bool value;
    } rows[] = {
            {NULL, 0, true},
            {"true", 0, true},
            {"True", 0, true},
            {"TRUE", 0, true},
            {"t", 0, true},
            {"T", 0, true},
            {"1", 0, true},
            {"=true", 0, true},
            {"false", 0, false},
            {"False", 0, false},
            {"FALSE", 0, false},
            {"f", 0, false},
            {"F", 0, false},
            {"0", 0, false},
            {"=false", 0, false},
            {"", -1, false},
            {"=", -1, false},
            {"no", -1, false},
            {"fALSE", -1, false},
            {"false ", -1, false},
            {"00", -1, false},
            {"==0", -1, false},
    };
    const struct command *restore = find("restore");
    struct ctl ctl = {.socket = "s"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        /* From both sides, so that a value that was not written is noticed. */
        for (int before = 0; before < 2; before++) {
            assert_int_equal(restore->set('u', before ? "true" : "false"), 0);
            assert_int_equal(restore->set('u', rows[i].text), rows[i].result);
            if (rows[i].result == 0)
                assert_int_equal(run("restore", &ctl), rows[i].value ? CTL_USAGE : CTL_DONE);
        }
    }
}

static int value_of(const struct command *c, const char *name)
{
    for (const struct option *o = c->options; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o->val;
    fail_msg("%s has no --%s", c->name, name);
    return -1;
}

static void set_long(const struct command *c, const char *name, const char *value)
{
    assert_int_equal(c->set(value_of(c, name), value), 0);
}

static void test_restore(void **state)
{
    const struct command *restore = find("restore");
    struct ctl ctl = {.socket = "s"};
    char here[4096], path[sizeof(here) + 16];

    (void)state;
    assert_int_equal(restore->set('u', "false"), 0);
    assert_int_equal(run("restore", &ctl), CTL_DONE);
    assert_int_equal(asked.what, CONTROL__REQUEST__BODY_RESTORE);
    assert_true(asked.wants_progress && asked.restore.latest);
    assert_string_equal(asked.output, "");
    assert_false(asked.restore.allow_renamed || asked.restore.skip_hash_check || asked.restore.allow_plain);
    assert_int_equal(restore->set('t', "yesterday"), -1);
    assert_non_null(strstr(told, "yesterday"));
    assert_int_equal(restore->set('t', "2024-12-06T22:22:25+01:00"), 0);
    set_long(restore, "output", "file");
    set_long(restore, "allow-renamed", NULL);
    set_long(restore, "skip-hash-check", NULL);
    set_long(restore, "allow-plain", NULL);
    set_long(restore, "dry-run", NULL);
    assert_int_equal(run("restore", &ctl), CTL_DONE);
    assert_false(asked.restore.latest || asked.restore.unpack);
    assert_int_equal(asked.restore.instant, 1733520145);
    assert_true(asked.restore.allow_renamed && asked.restore.skip_hash_check && asked.restore.allow_plain);
    assert_true(asked.restore.dry_run);
    /* The daemon has another working directory. */
    assert_non_null(getcwd(here, sizeof(here)));
    (void)snprintf(path, sizeof(path), "%s/file", here);
    assert_string_equal(asked.output, path);
}

static void test_restore_of_a_directory(void **state)
{
    const struct command *restore = find("restore");
    struct ctl ctl = {.socket = "s"};
    char here[4096], expected[4 * sizeof(here)];
    char *path = strdup(getenv("PATH"));

    (void)state;
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(setenv("PATH", here, 1), 0);
    folder_write("etcdutl", "", 0, 0755); /* our PATH decides nothing unless we are asked to: the daemon looks */
    set_long(restore, "wal-dir", "wal");
    assert_int_equal(restore->set('d', ""), -1);
    assert_int_equal(restore->set('d', "data"), 0);
    assert_int_equal(run("restore", &ctl), CTL_DONE);
    (void)snprintf(expected, sizeof(expected),
            "%s/data|%s/wal||default|default=http://localhost:2380|etcd-cluster|http://localhost:2380|", here, here);
    assert_string_equal(asked.unpack, expected);
    (void)unlink("etcdutl");
    assert_true(asked.numbers.bump_revision == 0 && !asked.numbers.mark_compacted);
    for (const char *const *bad = (const char *const[]){"0", "-1", "", "1x", "9223372036854775808", NULL}; *bad; bad++)
        assert_int_equal(restore->set(value_of(restore, "bump-revision"), *bad), -1);
    set_long(restore, "bump-revision", "1000000000");
    set_long(restore, "mark-compacted", NULL);
    set_long(restore, "owner", "etcd:etcd");
    assert_int_equal(restore->set('e', "bin/etcdutl"), 0);
    assert_int_equal(restore->set('o', "token"), 0);
    assert_int_equal(restore->set('l', "a=http://a:2380,b=http://b:2380"), 0);
    assert_int_equal(restore->set('a', "http://a:2380"), 0);
    assert_int_equal(restore->set('n', "a"), 0);
    assert_int_equal(run("restore", &ctl), CTL_DONE);
    (void)snprintf(expected, sizeof(expected),
            "%s/data|%s/wal|%s/bin/etcdutl|a|a=http://a:2380,b=http://b:2380|token|http://a:2380|etcd:etcd", here, here,
            here);
    assert_string_equal(asked.unpack, expected);
    assert_true(asked.numbers.bump_revision == 1000000000 && asked.numbers.mark_compacted);
    assert_int_equal(setenv("PATH", path, 1), 0);
    free(path);
}

static void test_verify(void **state)
{
    const struct command *verify = find("verify");
    struct ctl ctl = {.socket = "s"};

    (void)state;
    assert_int_equal(run("verify", &ctl), CTL_DONE);
    assert_int_equal(asked.what, CONTROL__REQUEST__BODY_VERIFY);
    assert_true(asked.wants_progress && asked.verify.latest && !asked.verify.all && !asked.verify.drill);
    assert_int_equal(verify->set('e', "/bin/etcdutl"), 0);
    assert_int_equal(run("verify", &ctl), CTL_USAGE); /* nothing is unpacked */
    set_long(verify, "drill", NULL);
    set_long(verify, "all", NULL);
    assert_int_equal(run("verify", &ctl), CTL_DONE);
    assert_true(!asked.verify.latest && asked.verify.all && asked.verify.drill);
    assert_false(asked.verify.allow_plain || asked.verify.allow_renamed);
    assert_string_equal(asked.output, "/bin/etcdutl");
    set_long(verify, "allow-plain", NULL);
    set_long(verify, "allow-renamed", NULL);
    assert_int_equal(run("verify", &ctl), CTL_DONE);
    assert_true(asked.verify.allow_plain && asked.verify.allow_renamed);
    assert_int_equal(verify->set('t', "now"), -1);
    assert_int_equal(verify->set('t', "2024-12-06T22:22:25+01:00"), 0);
    assert_int_equal(run("verify", &ctl), CTL_USAGE); /* all, or the one */
}

/* A result that cannot be written is a failure, also if it is the disk that was full before the last line. */
static void test_full_disk(void **state)
{
    struct ctl ctl = {.socket = "s"};
    FILE *before = stdout, *full = fopen("/dev/full", "we");

    (void)state;
    assert_non_null(full);
    (void)fputs("a line", full);
    (void)fflush(full); /* which failed, and left nothing behind to be written */
    stdout = full;
    memset(&asked, 0, sizeof(asked));
    told[0] = '\0';
    assert_int_equal(find("list")->run(&ctl), CTL_FAILED);
    assert_non_null(strstr(told, "stdout"));
    asked.status = CTL_INTEGRITY;
    assert_int_equal(find("list")->run(&ctl), CTL_INTEGRITY);
    stdout = before;
    (void)fclose(full);
}

static int run_unheard(Control__Request *request, int status)
{
    const struct ctl ctl = {.socket = "s"};

    asked.status = status;
    told[0] = '\0';
    return ask(&ctl, request, false);
}

/* Where nobody can listen only what is no more than an answer has failed: what was done is done. */
static void test_closed_stdout(void **state)
{
    Control__Restore restore = CONTROL__RESTORE__INIT;
    Control__Prune prune = CONTROL__PRUNE__INIT;
    Control__RotateKey rotate = CONTROL__ROTATE_KEY__INIT;
    const struct {
        Control__Request__BodyCase what;
        bool dry_run, is_answer;
    } rows[] = {
            {CONTROL__REQUEST__BODY_BACKUP, false, false},
            {CONTROL__REQUEST__BODY_RESTORE, false, false},
            {CONTROL__REQUEST__BODY_RESTORE, true, true},
            {CONTROL__REQUEST__BODY_VERIFY, false, false},
            {CONTROL__REQUEST__BODY_PRUNE, false, false},
            {CONTROL__REQUEST__BODY_PRUNE, true, true},
            {CONTROL__REQUEST__BODY_ROTATE_KEY, false, false},
            {CONTROL__REQUEST__BODY_ROTATE_KEY, true, true},
            {CONTROL__REQUEST__BODY_LIST, false, true},
            {CONTROL__REQUEST__BODY_STATUS, false, true},
            {CONTROL__REQUEST__BODY_CHECK, false, true},
    };
    Control__Verify verify = CONTROL__VERIFY__INIT;
    FILE *before = stdout, *closed = fopen("/dev/null", "re");
    int out;

    (void)state;
    (void)fflush(stdout);
    out = dup(STDOUT_FILENO);
    assert_non_null(closed);
    assert_true(out >= 0 && dup2(fileno(closed), STDOUT_FILENO) == STDOUT_FILENO);
    stdout = closed;
    (void)fputs("a line", closed); /* which cannot be written to it */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Control__Request request = CONTROL__REQUEST__INIT;
        int done, bad;

        restore.dry_run = prune.dry_run = rotate.dry_run = rows[i].dry_run;
        request.body_case = rows[i].what;
        request.restore = &restore; /* a union: of pointers */
        if (rows[i].what == CONTROL__REQUEST__BODY_PRUNE)
            request.prune = &prune;
        else if (rows[i].what == CONTROL__REQUEST__BODY_ROTATE_KEY)
            request.rotate_key = &rotate;
        else if (rows[i].what == CONTROL__REQUEST__BODY_VERIFY)
            request.verify = &verify;
        done = run_unheard(&request, CTL_DONE);
        assert_int_equal(done, rows[i].is_answer ? CTL_FAILED : CTL_DONE);
        assert_int_equal(told[0] != '\0', rows[i].is_answer);
        bad = run_unheard(&request, CTL_INTEGRITY);
        assert_int_equal(bad, CTL_INTEGRITY);
    }
    stdout = before;
    assert_true(dup2(out, STDOUT_FILENO) == STDOUT_FILENO);
    close(out);
    (void)fclose(closed);
}

/* ---- the program ---- */

/* Runs `program arguments` by the shell, and by $EMULATOR where it is another machine's (tests/ports.sh); the output of
 * both streams with a 0 at its end, until the next call. */
static const char *run_program(const char *arguments, int *status)
{
    static char out[65536];
    char command[2 * PATH_MAX];
    size_t len = 0, n;
    FILE *f;

    (void)snprintf(command, sizeof(command), "$EMULATOR '%s' %s 2>&1", program, arguments);
    f = popen(command, "re");
    assert_non_null(f);
    while (len < sizeof(out) - 1 && (n = fread(out + len, 1, sizeof(out) - 1 - len, f)) > 0)
        len += n;
    out[len] = '\0';
    *status = pclose(f);
    assert_true(WIFEXITED(*status));
    *status = WEXITSTATUS(*status);
    return out;
}

static void expect_words(const char *text, const char *word, const char *where)
{
    if (!strstr(text, word))
        fail_msg("'%s' is not in: %s\n%s", word, where, text);
}

/* "-t, --backup-timestamp" or "    --output", as getopt has it. */
static void expect_option(const char *help, const struct option *o, const char *where)
{
    char word[64];

    if (o->val < 256)
        (void)snprintf(word, sizeof(word), "\n  -%c, --%s", o->val, o->name);
    else
        (void)snprintf(word, sizeof(word), "\n      --%s", o->name);
    expect_words(help, word, where);
}

static void test_help(void **state)
{
    static const struct option common[] = {
            {"socket", required_argument, NULL, 's'},
            {"config", required_argument, NULL, 'c'},
            {"json", no_argument, NULL, 1000},
            {"quiet", no_argument, NULL, 'q'},
            {"help", no_argument, NULL, 'h'},
            {"version", no_argument, NULL, 'V'},
    };
    const char *help;
    int status;

    (void)state;
    help = run_program("--help", &status);
    assert_int_equal(status, CTL_DONE);
    for (unsigned i = 0; i < command_count; i++) {
        expect_words(help, command_table[i].name, "--help");
        expect_words(help, command_table[i].help, "--help");
    }
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        expect_option(help, &common[i], "--help");
    for (const char *s = "012345"; *s; s++)
        expect_words(help, (char[]){' ', *s, ' ', '\0'}, "the exit statuses");
    for (unsigned i = 0; i < command_count; i++) {
        const struct command *c = &command_table[i];
        char arguments[64];

        (void)snprintf(arguments, sizeof(arguments), "%s --help", c->name);
        help = run_program(arguments, &status);
        assert_int_equal(status, CTL_DONE);
        expect_words(help, c->name, arguments);
        expect_words(help, c->help, arguments);
        expect_words(help, c->usage, arguments);
        for (const struct option *o = c->options; o->name; o++)
            expect_option(help, o, arguments);
        for (size_t j = 0; j < ARRAY_LEN(common); j++)
            expect_option(help, &common[j], arguments);
    }
}

/* A row can be given: each option has its letter for getopt, a place to go to, and none is anybody else's. */
static void test_rows(void **state)
{
    static const char taken[] = "scqhV";

    (void)state;
    for (unsigned i = 0; i < command_count; i++) {
        const struct command *c = &command_table[i];

        assert_true(c->run && c->help[0] && !strchr(c->help, '\n'));
        assert_true(c->set || !c->options->name);
        for (const struct option *o = c->options; o->name; o++) {
            const char *letter = o->val < 256 ? strchr(c->letters, o->val) : NULL;

            assert_true(o->val != 1000 && o->val != '?' && (o->val >= 256 || !strchr(taken, o->val)));
            if (o->val >= 256)
                continue;
            assert_non_null(letter);
            assert_int_equal(letter[1] == ':', o->has_arg != no_argument);
            assert_int_equal(letter[1] == ':' && letter[2] == ':', o->has_arg == optional_argument);
        }
    }
}

static void test_exit_statuses(void **state)
{
    static const struct {
        const char *arguments;
        int status;
        const char *word;
    } rows[] = {
            {"", CTL_USAGE, "which command?"},
            {"nonsense", CTL_USAGE, "no command 'nonsense'"},
            {"--nonsense", CTL_USAGE, "--help"},
            {"backup --nonsense", CTL_USAGE, "--help"},
            {"backup again", CTL_USAGE, "'again' is not expected here"},
            {"-s", CTL_USAGE, "--help"},
            {"restore", CTL_USAGE, "--use-etcdutl=false"},
            {"restore -d d --bump-revision many", CTL_USAGE, "'many' is no whole number"},
            {"restore -d ''", CTL_USAGE, "--data-dir is empty"},
            {"restore -d d --output ''", CTL_USAGE, "--output is empty"},
            {"restore -d d --output f -s ./none", CTL_NO_DAEMON, "./none"},
            {"restore -u=false --wal-dir w", CTL_USAGE, "--wal-dir"},
            {"restore -u=false --mark-compacted", CTL_USAGE, "--mark-compacted"},
            {"restore -d d -s ./none", CTL_NO_DAEMON, "./none"},
            {"verify --all -t 2024-12-06T22:22:25Z", CTL_USAGE, "give one of them"},
            {"verify -s ./none", CTL_NO_DAEMON, "./none"},
            {"restore -d d -n b -s ./none", CTL_USAGE, "has no member of the --name b"},
            {"restore -d d -l default=http://a:2380 -s ./none", CTL_USAGE,
                    "http://localhost:2380 is no URL of default"},
            {"restore -d d -l default=http://localhost -s ./none", CTL_USAGE, "it has no port"},
            {"restore -u=false --output - -s ./none", CTL_USAGE, "not to our standard output"},
            {"restore -u=false --output s3://bucket/x -s ./none", CTL_USAGE, "not a URL"},
            {"restore -u=maybe", CTL_USAGE, "'maybe' is neither true nor false"},
            {"restore -t now", CTL_USAGE, "now"},
            {"restore --use-etcdutl=false -s ./none", CTL_NO_DAEMON, "./none"},
            {"status -s ./none", CTL_NO_DAEMON, "no etcd-backupd listens on ./none"},
            {"-s ./none status", CTL_NO_DAEMON, "no etcd-backupd listens on ./none"},
            {"--json status -s ./none", CTL_NO_DAEMON, "{\"failure\":{\"kind\":\"not-found\""},
            {"list -c ./none", CTL_USAGE, "./none: No such file or directory"},
            {"-c ./none backup", CTL_USAGE, "./none: No such file or directory"},
            {"--version", CTL_DONE, "etcd-backupctl "},
            {"backup -V", CTL_DONE, "etcd-backupctl "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int status;
        const char *out;

        if (getenv("EMULATOR") && strstr(rows[i].arguments, "-c ")) /* runs the daemon, as another machine's program */
            continue;
        out = run_program(rows[i].arguments, &status);
        expect_words(out, rows[i].word, rows[i].arguments);
        if (status != rows[i].status)
            fail_msg("%s: status %d", rows[i].arguments, status);
    }
    assert_int_equal(folder_count(), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_plain_commands),
            cmocka_unit_test(test_restore_wants_a_directory),
            cmocka_unit_test(test_bool),
            cmocka_unit_test_setup_teardown(test_restore, folder_setup, folder_teardown),
            cmocka_unit_test(test_verify),
            cmocka_unit_test(test_full_disk),
            cmocka_unit_test(test_closed_stdout),
            cmocka_unit_test(test_help),
            cmocka_unit_test(test_rows),
            cmocka_unit_test_setup_teardown(test_exit_statuses, folder_setup, folder_teardown),
    };

    /* Options stay set for the one command of a process. */
    const struct CMUnitTest apart[] = {
            cmocka_unit_test_setup_teardown(test_restore_of_a_directory, folder_setup, folder_teardown),
    };
    pid_t child;
    int status;

    if (argc < 2 || !realpath(argv[1], program) || (child = fork()) < 0)
        return 1;
    if (child == 0)
        return cmocka_run_group_tests(apart, NULL, NULL);
    if (waitpid(child, &status, 0) != child || status != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
