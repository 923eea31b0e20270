#include "tell/metrics_page.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/timestamp.h"
#include "version.h"

enum { HTTP_OK = 200, HTTP_UNAVAILABLE = 503 };

/* HELP and TYPE, before the samples of a name. */
static void head(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP etcd_backupd_%s %s\n# TYPE etcd_backupd_%s %s\n", name, help, name, type);
}

static void sample(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
    head(out, name, type, help);
    (void)fprintf(out, "etcd_backupd_%s %" PRIu64 "\n", name, value);
}

static void sample_ms(FILE *out, const char *name, const char *type, const char *help, uint64_t ms)
{
    head(out, name, type, help);
    (void)fprintf(out, "etcd_backupd_%s %" PRIu64 ".%03" PRIu64 "\n", name, ms / 1000, ms % 1000);
}

/* A label's value: backslash, quote and newline are escaped. */
static void label(FILE *out, const char *value)
{
    for (const char *c = value; *c; c++) {
        if (*c == '\n')
            (void)fputs("\\n", out);
        else
            (void)fprintf(out, "%s%c", *c == '\\' || *c == '"' ? "\\" : "", *c);
    }
}

static void write_backups(FILE *out, const struct metrics_counts *c)
{
    uint64_t failures = 0;

    for (int kind = 0; kind < ERR_CANCELLED; kind++)
        failures += c->failures[kind];
    head(out, "backups_total", "counter", "Backups that were made, failed, or were cancelled.");
    (void)fprintf(out, "etcd_backupd_backups_total{result=\"success\"} %" PRIu64 "\n", c->successes);
    (void)fprintf(out, "etcd_backupd_backups_total{result=\"failure\"} %" PRIu64 "\n", failures);
    (void)fprintf(out, "etcd_backupd_backups_total{result=\"cancelled\"} %" PRIu64 "\n", c->failures[ERR_CANCELLED]);
    head(out, "backup_failures_total", "counter", "Backups that failed, by the kind of the cause.");
    for (int kind = ERR_TRANSIENT; kind < ERR_CANCELLED; kind++)
        (void)fprintf(out, "etcd_backupd_backup_failures_total{kind=\"%s\"} %" PRIu64 "\n",
                err_kind_name((enum err_kind)kind), c->failures[kind]);
    sample(out, "backup_bytes_total", "counter", "Bytes of snapshots that were backed up.", c->bytes);
    sample(out, "backup_attempts_total", "counter", "Attempts that the backups took.", c->attempts);
    sample_ms(out, "etcd_read_transaction_seconds_total", "counter", "Time that etcd's read transactions were open.",
            c->read_ms);
    if (c->successes) {
        sample(out, "backup_last_size_bytes", "gauge", "Size of the last snapshot that was backed up.", c->last_size);
        sample(out, "backup_last_stored_bytes", "gauge", "Size of the object that it became.", c->last_stored_size);
        sample_ms(out, "backup_last_duration_seconds", "gauge", "Time that the last backup took.", c->last_duration_ms);
    }
    if (c->members_compared)
        sample(out, "members_diverge", "gauge",
                "Whether etcd's members have different contents at one revision, as the last backup saw that could "
                "compare them.",
                c->members_diverge);
    sample(out, "prune_deleted_total", "counter", "Backups that were deleted because of their age.", c->pruned);
    sample(out, "prune_failures_total", "counter", "Prunes that failed or refused to begin.", c->prune_failures);
}

static void write_bucket(FILE *out, const struct cycle_state *c)
{
    if (c->is_known || c->newest > 0)
        sample(out, "backup_last_success_timestamp_seconds", "gauge",
                "Instant of the newest complete backup in the bucket; 0: there is none.",
                c->newest > 0 ? (uint64_t)c->newest : 0);
    if (c->is_known) {
        sample(out, "bucket_backups", "gauge", "Complete backups in the bucket.", c->backups);
        sample(out, "bucket_bytes", "gauge", "Size of their dumps.", c->bytes);
    }
    if (c->key_is_checked)
        sample(out, "master_key_mismatch", "gauge",
                "Whether the master key is not that of the backups: 1 if no configured key opens one of the newest or "
                "the oldest, or if it was rotated away.",
                c->key_trouble.kind != ERR_NONE);
    if (c->next > 0)
        sample(out, "next_backup_timestamp_seconds", "gauge",
                "When the next backup is due, or was, if it has not begun.", (uint64_t)c->next);
}

