/* conf_check_files: everything that the configuration names is there and is what it should be. */
#include "expect.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "failing.h"
#include "scratch.h"
#include "x509/issue.h"

#define MASTER "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

static const char config[] = "etcd_client:\n"
                             "  endpoints: [a]\n"
                             "  auth:\n"
                             "    ca_cert: etcd-ca.crt\n"
                             "    password_auth: password.yml\n"
                             "    client_cert: client.crt\n"
                             "    client_key: client.key\n"
                             "snapshot_path: dir/snapshot\n"
                             "encryption_key_path: master.key\n"
                             "s3_client:\n"
                             "  endpoint: e\n"
                             "  bucket: bbb\n"
                             "  auth:\n"
                             "    ca_cert: s3-ca.crt\n"
                             "    key_auth: keys.yml\n"
                             "control:\n"
                             "  group: root\n"
                             "previous_key_paths: [old.key,\n"
                             "  older.key]\n";

static struct issued ours, other, ed25519;

static int setup(void **state)
{
    if (scratch_setup(state) < 0)
        return -1;
    ours = issue_authority("ours");
    other = issue_authority("other");
    ed25519 = issue(&(struct issue_spec){.name = "ed25519", .key = "ED25519"});
    return 0;
}

static int teardown(void **state)
{
    issue_clear(&ours);
    issue_clear(&other);
    issue_clear(&ed25519);
    return scratch_teardown(state);
}

/* All files that the configuration above names, as they should be. */
static void write_good(void)
{
    issue_write_certificates("etcd-ca.crt", (const struct issued *const[]){&ours}, 1);
    scratch_text("password.yml", "username: a\npassword: b\n");
    issue_write_certificates("client.crt", (const struct issued *const[]){&ours, &other}, 2);
    issue_write_key("client.key", &ours);
    (void)mkdir("dir", 0700);
    scratch_text("master.key", " " MASTER "\n");
    scratch_text("old.key", MASTER);
    scratch_text("older.key", "\n" MASTER "\n");
    issue_write_certificates("s3-ca.crt", (const struct issued *const[]){&other, &ed25519}, 2);
    scratch_text("keys.yml", "access_key: a\nsecret_key: b\n");
}

/* What was objected to, in its order. */
enum { OBJECTIONS_MAX = 16 };
static struct err objections[OBJECTIONS_MAX];
static unsigned n_objections;

static void on_objection(void *ctx, const struct err *why)
{
    assert_ptr_equal(ctx, objections);
    assert_true(n_objections < OBJECTIONS_MAX);
    objections[n_objections++] = *why;
}

static unsigned objections_of(const struct conf *c, enum conf_scope scope)
{
    unsigned n;

    n_objections = 0;
    n = conf_check_files(c, scope, on_objection, objections);
    assert_int_equal(n, n_objections);
    return n;
}

/* All is good, or just this is not. */
static void check(const struct conf *c, const char *line)
{
    unsigned n = objections_of(c, CONF_SCOPE_ALL);

    if (n)
        expect_error(&objections[0], ERR_CONFIG, line ? line : "");
    assert_int_equal(n, line ? 1 : 0);
}

static void all_good(void **state)
{
    struct conf *c = scratch_load(config);

    (void)state;
    write_good();
    check(c, NULL);
    conf_free(c);
}

