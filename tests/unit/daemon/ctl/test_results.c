/* Results for programs, and texts of strangers. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/results.h"
#include "ctl/text.h"

/* What `call` prints to stdout, to be compared with `text`. */
#define EXPECT_PRINTED(expected, call)                                                                                 \
    do {                                                                                                               \
        _cleanup_free_ char *printed_ = NULL;                                                                          \
        size_t len_;                                                                                                   \
        FILE *before_ = stdout;                                                                                        \
                                                                                                                       \
        stdout = open_memstream(&printed_, &len_);                                                                     \
        call;                                                                                                          \
        (void)fclose(stdout);                                                                                          \
        stdout = before_;                                                                                              \
        assert_string_equal(printed_, expected);                                                                       \
    } while (0)

/* protobuf-c's texts are not const, though nobody writes to these. */
static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* ---- strings ---- */

static void test_escapes(void **state)
{
    (void)state;
    EXPECT_PRINTED("{\"failure\":{\"kind\":\"auth\",\"text\":\"plain\"}}\n", results_failure("auth", "plain"));
    EXPECT_PRINTED("{\"failure\":{\"kind\":\"\",\"text\":\"\"}}\n", results_failure("", ""));
    EXPECT_PRINTED("{\"failure\":{\"kind\":\"x\",\"text\":\"\\\"\\\\/\"}}\n", results_failure("x", "\"\\/"));
    EXPECT_PRINTED("{\"failure\":{\"kind\":\"x\",\"text\":\"a\\u000ab\\u0009\\u001b[2J\\u007f\\u0001\"}}\n",
            results_failure("x", "a\nb\t\x1b[2J\x7f\x01"));
    EXPECT_PRINTED("{\"failure\":{\"kind\":\"x\",\"text\":\"gr\u00fc\u00dfe \u20ac \U0001f600\"}}\n",
            results_failure("x", "gr\u00fc\u00dfe \u20ac \U0001f600"));
}

