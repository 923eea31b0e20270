/* The page for Prometheus and the answer about health, for facts of all kinds. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "tell/metrics_page.h"

enum { NOW = 1733520145 };

static char *page;

static const struct jobs_state no_jobs;

static const char *write_page(const struct metrics_facts *facts)
{
    size_t len = 0;
    FILE *out;

    free(page);
    page = NULL;
    out = open_memstream(&page, &len);
    assert_non_null(out);
    metrics_page_write(out, facts);
    assert_int_equal(fclose(out), 0);
    return page;
}

static int free_page(void **state)
{
    (void)state;
    free(page);
    page = NULL;
    return 0;
}

static void has_line(const char *line)
{
    char wanted[400];

    (void)snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    if (!strstr(page, wanted))
        fail_msg("no line \"%s\" in:\n%s", line, page);
}

static void lacks(const char *name)
{
    if (strstr(page, name))
        fail_msg("\"%s\" is in:\n%s", name, page);
}

/* What is not known is not told: a 0 would be a claim. */
static void test_nothing_is_known(void **state)
{
    (void)state;
    write_page(&(struct metrics_facts){.jobs = &no_jobs});
    has_line("etcd_backupd_backups_total{result=\"success\"} 0");
    has_line("etcd_backupd_backup_failures_total{kind=\"integrity\"} 0");
    lacks("last_success");
    lacks("bucket_");
    lacks("next_backup");
    lacks("last_size");
    lacks("last_stored");
    lacks("members_diverge");
    lacks("last_duration");
    lacks("certificate");
    lacks("} 1\netcd_backupd_job_running");
}

static void test_values(void **state)
{
    static const struct jobs_state jobs = {.changing.name = "backup", .reading.name = "verify"};
    struct metrics_facts facts = {
            .counts = {.successes = 3,
                    .bytes = UINT64_MAX,
                    .attempts = 4,
                    .read_ms = 12034,
                    .pruned = 5,
                    .prune_failures = 6,
                    .last_size = 7,
                    .last_stored_size = 3,
                    .members_compared = true,
                    .members_diverge = true,
                    .last_duration_ms = 1007},
            .cycle = {.is_known = true, .newest = NOW, .backups = 8, .bytes = 9, .next = NOW + 60},
            .jobs = &jobs,
            .max_age = 46800,
    };

    (void)state;
    facts.counts.failures[ERR_AUTH] = 2;
    facts.counts.failures[ERR_CANCELLED] = 1;
    write_page(&facts);
    has_line("etcd_backupd_backups_total{result=\"success\"} 3");
    has_line("etcd_backupd_backups_total{result=\"failure\"} 2");
    has_line("etcd_backupd_backups_total{result=\"cancelled\"} 1");
    has_line("etcd_backupd_backup_failures_total{kind=\"auth\"} 2");
    lacks("etcd_backupd_backup_failures_total{kind=\"cancelled\"}");
    has_line("etcd_backupd_backup_bytes_total 18446744073709551615");
    has_line("etcd_backupd_backup_attempts_total 4");
    has_line("etcd_backupd_members_diverge 1");
    has_line("etcd_backupd_etcd_read_transaction_seconds_total 12.034");
    has_line("etcd_backupd_backup_last_size_bytes 7");
    has_line("etcd_backupd_backup_last_stored_bytes 3");
    has_line("etcd_backupd_backup_last_duration_seconds 1.007");
    has_line("etcd_backupd_prune_deleted_total 5");
    has_line("etcd_backupd_prune_failures_total 6");
    has_line("etcd_backupd_backup_last_success_timestamp_seconds 1733520145");
    has_line("etcd_backupd_bucket_backups 8");
    has_line("etcd_backupd_bucket_bytes 9");
    has_line("etcd_backupd_next_backup_timestamp_seconds 1733520205");
    has_line("etcd_backupd_job_running{task=\"verify\"} 1");
    has_line("etcd_backupd_job_running{task=\"backup\"} 1");
    has_line("etcd_backupd_job_running{task=\"prune\"} 0");
    has_line("etcd_backupd_health_max_age_seconds 46800");
}

static void test_labels(void **state)
{
    const struct certificate_file certificates[] = {{"/a\\b\"c\nd.crt", NOW}, {"/plain.crt", -1}};

    (void)state;
    write_page(&(struct metrics_facts){.jobs = &no_jobs, .certificates = certificates, .n_certificates = 2});
    has_line("etcd_backupd_certificate_expiry_timestamp_seconds{file=\"/a\\\\b\\\"c\\nd.crt\"} 1733520145");
    has_line("etcd_backupd_certificate_expiry_timestamp_seconds{file=\"/plain.crt\"} -1");
}

static void expect_health(const struct cycle_state *cycle, uint64_t max_age, int status, const char *text)
{
    char said[ERR_TEXT_MAX];

    assert_int_equal(metrics_page_health(cycle, max_age, NOW, said), status);
    assert_string_equal(said, text);
}

static void test_health(void **state)
{
    struct cycle_state cycle = {0};

    (void)state;
    expect_health(&cycle, 0, 200, "ok\n"); /* no limit */
    expect_health(&cycle, 3600, 503, "the newest backup is not known: the bucket has not been looked at yet\n");
    err_set(&cycle.lookup, ERR_AUTH, ERR_DOMAIN_NONE, 0, "no entry");
    expect_health(&cycle, 3600, 503, "the newest backup is not known: no entry\n");
    cycle.is_known = true;
    expect_health(&cycle, 3600, 503, "there is no backup\n");
    cycle.newest = NOW - 3600;
    expect_health(&cycle, 3600, 200, "ok\n");
    cycle.newest = NOW - 7200;
    expect_health(&cycle, 3600, 503, "the newest backup is 2h old, more than 1h\n");
    cycle.newest = NOW - 3601;
    assert_int_equal(metrics_page_health(&cycle, 3600, NOW, (char[ERR_TEXT_MAX]){0}), 503);
    cycle.newest = NOW + 300; /* clocks differ */
    expect_health(&cycle, 3600, 200, "ok\n");
    cycle.newest = NOW + 301; /* a clock that is wrong must not silence the alarms */
    expect_health(&cycle, 3600, 503,
            "the newest backup is of 2024-12-06T21:27:26Z, which has not come yet; the clock is wrong, or was\n");
    cycle.newest = NOW - 7200;
    expect_health(&cycle, 0, 200, "ok\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(test_nothing_is_known, free_page),
            cmocka_unit_test_teardown(test_values, free_page),
            cmocka_unit_test_teardown(test_labels, free_page),
            cmocka_unit_test(test_health),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