/* Each in turn is missing. */
static void missing_files(void **state)
{
    static const char open_text[] = "is a directory, not a file", secret_text[] = "not a regular file";
    static const struct {
        const char *file, *line, *directory;
    } cases[] = {
            {"etcd-ca.crt", "4:5: etcd_client.auth.ca_cert", open_text},
            {"password.yml", "5:5: etcd_client.auth.password_auth", secret_text},
            {"client.crt", "6:5: etcd_client.auth.client_cert", open_text},
            {"client.key", "7:5: etcd_client.auth.client_key", secret_text},
            {"master.key", "9:1: encryption_key_path", secret_text},
            {"s3-ca.crt", "14:5: s3_client.auth.ca_cert", open_text},
            {"keys.yml", "15:5: s3_client.auth.key_auth", secret_text},
            {"old.key", "18:22: previous_key_paths[0]", secret_text},
            {"older.key", "19:3: previous_key_paths[1]", secret_text},
    };
    struct conf *c = scratch_load(config);
    char line[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        write_good();
        assert_int_equal(unlink(cases[i].file), 0);
        (void)snprintf(line, sizeof(line), "test.yml:%s: %s: No such file or directory", cases[i].line, cases[i].file);
        /* Who wants to restore must not be stopped by a previous key that was destroyed. */
        check(c, strstr(cases[i].line, "previous") ? NULL : line);
        assert_int_equal(mkdir(cases[i].file, 0700), 0);
        (void)snprintf(line, sizeof(line), "test.yml:%s: %s: %s", cases[i].line, cases[i].file, cases[i].directory);
        check(c, line);
        assert_int_equal(rmdir(cases[i].file), 0);
    }
    conf_free(c);
}

/* On a machine that lost everything: what reads the bucket alone asks for no more than it takes; all else tells all
 * that is missing at once, in the order of the schema. */