/* RFC 8259, section 8.1: JSON is UTF-8. What is not becomes U+FFFD, a byte each, and what stands beside it is kept. */
static void test_not_utf8(void **state)
{
    static const struct {
        const char *given, *shown;
    } rows[] = {
            {"\xff", "\\ufffd"},
            {"a\x80z", "a\\ufffdz"},                              /* a byte of the middle alone */
            {"a\xc3", "a\\ufffd"},                                /* cut */
            {"a\xe2\x82", "a\\ufffd\\ufffd"},                     /* cut after two of three */
            {"\xe2\x82z", "\\ufffd\\ufffdz"},                     /* goes on with something else */
            {"\xc0\xaf", "\\ufffd\\ufffd"},                       /* '/' in two bytes */
            {"\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd"},            /* and in three */
            {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},            /* a surrogate */
            {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* beyond U+10FFFF */
            {"\xf0\x9f\x98\x80\x80", "\xf0\x9f\x98\x80\\ufffd"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char line[200];

        (void)snprintf(line, sizeof(line), "{\"failure\":{\"kind\":\"x\",\"text\":\"%s\"}}\n", rows[i].shown);
        EXPECT_PRINTED(line, results_failure("x", rows[i].given));
    }
}

/* ---- messages ---- */

static void test_entry(void **state)
{
    Control__Entry entry = CONTROL__ENTRY__INIT;

    (void)state;
    entry.name = text("backup-2024-12-06T21:22:25Z.dump");
    entry.instant = 1733520145;
    entry.size = UINT64_MAX;
    entry.encrypted = true;
    entry.state = text("complete");
    EXPECT_PRINTED("{\"name\":\"backup-2024-12-06T21:22:25Z.dump\",\"instant\":\"2024-12-06T21:22:25Z\","
                   "\"size\":18446744073709551615,\"encrypted\":true,\"state\":\"complete\",\"last_modified\":null,"
                   "\"verified\":null,\"verified_good\":null,\"etcd_version\":\"\",\"revision_before\":0,"
                   "\"revision_after\":0,\"key\":\"\",\"storage_version\":\"\",\"snapshot_size\":0,"
                   "\"revision\":0,\"compact_revision\":0,\"revisions\":0,\"hashkv\":null,\"sealed\":false,\"sealed_"
                   "to\":\"\",\"keys\":null}\n",
            results_entry(&entry));
    entry = (Control__Entry)CONTROL__ENTRY__INIT;
    entry.key = text("0123-\"");
    entry.storage_version = text("3.6.0");
    entry.revision = 7;
    entry.compact_revision = -1;
    entry.revisions = 6;
    entry.has_hashkv = entry.has_keys = true;
    EXPECT_PRINTED(
            "{\"name\":\"\",\"instant\":null,\"size\":0,\"encrypted\":false,\"state\":\"\",\"last_modified\":null,"
            "\"verified\":null,\"verified_good\":null,\"etcd_version\":\"\",\"revision_before\":0,"
            "\"revision_after\":0,\"key\":\"0123-\\\"\",\"storage_version\":\"3.6.0\",\"snapshot_size\":0,"
            "\"revision\":7,\"compact_revision\":-1,\"revisions\":6,\"hashkv\":0,\"sealed\":false,\"sealed_to\":\"\","
            "\"keys\":0}\n",
            results_entry(&entry));
}

static void test_done(void **state)
{
    Control__Done done = CONTROL__DONE__INIT;
    Control__BackupResult backup = CONTROL__BACKUP_RESULT__INIT;
    Control__RestoreResult restore = CONTROL__RESTORE_RESULT__INIT;

    (void)state;
    EXPECT_PRINTED("", results_done(&done)); /* a list has no result of its own */
    done.result_case = CONTROL__DONE__RESULT_BACKUP;
    done.backup = &backup;
    backup.name = text("n");
    backup.revision_before = -1;
    backup.revision_after = INT64_MAX;
    backup.attempts = UINT32_MAX;
    backup.doubt = text("old");
    backup.structure = text("sound");
    backup.members = text("equal");
    backup.members_compared = 3;
    backup.has_hashkv = true;
    backup.hashkv = UINT32_MAX;
    backup.has_keys = true;
    backup.keys = UINT64_MAX;
    backup.compact_revision = -1;
    EXPECT_PRINTED("{\"name\":\"n\",\"instant\":null,\"snapshot_size\":0,\"stored_size\":0,\"elapsed_ms\":0,"
                   "\"encrypted\":false,\"endpoint\":\"\",\"member\":\"\",\"etcd_version\":\"\",\"revision_before\":-1,"
                   "\"revision_after\":9223372036854775807,\"attempts\":4294967295,\"spooled\":0,\"doubt\":\"old\","
                   "\"storage_version\":\"\",\"compressed\":false,\"structure\":\"sound\",\"structure_why\":\"\","
                   "\"revision\":0,\"compact_revision\":-1,\"revisions\":0,\"free\":0,\"members\":\"equal\","
                   "\"members_compared\":3,\"members_why\":\"\",\"hashkv\":4294967295,"
                   "\"keys\":18446744073709551615}\n",
            results_done(&done));
    done.result_case = CONTROL__DONE__RESULT_RESTORE;
    done.restore = &restore;
    restore.name = text("n");
    restore.output = text("/a \"b\"");
    restore.instant = INT64_MAX; /* a year that cannot be written: the nearest that can */
    EXPECT_PRINTED("{\"name\":\"n\",\"instant\":\"9999-12-31T23:59:59Z\",\"snapshot_size\":0,\"elapsed_ms\":0,"
                   "\"output\":\"/a \\\"b\\\"\",\"encrypted\":false,\"hash_checked\":false,\"data_dir\":\"\","
                   "\"wal_dir\":\"\",\"owner\":\"\",\"member\":\"\",\"initial_cluster\":\"\",\"initial_cluster_token\":"
                   "\"\",\"tool\":\"\",\"dry_run\":false}\n",
            results_done(&done));
}

/* What was counted, by its name; and no numbers of what was not looked at. */
static void test_verdict(void **state)
{
    Control__Verdict verdict = CONTROL__VERDICT__INIT;

    (void)state;
    verdict.good = true;
    EXPECT_PRINTED("{\"name\":\"\",\"instant\":null,\"good\":true,\"unknown\":false,\"kind\":\"\",\"text\":\"\","
                   "\"snapshot_size\":0,\"encrypted\":false,\"elapsed_ms\":0,\"vouched\":false}\n",
            results_verdict(&verdict));
    verdict.drilled = verdict.counts_keys = true;
    verdict.revision = 7;
    EXPECT_PRINTED(
            "{\"name\":\"\",\"instant\":null,\"good\":true,\"unknown\":false,\"kind\":\"\",\"text\":\"\","
            "\"snapshot_size\":0,\"encrypted\":false,\"elapsed_ms\":0,\"revision\":7,\"keys\":0,\"contents\":\"\","
            "\"contents_why\":\"\",\"vouched\":false}\n",
            results_verdict(&verdict));
    verdict.counts_keys = false;
    verdict.counts_entries = true;
    verdict.entries = 9;
    EXPECT_PRINTED("{\"name\":\"\",\"instant\":null,\"good\":true,\"unknown\":false,\"kind\":\"\",\"text\":\"\","
                   "\"snapshot_size\":0,\"encrypted\":false,\"elapsed_ms\":0,\"revision\":7,\"entries\":9,"
                   "\"contents\":\"\",\"contents_why\":\"\",\"vouched\":false}\n",
            results_verdict(&verdict));
    verdict.counts_keys = verdict.has_hashkv = true;
    verdict.keys = 5;
    verdict.hashkv = 4000000000;
    verdict.contents = (char[]){"not compared"};
    verdict.contents_why = (char[]){"why"};
    EXPECT_PRINTED("{\"name\":\"\",\"instant\":null,\"good\":true,\"unknown\":false,\"kind\":\"\",\"text\":\"\","
                   "\"snapshot_size\":0,\"encrypted\":false,\"elapsed_ms\":0,\"revision\":7,\"keys\":5,\"entries\":9,"
                   "\"contents\":\"not compared\",\"contents_why\":\"why\",\"hashkv\":4000000000,\"vouched\":false}\n",
            results_verdict(&verdict));
}

/* Also with a failure: how far it came. */
static void test_rotate(void **state)
{
    Control__Done done = CONTROL__DONE__INIT;
    Control__RotateResult rotate = CONTROL__ROTATE_RESULT__INIT;
    Control__Unrotated unrotated = CONTROL__UNROTATED__INIT;

    (void)state;
    done.result_case = CONTROL__DONE__RESULT_ROTATE;
    done.rotate = &rotate;
    rotate.rotated = 1;
    rotate.already = 2;
    rotate.failed = UINT32_MAX;
    rotate.previous_key = text("0123");
    rotate.new_key = text("4567");
    rotate.configured_key = text("89ab");
    rotate.old_versions = 3;
    rotate.lost_versions = 4;
    rotate.purged = 5;
    rotate.bound = 6;
    rotate.locked_versions = 7;
    rotate.locked_until = INT64_MAX; /* a legal hold has no date */
    rotate.versions_unknown = true;
    rotate.elapsed_ms = UINT64_MAX;
    rotate.dry_run = true;
    rotate.bucket = text("https://s3/b/\"p-");
    EXPECT_PRINTED("{\"bucket\":\"https://s3/b/\\\"p-\",\"previous_key\":\"0123\",\"new_key\":\"4567\","
                   "\"configured_key\":\"89ab\",\"rotated\":1,\"already\":2,\"failed\":4294967295,\"old_versions\":3,"
                   "\"lost_versions\":4,\"purged\":5,\"bound\":6,\"other_versions\":0,\"locked_versions\":7,\"locked_"
                   "until\":null,\"versions_unknown\":true,\"elapsed_ms\":18446744073709551615,"
                   "\"dry_run\":true,\"recipients\":[],\"previous_recipients\":[],\"opened_recipients\":[]}\n",
            results_done(&done));
    unrotated.name = text("n\x1b");
    unrotated.kind = text("integrity");
    unrotated.text = text("why");
    EXPECT_PRINTED("{\"name\":\"n\\u001b\",\"kind\":\"integrity\",\"text\":\"why\"}\n", results_unrotated(&unrotated));
    EXPECT_PRINTED(
            "{\"file\":\"a \\\"b\\\"\",\"fingerprint\":\"0123\"}\n", results_key("a \"b\"", "fingerprint", "0123"));
    /* A list says which key the daemon holds, but in JSON each line is an entry. */
    done.result_case = CONTROL__DONE__RESULT_LIST;
    EXPECT_PRINTED("", results_done(&done));
}

/* Of the verifications that the daemon makes by itself, while there are none. */
#define VERIFY_NOTHING                                                                                                 \
    "\"verify_schedule\":\"\",\"next_verify\":null,\"verify_began\":null,\"verify_ended\":null,"                       \
    "\"verify_good\":0,\"verify_bad\":0,\"verify_left\":0,\"verify_text\":\"\",\"verify_left_out\":\"\","              \
    "\"proven\":null,\"bad_newest\":\"\",\"verify_vouched\":0,\"key_form\":\"\""

static void test_status(void **state)
{
    Control__Done done = CONTROL__DONE__INIT;
    Control__StatusResult status = CONTROL__STATUS_RESULT__INIT;
    Control__Running running = CONTROL__RUNNING__INIT;
    Control__Progress progress = CONTROL__PROGRESS__INIT;
    Control__Failure failure = CONTROL__FAILURE__INIT;
    char *endpoints[] = {text("a:1"), text("b:2")};

    (void)state;
    done.result_case = CONTROL__DONE__RESULT_STATUS;
    done.status = &status;
    EXPECT_PRINTED(
            "{\"program\":\"\",\"pid\":0,\"started\":null,\"config\":\"\",\"bucket\":\"\",\"bucket_trouble\":"
            "\"\",\"encrypting\":false,"
            "\"key\":\"\",\"key_trouble\":\"\",\"endpoints\":[],\"schedule\":\"\",\"next_backup\":null,"
            "\"newest\":null,\"failures_in_a_row\":0,\"last_"
            "prune\":null,\"pruned\":null,\"running\":null,\"beside\":null,\"waiting\":[],\"last_success\":null,\"last_"
            "failure\":null,"
            "\"credentials\":\"\",\"credentials_expire\":null,\"credentials_trouble\":\"\",\"recipients\":[]"
            "," VERIFY_NOTHING "}\n",
            results_done(&done));
    status.key = text("f");
    status.key_trouble = text("t");
    status.endpoints = endpoints;
    status.n_endpoints = 2;
    status.running = &running;
    running.job = text("backup");
    status.last_failure = &failure;
    failure.kind = text("auth");
    EXPECT_PRINTED("{\"program\":\"\",\"pid\":0,\"started\":null,\"config\":\"\",\"bucket\":\"\",\"bucket_trouble\":"
                   "\"\",\"encrypting\":false,"
                   "\"key\":\"f\",\"key_trouble\":\"t\",\"endpoints\":[\"a:1\",\"b:2\"],\"schedule\":\"\",\"next_"
                   "backup\":null,\"newest\":null,\"failures_"
                   "in_a_row\":0,\"last_prune\":null,\"pruned\":null,\"running\":{\"job\":\"backup\",\"since\":null,"
                   "\"note\":\"\"},\"beside\":null,\"waiting\":[],"
                   "\"last_success\":null,\"last_failure\":{\"job\":\"\",\"instant\":null,\"kind\":\"auth\","
                   "\"text\":\"\"},"
                   "\"credentials\":\"\",\"credentials_expire\":null,\"credentials_trouble\":\"\",\"recipients\":[]"
                   "," VERIFY_NOTHING "}\n",
            results_done(&done));
    running.progress = &progress;
    progress.phase = text("streaming");
    status.last_failure = NULL;
    EXPECT_PRINTED("{\"program\":\"\",\"pid\":0,\"started\":null,\"config\":\"\",\"bucket\":\"\",\"bucket_trouble\":"
                   "\"\",\"encrypting\":false,"
                   "\"key\":\"f\",\"key_trouble\":\"t\",\"endpoints\":[\"a:1\",\"b:2\"],\"schedule\":\"\",\"next_"
                   "backup\":null,\"newest\":null,\"failures_"
                   "in_a_row\":0,\"last_prune\":null,\"pruned\":null,\"running\":{\"job\":\"backup\",\"since\":null,"
                   "\"phase\":\"streaming\",\"done\":0,\"total\":0,\"unit\":\"bytes\",\"note\":\"\"},\"beside\":null,"
                   "\"waiting\":[],"
                   "\"last_success\":"
                   "null,\"last_"
                   "failure\":null,"
                   "\"credentials\":\"\",\"credentials_expire\":null,\"credentials_trouble\":\"\",\"recipients\":[]"
                   "," VERIFY_NOTHING "}\n",
            results_done(&done));
    progress.unit = text("keys");
    EXPECT_PRINTED("{\"program\":\"\",\"pid\":0,\"started\":null,\"config\":\"\",\"bucket\":\"\",\"bucket_trouble\":"
                   "\"\",\"encrypting\":false,"
                   "\"key\":\"f\",\"key_trouble\":\"t\",\"endpoints\":[\"a:1\",\"b:2\"],\"schedule\":\"\",\"next_"
                   "backup\":null,"
                   "\"newest\":null,\"failures_in_a_row\":0,\"last_prune\":null,\"pruned\":null,\"running\":{\"job\":"
                   "\"backup\","
                   "\"since\":null,\"phase\":\"streaming\",\"done\":0,\"total\":0,\"unit\":\"keys\",\"note\":\"\"},"
                   "\"beside\":null,\"waiting\":[],"
                   "\"last_success\":null,\"last_failure\":null,"
                   "\"credentials\":\"\",\"credentials_expire\":null,\"credentials_trouble\":\"\",\"recipients\":[]"
                   "," VERIFY_NOTHING "}\n",
            results_done(&done));
}

/* ---- texts ---- */

static void test_clean(void **state)
{
    static const struct {
        const char *given, *shown;
    } rows[] = {
            {"", ""},
            {"backup-2024.dump", "backup-2024.dump"},
            {"gr\u00fc\u00dfe \u20ac \U0001f600", "gr\u00fc\u00dfe \u20ac \U0001f600"},
            {"a\x1b[2Jb\nc\rd\x7f", "a?[2Jb?c?d?"},
            {"\xc2\x9b"
             "31m\xc2\x80\xc2\x9f\xc2\xa0",
                    "??31m????\xc2\xa0"}, /* C1; the next is a space */
            {"\x9b"
             "31m",
                    "?31m"}, /* C1 of a terminal without UTF-8 */
            {"\xe2\x82", "??"},
            {"\xff\xc3\xa4", "?\u00e4"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *shown = NULL;
        size_t len;
        FILE *f = open_memstream(&shown, &len);

        assert_non_null(f);
        text_put(f, rows[i].given);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(shown, rows[i].shown);
    }
}

/* All texts of a message, wherever they stand in it, and nothing but texts. */
static void test_clean_message(void **state)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    Control__Done done = CONTROL__DONE__INIT;
    Control__StatusResult status = CONTROL__STATUS_RESULT__INIT;
    Control__BackupResult success = CONTROL__BACKUP_RESULT__INIT;
    char program[] = "\x1bprogram", one[] = "one\n", two[] = "\ttwo", member[] = "m\x07";
    char *endpoints[] = {one, two};

    (void)state;
    reply.body_case = CONTROL__REPLY__BODY_DONE;
    reply.done = &done;
    done.result_case = CONTROL__DONE__RESULT_STATUS;
    done.status = &status;
    status.program = program;
    status.pid = 0x0a0a0a0a;
    status.endpoints = endpoints;
    status.n_endpoints = 2;
    status.last_success = &success;
    success.member = member;
    text_clean_message(&reply.base);
    assert_string_equal(program, "?program");
    assert_string_equal(one, "one?");
    assert_string_equal(two, "?two");
    assert_string_equal(member, "m?");
    assert_int_equal(status.pid, 0x0a0a0a0a);
    /* Of two that share their place only the one that is there is looked at. */
    reply.body_case = CONTROL__REPLY__BODY__NOT_SET;
    reply.done = NULL;
    text_clean_message(&reply.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_escapes),
            cmocka_unit_test(test_not_utf8),
            cmocka_unit_test(test_entry),
            cmocka_unit_test(test_done),
            cmocka_unit_test(test_verdict),
            cmocka_unit_test(test_rotate),
            cmocka_unit_test(test_status),
            cmocka_unit_test(test_clean),
            cmocka_unit_test(test_clean_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
