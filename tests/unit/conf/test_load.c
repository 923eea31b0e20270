/* What loads, and what it then says. */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "conf/parse.h"
#include "failing.h"
#include "scratch.h"

#define MINUTE UINT64_C(60000)

static void left_out_is_the_default(void **state)
{
    struct conf *c = scratch_load(scratch_minimal);

    (void)state;
    assert_string_equal(c->file, "test.yml");
    assert_int_equal(c->etcd.n_endpoints, 1);
    assert_string_equal(c->etcd.endpoints[0], "127.0.0.1:2379");
    assert_true(c->etcd.connection_timeout_ms == MINUTE && c->etcd.request_timeout_ms == MINUTE);
    assert_true(c->etcd.retries == 10 && !c->etcd.use_learner);
    assert_null(c->etcd.ca_cert);
    assert_null(c->etcd.password_auth);
    assert_null(c->etcd.client_cert);
    assert_null(c->etcd.client_key);
    assert_string_equal(c->s3.objects_prefix, "backup");
    assert_string_equal(c->s3.endpoint, "s3.example.com");
    assert_string_equal(c->s3.bucket, "bbb");
    assert_string_equal(c->s3.region, "us-east-1");
    assert_true(c->s3.connection_timeout_ms == MINUTE && c->s3.request_timeout_ms == MINUTE);
    assert_null(c->s3.ca_cert);
    assert_string_equal(c->s3.key_auth, "keys.yml");
    assert_int_equal(c->s3.addressing, CONF_ADDRESSING_AUTO);
    assert_true(c->s3.part_size == 0 && c->s3.parts_in_flight == 3 && c->s3.spool_size == UINT64_C(8) << 30);
    assert_string_equal(c->control.socket, "/run/etcd-backupd/control.sock");
    assert_null(c->control.group);
    assert_null(c->snapshot_path);
    assert_null(c->encryption_key_path);
    assert_null(c->previous_key_paths);
    assert_int_equal(c->n_previous_key_paths, 0);
    assert_int_equal(c->log_level, CONF_LOG_INFO);
    conf_free(c);
}

static const char everything[] = "log_level: Debug\n"
                                 "control: {socket: /tmp/s, group: ops}\n"
                                 "s3_client:\n"
                                 "  spool_size: 0\n"
                                 "  parts_in_flight: 16\n"
                                 "  part_size: 64MiB\n"
                                 "  addressing: virtual\n"
                                 "  request_timeout: 2m\n"
                                 "  connection_timeout: 1500ms\n"
                                 "  auth:\n"
                                 "    key_auth: k\n"
                                 "    ca_cert: s3ca\n"
                                 "  region: eu-central-1\n"
                                 "  bucket: Old_Bucket.1\n"
                                 "  endpoint: https://store:9000\n"
                                 "  objects_prefix: a/b c\xc3\xa9\n"
                                 "previous_key_paths: [pk1, '/a b/pk2', \"pk3\"]\n"
                                 "encryption_key_path: mk\n"
                                 "snapshot_path: snap\n"
                                 "etcd_client:\n"
                                 "  auth:\n"
                                 "    client_key: ck\n"
                                 "    client_cert: cc\n"
                                 "    password_auth: pw\n"
                                 "    ca_cert: eca\n"
                                 "  retries: 0\n"
                                 "  request_timeout: 1h30m\n"
                                 "  connection_timeout: 90s\n"
                                 "  endpoints:\n"
                                 "  - a:1\n"
                                 "  - http://[::1]:2\n"
                                 "  - unix:///run/etcd.sock\n";