static void everything_missing(void **state)
{
    static const struct {
        const char *file, *words;
        bool is_for_the_bucket;
    } rows[] = {
            {"etcd-ca.crt", "etcd_client.auth.ca_cert: etcd-ca.crt: No such file", false},
            {"password.yml", "etcd_client.auth.password_auth: password.yml: No such file", false},
            {"client.crt", "etcd_client.auth.client_cert: client.crt: No such file", false},
            {"client.key", "etcd_client.auth.client_key: client.key: No such file", false},
            {NULL, "snapshot_path: directory dir does not exist: mkdir -p dir", false},
            {"master.key", "encryption_key_path: master.key: No such file", true},
            {"s3-ca.crt", "s3_client.auth.ca_cert: s3-ca.crt: No such file", true},
            {"keys.yml", "s3_client.auth.key_auth: keys.yml: No such file", true},
            {NULL, "control.group: there is no group 'no-such-group-here'", false},
    };
    char text[sizeof(config) + 32];
    struct conf *c;
    unsigned n = 0;

    (void)state;
    (void)snprintf(text, sizeof(text), "%s", config);
    (void)strcpy(strstr(text, "  group: root"), "  group: no-such-group-here\n");
    c = scratch_load(text);
    write_good();
    assert_int_equal(rmdir("dir"), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(!rows[i].file || unlink(rows[i].file) == 0);
    assert_int_equal(objections_of(c, CONF_SCOPE_ALL), ARRAY_LEN(rows));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_non_null(strstr(objections[i].text, rows[i].words));
    objections_of(c, CONF_SCOPE_BUCKET);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(!rows[i].is_for_the_bucket || strstr(objections[n++].text, rows[i].words));
    assert_int_equal(n_objections, n);
    conf_free(c);
}

/* Secrets that all users can read or write. */
static void open_secrets(void **state)
{
    static const struct {
        const char *file, *line;
    } cases[] = {
            {"password.yml", "5:5: etcd_client.auth.password_auth"},
            {"client.key", "7:5: etcd_client.auth.client_key"},
            {"master.key", "9:1: encryption_key_path"},
            {"keys.yml", "15:5: s3_client.auth.key_auth"},
            {"old.key", "18:22: previous_key_paths[0]"},
            {"older.key", "19:3: previous_key_paths[1]"},
    };
    struct conf *c = scratch_load(config);
    char line[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        write_good();
        assert_int_equal(chmod(cases[i].file, 0604), 0);
        (void)snprintf(line, sizeof(line),
                "test.yml:%s: %s: holds a secret but is open to all users (mode 0604); use chmod o-rwx", cases[i].line,
                cases[i].file);
        check(c, line);
        assert_int_equal(chmod(cases[i].file, 0660), 0);
        check(c, NULL);
    }
    conf_free(c);
}

static void what_is_in_them(void **state)
{
    static const struct {
        const char *file, *text, *line;
    } cases[] = {
            /* More of PEM is in tests/unit/x509/test_files.c. */
            {"etcd-ca.crt", "",
                    "4:5: etcd_client.auth.ca_cert: etcd-ca.crt:1: holds no certificate in PEM (-----BEGIN "
                    "CERTIFICATE-----)"},
            {"etcd-ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                    "4:5: etcd_client.auth.ca_cert: etcd-ca.crt:1: the certificate that begins here cannot be read: "
                    "wrong "
                    "tag"},
            {"s3-ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                    "14:5: s3_client.auth.ca_cert: s3-ca.crt:1: the certificate that begins here cannot be read: wrong "
                    "tag"},
            {"client.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                    "6:5: etcd_client.auth.client_cert: client.crt:1: the certificate that begins here cannot be read: "
                    "wrong "
                    "tag"},
            {"client.key", "x",
                    "7:5: etcd_client.auth.client_key: client.key: holds no private key in PEM (-----BEGIN PRIVATE "
                    "KEY-----)"},
            {"master.key", "",
                    "9:1: encryption_key_path: master.key: is not a master key: 0 hexadecimal digits instead of "
                    "64"},
            {"master.key", MASTER "0",
                    "9:1: encryption_key_path: master.key: is not a master key: 65 hexadecimal digits "
                    "instead of 64"},
            {"master.key", "\n0123g",
                    "9:1: encryption_key_path: master.key: is not a master key: character 5 is no "
                    "hexadecimal digit"},
            {"master.key", MASTER "\n" MASTER,
                    "9:1: encryption_key_path: master.key: is not a master key: character 65 is "
                    "no hexadecimal digit"},
            {"master.key", "\t" MASTER "\r\n\n", NULL},
            {"old.key", "/etc/master.key",
                    "18:22: previous_key_paths[0]: old.key: is not a master key: character 1 is no hexadecimal digit"},
            {"older.key", MASTER "0",
                    "19:3: previous_key_paths[1]: older.key: is not a master key: 65 hexadecimal digits instead of "
                    "64"},
            {"password.yml", "username: a\n",
                    "5:5: etcd_client.auth.password_auth: password.yml:1:1: password: is "
                    "missing"},
            {"keys.yml", "access_key: a\nsecret_key: b\nregion: c\n",
                    "15:5: s3_client.auth.key_auth: keys.yml:3:1: a key that is none of access_key, secret_key, "
                    "session_token"},
    };
    struct conf *c = scratch_load(config);
    char line[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        write_good();
        scratch_text(cases[i].file, cases[i].text);
        (void)snprintf(line, sizeof(line), "test.yml:%s", cases[i].line ? cases[i].line : "");
        check(c, cases[i].line ? line : NULL);
    }
    conf_free(c);
}

/* What loads, but is of no use to the connection to etcd. */
static void what_etcd_cannot_be_shown(void **state)
{
    struct conf *c = scratch_load(config);

    (void)state;
    write_good();
    issue_write_key("client.key", &other);
    check(c, "test.yml:7:5: etcd_client.auth.client_key: client.key: this key does not belong to the certificate "
             "client.crt");
    write_good();
    issue_write_certificates("client.crt", (const struct issued *const[]){&ours, &ed25519}, 2);
    check(c, "test.yml:6:5: etcd_client.auth.client_cert: client.crt: 1 of its certificates are none that mbedTLS can "
             "present "
             "(it has RSA and ECDSA on named curves)");
    conf_free(c);
}

/* Where a snapshot will be written, and who may use the socket: this configuration with one of the two. */
static void paths_to_come_and_groups(void **state)
{
    static const struct {
        const char *extra, *line;
    } cases[] = {
            {"snapshot_path: snapshot\n", NULL},
            {"snapshot_path: /snapshot\n", NULL},
            {"snapshot_path: keys.yml\n", NULL},
            {"snapshot_path: nodir/snapshot\n",
                    "test.yml:7:1: snapshot_path: directory nodir does not exist: mkdir -p nodir"},
            {"snapshot_path: keys.yml/snapshot\n", "test.yml:7:1: snapshot_path: keys.yml: is not a directory"},
            {"snapshot_path: /\n", "test.yml:7:1: snapshot_path: /: is a directory, not a file"},
            {"snapshot_path: dir\n", "test.yml:7:1: snapshot_path: dir: is a directory, not a file"},
            {"snapshot_path: newdir/\n", "test.yml:7:1: snapshot_path: newdir/: is a directory, not a file"},
            {"control:\n  group: no-such-group-here\n",
                    "test.yml:8:3: control.group: there is no group 'no-such-group-here'"},
    };
    char text[512];

    (void)state;
    write_good();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf *c;

        (void)snprintf(text, sizeof(text), "%s%s", scratch_minimal, cases[i].extra);
        c = scratch_load(text);
        check(c, cases[i].line);
        conf_free(c);
    }
}