static void write_verifications(FILE *out, const struct cycle_state *c)
{
    if (c->verify.owes_proof || c->verify.proven)
        sample(out, "verify_last_success_timestamp_seconds", "gauge",
                "When a backup was last verified and found good by this process; 0: none was.",
                (uint64_t)c->verify.proven);
    head(out, "verify_failures_total", "counter",
            "Backups that were verified and are bad, or that could not be looked at, each time.");
    (void)fprintf(out, "etcd_backupd_verify_failures_total{result=\"bad\"} %" PRIu64 "\n", c->verify.bad);
    (void)fprintf(out, "etcd_backupd_verify_failures_total{result=\"unknown\"} %" PRIu64 "\n", c->verify.unknown);
    if (c->next_verify > 0)
        sample(out, "next_verify_timestamp_seconds", "gauge",
                "When the next round of verifications is due, or was, if it has not begun.", (uint64_t)c->next_verify);
}

static bool is_running(const struct jobs_running *r, const char *job)
{
    return r->name && strcmp(r->name, job) == 0;
}

void metrics_page_write(FILE *out, const struct metrics_facts *f)
{
    static const char *const jobs[] = {"backup", "restore", "verify", "prune", "rotate-key", "look", "check"};

    head(out, "build_info", "gauge", "The version of this program.");
    (void)fprintf(out, "etcd_backupd_build_info{version=\"%s\"} 1\n", VERSION);
    write_backups(out, &f->counts);
    write_bucket(out, &f->cycle);
    write_verifications(out, &f->cycle);
    if (f->expires)
        sample(out, "credentials_expiry_timestamp_seconds", "gauge",
                "When the bucket's credentials, which are fetched from somewhere, expire; 0: there are none.",
                (uint64_t)f->credentials_expire);
    if (f->max_age)
        sample(out, "health_max_age_seconds", "gauge",
                "How old the newest backup may be (health.max_age of the configuration).", f->max_age);
    head(out, "job_running", "gauge", "Whether such a job runs.");
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        (void)fprintf(out, "etcd_backupd_job_running{task=\"%s\"} %d\n", jobs[i],
                is_running(&f->jobs->changing, jobs[i]) || is_running(&f->jobs->reading, jobs[i]));
    if (f->n_certificates)
        head(out, "certificate_expiry_timestamp_seconds", "gauge",
                "When a certificate expires; of a file of CAs, when the last does.");
    for (size_t i = 0; i < f->n_certificates; i++) {
        (void)fputs("etcd_backupd_certificate_expiry_timestamp_seconds{file=\"", out);
        label(out, f->certificates[i].file);
        (void)fprintf(out, "\"} %" PRId64 "\n", f->certificates[i].expires);
    }
}

/* Where nothing else is wrong. */
static int health_of_newest(const struct cycle_state *cycle, char *out)
{
    const bool is_bad = cycle->bad_newest.kind != ERR_NONE;

    (void)snprintf(out, ERR_TEXT_MAX, "%.500s\n", is_bad ? cycle->bad_newest.text : "ok");
    return is_bad ? HTTP_UNAVAILABLE : HTTP_OK;
}

int metrics_page_health(const struct cycle_state *cycle, uint64_t max_age, int64_t now, char *out)
{
    char age[DURATION_TEXT_MAX], limit[DURATION_TEXT_MAX], at[TIMESTAMP_TEXT_MAX];

    if (cycle->key_trouble.kind != ERR_NONE) {
        (void)snprintf(out, ERR_TEXT_MAX, "%.500s\n", cycle->key_trouble.text);
        return HTTP_UNAVAILABLE;
    }
    if (max_age == 0)
        return health_of_newest(cycle, out);
    (void)duration_format(max_age * 1000, limit);
    if (!cycle->is_known && cycle->newest == 0)
        (void)snprintf(out, ERR_TEXT_MAX, "the newest backup is not known: %.400s\n",
                cycle->lookup.kind ? cycle->lookup.text : "the bucket has not been looked at yet");
    else if (cycle->newest == 0)
        (void)snprintf(out, ERR_TEXT_MAX, "there is no backup\n");
    else if (cycle->newest > now + PRUNE_SKEW_MAX) /* ours, and then the clock was set back */
        (void)snprintf(out, ERR_TEXT_MAX,
                "the newest backup is of %s, which has not come yet; the clock is wrong, or was\n",
                timestamp_format(cycle->newest, at));
    else if (now > cycle->newest && (uint64_t)(now - cycle->newest) > max_age)
        (void)snprintf(out, ERR_TEXT_MAX, "the newest backup is %s old, more than %s\n",
                duration_format((uint64_t)(now - cycle->newest) * 1000, age), limit);
    else
        return health_of_newest(cycle, out);
    return HTTP_UNAVAILABLE;
}