static void every_key_goes_to_its_place(void **state)
{
    struct conf *c = scratch_load(everything);

    (void)state;
    assert_int_equal(c->etcd.n_endpoints, 3);
    assert_string_equal(c->etcd.endpoints[0], "a:1");
    assert_string_equal(c->etcd.endpoints[1], "http://[::1]:2");
    assert_string_equal(c->etcd.endpoints[2], "unix:///run/etcd.sock");
    assert_true(c->etcd.connection_timeout_ms == 90000 && c->etcd.request_timeout_ms == 90 * MINUTE);
    assert_true(c->etcd.retries == 0);
    assert_string_equal(c->etcd.ca_cert, "eca");
    assert_string_equal(c->etcd.password_auth, "pw");
    assert_string_equal(c->etcd.client_cert, "cc");
    assert_string_equal(c->etcd.client_key, "ck");
    assert_string_equal(c->snapshot_path, "snap");
    assert_string_equal(c->encryption_key_path, "mk");
    assert_int_equal(c->n_previous_key_paths, 3);
    assert_string_equal(c->previous_key_paths[0], "pk1");
    assert_string_equal(c->previous_key_paths[1], "/a b/pk2");
    assert_string_equal(c->previous_key_paths[2], "pk3");
    assert_string_equal(c->s3.objects_prefix, "a/b c\xc3\xa9");
    assert_string_equal(c->s3.endpoint, "https://store:9000");
    assert_string_equal(c->s3.bucket, "Old_Bucket.1");
    assert_string_equal(c->s3.region, "eu-central-1");
    assert_string_equal(c->s3.ca_cert, "s3ca");
    assert_string_equal(c->s3.key_auth, "k");
    assert_true(c->s3.connection_timeout_ms == 1500 && c->s3.request_timeout_ms == 2 * MINUTE);
    assert_int_equal(c->s3.addressing, CONF_ADDRESSING_VIRTUAL);
    assert_true(c->s3.part_size == UINT64_C(64) << 20 && c->s3.parts_in_flight == 16 && c->s3.spool_size == 0);
    assert_string_equal(c->control.socket, "/tmp/s");
    assert_string_equal(c->control.group, "ops");
    assert_int_equal(c->log_level, CONF_LOG_DEBUG);
    conf_free(c);
}

/* As its README describes it, quoted here and there, and with the comments that people write. */
static void the_file_of_the_go_tool(void **state)
{
    struct conf *c = scratch_load("---\n"
                                  "# etcd-backup\n"
                                  "etcd_client:\n"
                                  "  endpoints:\n"
                                  "    - \"10.0.0.1:2379\"   # first\n"
                                  "    - '10.0.0.2:2379'\n"
                                  "    - 10.0.0.3:2379\n"
                                  "\n"
                                  "  connection_timeout: \"10s\"\n"
                                  "  request_timeout: 1m\n"
                                  "  retries: 15\n"
                                  "  auth:\n"
                                  "    ca_cert: \"/etc/ca.pem\"\n"
                                  "    password_auth: /etc/password.yml\n"
                                  "snapshot_path: \"./snapshot\"\n"
                                  "encryption_key_path: master.key\n"
                                  "s3_client:\n"
                                  "  objects_prefix: \"backup\"\n"
                                  "  endpoint: \"10.0.0.9:9000\"\n"
                                  "  bucket: 2024\n"
                                  "  auth:\n"
                                  "    ca_cert: \"/etc/s3-ca.pem\"\n"
                                  "    key_auth: /etc/keys.yml\n"
                                  "  region: \"us-east-1\"\n"
                                  "  connection_timeout: 1m\n"
                                  "  request_timeout: 1m\n"
                                  "log_level: INFO\n"
                                  "...\n");

    (void)state;
    assert_int_equal(c->etcd.n_endpoints, 3);
    assert_string_equal(c->etcd.endpoints[2], "10.0.0.3:2379");
    assert_true(c->etcd.connection_timeout_ms == 10000 && c->etcd.retries == 15);
    assert_string_equal(c->snapshot_path, "./snapshot");
    assert_string_equal(c->s3.bucket, "2024");
    assert_int_equal(c->log_level, CONF_LOG_INFO);
    conf_free(c);
}

/* Line ends of Windows and the mark that its editors put in front. */
/* As the Go tool reads them: what is optional and has no value is left out, in each way of saying nothing. */
static void without_a_value(void **state)
{
    static const char *const nothing[] = {"", " ''", " \"\"", " ~", " null", " # nothing"};
    char text[2000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
        const char *x = nothing[i];
        struct conf *c;

        (void)snprintf(text, sizeof(text),
                "etcd_client:\n  endpoints:%s\n  connection_timeout:%s\n  retries:%s\n  auth:%s\n"
                "snapshot_path:%s\nencryption_key_path:%s\nprevious_key_paths:%s\n"
                "s3_client:\n  endpoint: e\n  bucket: bbb\n  region:%s\n  objects_prefix:%s\n  part_size:%s\n"
                "  addressing:%s\n  auth:\n    key_auth: k\n    ca_cert:%s\n"
                "control:%s\nschedule:%s\nprune:\n  max_age:%s\n  keep_daily:%s\nlog_level:%s\n",
                x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x);
        c = scratch_load(text);
        assert_int_equal(c->etcd.n_endpoints, 0);
        assert_true(c->etcd.connection_timeout_ms == MINUTE && c->etcd.retries == 10);
        assert_true(!c->snapshot_path && !c->encryption_key_path && !c->n_previous_key_paths && !c->s3.ca_cert);
        assert_string_equal(c->s3.region, "us-east-1");
        assert_string_equal(c->s3.objects_prefix, "backup");
        assert_string_equal(c->control.socket, "/run/etcd-backupd/control.sock");
        assert_true(c->prune.max_age_ms == 0 && c->log_level == CONF_LOG_INFO);
        conf_free(c);
    }
    conf_free(scratch_load("etcd_client: {endpoints: [], auth: {}}\nprevious_key_paths: []\nprune: {}\n" S3));
}