/* One that is destroyed, as it should be in the end, does not keep the next from being looked at. */
static void missing_and_bad_previous_keys(void **state)
{
    struct conf *c = scratch_load(config);

    (void)state;
    write_good();
    assert_int_equal(unlink("old.key"), 0);
    scratch_text("older.key", "x");
    check(c, "test.yml:19:3: previous_key_paths[1]: older.key: is not a master key: character 1 is no hexadecimal "
             "digit");
    assert_int_equal(unlink("older.key"), 0);
    check(c, NULL);
    conf_free(c);
}

/* What passes here must pass when it is used (seal/key.c), down to the white space. */
static void long_master_keys(void **state)
{
    struct conf *c = scratch_load(config);
    char text[1026];

    (void)state;
    write_good();
    memset(text, ' ', sizeof(text));
    memcpy(text, MASTER, strlen(MASTER));
    scratch_write("master.key", text, 1024, 0600);
    check(c, NULL);
    scratch_write("master.key", text, 1025, 0600);
    check(c, "test.yml:9:1: encryption_key_path: master.key: longer than 1024 bytes");
    conf_free(c);
}

/* A FIFO where a file should be must not make anybody wait. */
static void no_waiting_for_fifos(void **state)
{
    static const char *const files[] = {"etcd-ca.crt", "client.key", "master.key", "keys.yml", "older.key"};
    struct conf *c = scratch_load(config);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        write_good();
        assert_int_equal(unlink(files[i]), 0);
        assert_int_equal(mkfifo(files[i], 0600), 0);
        assert_int_equal(objections_of(c, CONF_SCOPE_ALL), 1);
        assert_non_null(strstr(objections[0].text, "not a regular file"));
        assert_int_equal(unlink(files[i]), 0);
    }
    conf_free(c);
}

static struct {
    char text[4096];
} warnings;

static void on_warning(void *ctx, const char *text)
{
    size_t used = strlen(warnings.text);

    (void)ctx;
    (void)snprintf(warnings.text + used, sizeof(warnings.text) - used, "%s\n", text);
}

static const char *warnings_of(const struct conf *c)
{
    warnings.text[0] = '\0';
    conf_warnings(c, on_warning, NULL);
    return warnings.text;
}

/* Paths of certificates that were never made, beside a password, as the Go tool does not mind. */
static void client_certificates_that_nothing_asks_for(void **state)
{
    struct conf *c = scratch_load(config);

    (void)state;
    write_good();
    assert_true(conf_uses_client_cert(c));
    assert_string_equal(warnings_of(c), "");
    assert_int_equal(unlink("client.crt"), 0);
    assert_true(conf_uses_client_cert(c)); /* half of a pair is a mistake */
    check(c, "test.yml:6:5: etcd_client.auth.client_cert: client.crt: No such file or directory");
    assert_int_equal(unlink("client.key"), 0);
    assert_false(conf_uses_client_cert(c));
    check(c, NULL);
    assert_string_equal(warnings_of(c),
            "test.yml:6:18: etcd_client.auth.client_cert: there is no such file, nor that of "
            "client_key: password_auth goes alone\n");
    assert_int_equal(unlink("password.yml"), 0);
    assert_true(conf_uses_client_cert(c));
    assert_int_equal(objections_of(c, CONF_SCOPE_ALL), 3);
    conf_free(c);
}