static void from_windows(void **state)
{
    struct conf *c = scratch_load("\xef\xbb\xbf"
                                  "etcd_client:\r\n"
                                  "  endpoints: [a]\r\n"
                                  "s3_client: {endpoint: e, bucket: bbb, auth: {key_auth: k}}\r\n"
                                  "log_level: warning\r\n");

    (void)state;
    assert_string_equal(c->s3.endpoint, "e");
    assert_int_equal(c->log_level, CONF_LOG_WARNING);
    conf_free(c);
}

static void the_levels(void **state)
{
    static const struct {
        const char *text;
        enum conf_log_level level;
    } cases[] = {{"error", CONF_LOG_ERROR}, {"ERROR", CONF_LOG_ERROR}, {"Warning", CONF_LOG_WARNING},
            {"info", CONF_LOG_INFO}, {"debug", CONF_LOG_DEBUG}};
    char text[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf *c;

        (void)snprintf(text, sizeof(text), "%slog_level: %s\n", scratch_minimal, cases[i].text);
        c = scratch_load(text);
        assert_int_equal(c->log_level, cases[i].level);
        conf_free(c);
    }
}

/* In the order of the file, in either form of a list, and as many as may be. The same one twice does no harm. */
static void previous_keys(void **state)
{
    char text[1024] = "";
    struct conf *c;

    (void)state;
    c = scratch_load(ETCD S3 "previous_key_paths:\n# the oldest\n- b\n- a # and\n\n- b\n");
    assert_int_equal(c->n_previous_key_paths, 3);
    assert_string_equal(c->previous_key_paths[0], "b");
    assert_string_equal(c->previous_key_paths[1], "a");
    assert_string_equal(c->previous_key_paths[2], "b");
    assert_null(c->encryption_key_path); /* between a plain past and a plain future there may be an encrypted time */
    conf_free(c);
    strcat(text, ETCD S3 "previous_key_paths:\n");
    for (int i = 0; i < 16; i++)
        (void)sprintf(text + strlen(text), "- k%d\n", i);
    c = scratch_load(text);
    assert_int_equal(c->n_previous_key_paths, 16);
    assert_string_equal(c->previous_key_paths[15], "k15");
    conf_free(c);
}

struct lines {
    char text[4096];
};

static void collect(void *ctx, const char *text)
{
    struct lines *lines = ctx;

    strcat(strcat(lines->text, text), "\n");
}

static void warnings_name_what_is_unwise(void **state)
{
    struct conf *c = scratch_load("etcd_client:\n"
                                  "  endpoints: [http://127.0.0.1, 'http://10.0.0.1:2379', \"http://[::1]:1\", a:1,\n"
                                  "    http://etcd-2, http://localhost:2379, unix:///run/etcd]\n"
                                  "s3_client:\n"
                                  "  endpoint: http://store\n"
                                  "  bucket: bbb\n"
                                  "  part_size: 1GiB\n"
                                  "  parts_in_flight: 1\n"
                                  "  auth: {source: web-identity, sts_endpoint: http://sts}\n");
    struct lines lines = {""};

    (void)state;
    conf_warnings(c, collect, &lines);
    assert_string_equal(lines.text,
            "test.yml:2:33: etcd_client.endpoints[1]: http:// is not encrypted: whoever is on the way can read and "
            "change the snapshot, and see the password\n"
            "test.yml:3:5: etcd_client.endpoints[4]: http:// is not encrypted: whoever is on the way can read and "
            "change the snapshot, and see the password\n"
            "test.yml:1:1: encryption_key_path: is left out: backups are NOT encrypted, and whoever can read the "
            "bucket "
            "can read the whole cluster\n"
            "test.yml:5:13: s3_client.endpoint: http:// is not encrypted: whoever is on the way can read what is sent, "
            "and change or delete backups\n"
            "test.yml:9:46: s3_client.auth.sts_endpoint: http:// is not encrypted: whoever is on the way can take the "
            "token, and the credentials that it is exchanged for\n"
            "test.yml:7:14: s3_client.part_size: a backup will take 2.00 GiB of memory for its parts in flight\n");
    conf_free(c);
}