/* What its authors' own templates of cloud-init write for a machine that only restores. */
static void without_etcd(void **state)
{
    struct conf *c = scratch_load("snapshot_path: \"dir/snapshot\"\n"
                                  "encryption_key_path: \"master.key\"\n"
                                  "s3_client:\n"
                                  "  objects_prefix: \"backup\"\n"
                                  "  endpoint: \"e\"\n"
                                  "  bucket: \"bbb\"\n"
                                  "  region: \"\"\n"
                                  "  auth:\n"
                                  "    ca_cert: \"s3-ca.crt\"\n"
                                  "    key_auth: \"keys.yml\"\n"
                                  "  connection_timeout: \"300s\"\n"
                                  "  request_timeout: \"300s\"\n"
                                  "log_level: warn\n");

    (void)state;
    write_good();
    assert_int_equal(chmod("master.key", 0400), 0);
    assert_int_equal(chown("master.key", 65534, 65534), geteuid() ? -1 : 0);
    assert_int_equal(c->etcd.n_endpoints, 0);
    assert_string_equal(c->s3.region, "us-east-1");
    assert_int_equal(c->log_level, CONF_LOG_WARNING);
    assert_true(c->s3.connection_timeout_ms == 300000);
    check(c, NULL);
    assert_int_equal(objections_of(c, CONF_SCOPE_BUCKET), 0);
    assert_int_equal(objections_of(c, CONF_SCOPE_BACKUP), 1);
    assert_non_null(strstr(objections[0].text, "test.yml:1:1: etcd_client.endpoints: is missing: The members of"));
    assert_int_equal(unlink("master.key"), 0);
    conf_free(c);
}

/* For a person who reads: told, and read. The last test, for it cannot be taken back. */
static void open_secrets_that_are_only_read(void **state)
{
    struct conf *c = scratch_load(config);

    (void)state;
    write_good();
    assert_int_equal(chmod("keys.yml", 0644), 0);
    assert_int_equal(chmod("older.key", 0604), 0);
    assert_int_equal(objections_of(c, CONF_SCOPE_BUCKET), 2);
    secret_allow_open_files();
    assert_int_equal(objections_of(c, CONF_SCOPE_BUCKET), 0);
    assert_string_equal(warnings_of(c),
            "test.yml:15:15: s3_client.auth.key_auth: the file holds a secret but is open to all users (mode 0644); "
            "use "
            "chmod o-rwx\n"
            "test.yml:19:3: previous_key_paths[1]: the file holds a secret but is open to all users (mode 0604); use "
            "chmod o-rwx\n");
    conf_free(c);
}

static void out_of_memory_anywhere(void **state)
{
    struct conf *c = scratch_load(config);
    size_t n = 0;
    bool reached;

    (void)state;
    write_good();
    do {
        failing_arm(++n);
        (void)objections_of(c, CONF_SCOPE_ALL);
        reached = failing_disarm();
        assert_int_equal(n_objections, reached ? 1 : 0);
        assert_true(!reached || objections[0].kind == ERR_RESOURCE);
    } while (reached);
    assert_true(n > 15);
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(all_good),
            cmocka_unit_test(missing_files),
            cmocka_unit_test(everything_missing),
            cmocka_unit_test(open_secrets),
            cmocka_unit_test(what_is_in_them),
            cmocka_unit_test(what_etcd_cannot_be_shown),
            cmocka_unit_test(paths_to_come_and_groups),
            cmocka_unit_test(missing_and_bad_previous_keys),
            cmocka_unit_test(long_master_keys),
            cmocka_unit_test(no_waiting_for_fifos),
            cmocka_unit_test(client_certificates_that_nothing_asks_for),
            cmocka_unit_test(without_etcd),
            cmocka_unit_test(out_of_memory_anywhere),
            cmocka_unit_test(open_secrets_that_are_only_read),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