/* A previous key that is gone, as it should be in the end; and one that is none. */
static void warnings_of_previous_keys(void **state)
{
    struct conf *c = scratch_load(ETCD S3 "encryption_key_path: now.key\n"
                                          "previous_key_paths: [old.key, gone.key,\n"
                                          "  now.key]\n");
    struct lines lines = {""};

    (void)state;
    scratch_text("now.key", "");
    scratch_text("old.key", "");
    conf_warnings(c, collect, &lines);
    assert_string_equal(lines.text,
            "test.yml:4:31: previous_key_paths[1]: there is no such file; if that key was destroyed after rotate-key, "
            "remove it here, too\n"
            "test.yml:5:3: previous_key_paths[2]: is the file of encryption_key_path itself\n");
    conf_free(c);
}

static void no_warning_without_need(void **state)
{
    struct conf *c = scratch_load("etcd_client: {endpoints: [\"http://127.1.2.3:1\", 10.0.0.1]}\n"
                                  "encryption_key_path: k\n"
                                  "s3_client: {endpoint: http://localhost, bucket: a.b, auth: {key_auth: k}}\n");
    struct lines lines = {""};

    (void)state;
    conf_warnings(c, collect, &lines);
    assert_string_equal(lines.text, "");
    conf_free(c);
}

/* Who did not ask for one, or asked for none, does not hear of it. */
static void a_spool_that_cannot_be(void **state)
{
    static const struct {
        const char *snapshot_path, *key, *spool_size, *warning;
    } rows[] = {
            {"snapshot_path: /a/b\n", "encryption_key_path: k\n", "1GiB", ""},
            {"", "encryption_key_path: k\n", NULL, ""},
            {"", "encryption_key_path: k\n", "0", ""},
            {"", "encryption_key_path: k\n", "1GiB",
                    "there is no spool without snapshot_path, in whose directory it lies: etcd has to wait for a slow "
                    "S3\n"},
            {"snapshot_path: /a/b\n", "", "8GiB",
                    "there is no spool without encryption_key_path, since no plaintext goes to the disk: etcd has to "
                    "wait for a slow S3\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lines lines = {""};
        struct conf *c;
        char text[300];
        const char *told;

        (void)snprintf(text, sizeof(text),
                "etcd_client: {endpoints: [a]}\n%s%ss3_client: {endpoint: s, bucket: bbb, auth: {key_auth: k}%s%s}\n",
                rows[i].snapshot_path, rows[i].key, rows[i].spool_size ? ", spool_size: " : "",
                rows[i].spool_size ? rows[i].spool_size : "");
        c = scratch_load(text);
        conf_warnings(c, collect, &lines);
        told = strstr(lines.text, "s3_client.spool_size: ");
        assert_string_equal(told ? told + strlen("s3_client.spool_size: ") : "", rows[i].warning);
        conf_free(c);
    }
}

static void a_star_for_the_minute(void **state)
{
    static const struct {
        const char *cron;
        bool is_told;
    } rows[] = {
            {"* */5 * * *", true},
            {"*/1 3 * * *", true},
            {"0-59 0-22 * * 1", true},
            {"0 */5 * * *", false},
            {"*/5 */5 * * *", false},
            {"* * * * *", false}, /* each minute, and nothing else can be meant */
            {"* * 1 * *", false},
            {"@daily", false},
    };
    char text[200];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lines lines = {""};
        struct conf *c;

        (void)snprintf(
                text, sizeof(text), ETCD "encryption_key_path: k\n" S3 "schedule: {cron: \"%s\"}\n", rows[i].cron);
        c = scratch_load(text);
        conf_warnings(c, collect, &lines);
        assert_string_equal(
                lines.text, !rows[i].is_told ? ""
                                             : "test.yml:4:18: schedule.cron: makes a backup in each minute of these "
                                               "hours, since its first field is a star; write 0 for one at the full "
                                               "hour\n");
        conf_free(c);
    }
}

static void dots_in_a_virtual_bucket(void **state)
{
    struct conf *c = scratch_load("etcd_client: {endpoints: [a]}\n"
                                  "encryption_key_path: k\n"
                                  "s3_client: {endpoint: s3.example.com, bucket: a.b, addressing: virtual, auth: "
                                  "{key_auth: k}}\n");
    struct lines lines = {""};

    (void)state;
    conf_warnings(c, collect, &lines);
    assert_string_equal(lines.text,
            "test.yml:3:47: s3_client.bucket: has dots, which the store's certificate for *.HOST does not cover; use "
            "s3_client.addressing: path\n");
    conf_free(c);
}

static void a_bucket_in_the_endpoint(void **state)
{
    static const struct {
        const char *host;
        bool is_told;
    } rows[] = {{"bkp.s3.example.com", true}, {"https://BKP.example.com:9000", true}, {"bkpb.example.com", false},
            {"s3.bkp.example.com", false}, {"bkp", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lines lines = {""};
        struct conf *c;
        char text[256];

        (void)snprintf(text, sizeof(text),
                "etcd_client: {endpoints: [a]}\nencryption_key_path: k\n"
                "s3_client: {endpoint: \"%s\", bucket: bkp, auth: {key_auth: k}}\n",
                rows[i].host);
        c = scratch_load(text);
        conf_warnings(c, collect, &lines);
        assert_string_equal(lines.text,
                rows[i].is_told ? "test.yml:3:23: s3_client.endpoint: begins with the name of the bucket; if that is "
                                  "the bucket's address and not the store's, backups go where none are found again: "
                                  "write it without the bucket\n"
                                : "");
        conf_free(c);
    }
}

/* Each allocation fails once: the load fails with a word about memory, and nothing is lost. */
static void out_of_memory_anywhere(void **state)
{
    struct bytes text = {(const uint8_t *)everything, sizeof(everything) - 1};
    struct err e;
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct conf *c;

        e = ERR_INIT;
        failing_arm(++n);
        c = conf_parse("test.yml", text, &e);
        reached = failing_disarm();
        assert_true(reached ? !c && e.kind == ERR_RESOURCE : c && e.kind == ERR_NONE);
        conf_free(c);
    } while (reached);
    assert_true(n > 50); /* as many as there are keys and values, at least */
}

static void from_a_file(void **state)
{
    struct err e = ERR_INIT;
    struct conf *c;
    static char text[(1 << 20) + 1];

    (void)state;
    scratch_text("good.yml", scratch_minimal);
    c = conf_load("good.yml", &e);
    expect_success(c, &e);
    assert_string_equal(c->file, "good.yml");
    conf_free(c);

    assert_null(conf_load("missing.yml", &e));
    expect_error(&e, ERR_NOT_FOUND, "missing.yml: No such file or directory");
    assert_null(conf_load(".", &e));
    expect_error(&e, ERR_CONFIG, ".: is a directory, not a file");
    assert_null(conf_load("/dev/null", &e));
    expect_error(&e, ERR_CONFIG, "/dev/null: is not a regular file");

    /* As long as may be, and one byte longer. */
    memset(text, '#', sizeof(text));
    memcpy(text, scratch_minimal, strlen(scratch_minimal));
    scratch_write("long.yml", text, sizeof(text) - 1, 0644);
    c = conf_load("long.yml", &e);
    expect_success(c, &e);
    conf_free(c);
    scratch_write("long.yml", text, sizeof(text), 0644);
    assert_null(conf_load("long.yml", &e));
    expect_error(&e, ERR_CONFIG, "long.yml:1:1: longer than 1048576 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(left_out_is_the_default),
            cmocka_unit_test(every_key_goes_to_its_place),
            cmocka_unit_test(the_file_of_the_go_tool),
            cmocka_unit_test(without_a_value),
            cmocka_unit_test(from_windows),
            cmocka_unit_test(the_levels),
            cmocka_unit_test(previous_keys),
            cmocka_unit_test(warnings_name_what_is_unwise),
            cmocka_unit_test(warnings_of_previous_keys),
            cmocka_unit_test(no_warning_without_need),
            cmocka_unit_test(a_star_for_the_minute),
            cmocka_unit_test(dots_in_a_virtual_bucket),
            cmocka_unit_test(a_bucket_in_the_endpoint),
            cmocka_unit_test(a_spool_that_cannot_be),
            cmocka_unit_test(out_of_memory_anywhere),
            cmocka_unit_test(from_a_file),
    };

    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
