#include "job/check/check_machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cron.h"
#include "base/duration.h"
#include "base/path.h"
#include "base/size.h"
#include "base/timestamp.h"
#include "core/certificates.h"
#include "version.h"

#define DAY        UINT64_C(86400) /* s */
#define HOUR_MS    UINT64_C(3600000)
#define ROOM_SMALL (UINT64_C(1) << 30)

static void check_certificates(const struct conf *conf, struct check_report *r)
{
    struct certificate_file files[CERTIFICATES_MAX];
    const size_t n = certificates_find(conf, files);
    const int64_t now = timestamp_now();
    char at[TIMESTAMP_TEXT_MAX];

    for (size_t i = 0; i < n; i++) {
        const bool is_over = files[i].expires <= now;

        check_report_add(r,
                is_over                               ? FINDING_FAILS
                : files[i].expires < now + CHECK_SOON ? FINDING_WARNING
                                                      : FINDING_OK,
                "certificate", is_over ? "expired" : "valid", is_over ? "backup" : "", "%s: until %s", files[i].file,
                timestamp_format(files[i].expires, at));
    }
}

static void check_room(const struct conf *conf, struct check_report *r)
{
    _cleanup_free_ char *dir = conf->snapshot_path ? path_dir(conf->snapshot_path) : NULL;
    char free_text[SIZE_TEXT_MAX], want[SIZE_TEXT_MAX];
    struct statvfs st;
    uint64_t available;

    if (!dir)
        return;
    if (statvfs(dir, &st) < 0) {
        check_report_add(r, FINDING_WARNING, "machine", "space", "restore", "%s: %s", dir, strerror(errno));
        return;
    }
    available = (uint64_t)st.f_bavail * st.f_frsize;
    size_format(available, free_text);
    if (access(dir, W_OK) < 0)
        check_report_add(r, FINDING_FAILS, "machine", "space", "restore", "%s: %s", dir, strerror(errno));
    else if (available < ROOM_SMALL || (conf_encrypts(conf) && available < conf->s3.spool_size))
        check_report_add(r, FINDING_WARNING, "machine", "space", "backup, restore",
                "%s free in %s: a slow S3 may want s3_client.spool_size, %s, and etcd waits where it is not there",
                free_text, dir, size_format(conf->s3.spool_size, want));
    else
        check_report_add(r, FINDING_OK, "machine", "space", "", "%s free in %s", free_text, dir);
}

/* The time between two backups, ms; 0: there is no schedule. */
static uint64_t interval_of(const struct conf *conf)
{
    struct cron cron;
    struct err ignored = ERR_INIT;
    int64_t first, second;

    if (conf->schedule.interval_ms || !conf->schedule.cron)
        return conf->schedule.interval_ms;
    if (cron_parse(conf->schedule.cron, &cron, &ignored) < 0)
        return 0;
    first = cron_next(&cron, timestamp_now());
    second = cron_next(&cron, first);
    return second > first ? (uint64_t)(second - first) * 1000 : 0;
}

static void check_retention(const struct conf *conf, struct check_report *r)
{
    const struct conf_prune *p = &conf->prune;
    const uint64_t interval = interval_of(conf);
    const bool keeps = p->keep_hourly || p->keep_daily || p->keep_weekly || p->keep_monthly || p->keep_yearly;
    char every[DURATION_TEXT_MAX], age[DURATION_TEXT_MAX];

    if (!interval) {
        check_report_add(r, FINDING_WARNING, "schedule", "backups", "backup",
                "there is no schedule: backups are made when somebody asks for one");
        return;
    }
    duration_format(interval, every);
    check_report_add(r, FINDING_OK, "schedule", "backups", "", "every %s", every);
    if (conf->health.max_age_ms && conf->health.max_age_ms < interval)
        check_report_add(r, FINDING_WARNING, "schedule", "health", "",
                "health.max_age is shorter than the time between two backups: /healthz will be ill before each");
    if (!p->max_age_ms) {
        check_report_add(r, FINDING_WARNING, "schedule", "retention", "prune",
                "nothing is ever deleted: prune.max_age is not there");
        return;
    }
    duration_format(p->max_age_ms, age);
    if (!keeps && p->max_age_ms / interval < p->min_count)
        check_report_add(r, FINDING_WARNING, "schedule", "retention", "prune",
                "min_count (%llu) keeps more than max_age (%s) does: backups every %s are %llu in that time",
                (unsigned long long)p->min_count, age, every, (unsigned long long)(p->max_age_ms / interval));
    else
        check_report_add(r, FINDING_OK, "schedule", "retention", "", "about %llu backups younger than %s%s",
                (unsigned long long)(p->max_age_ms / interval), age, keeps ? ", and those of the calendar" : "");
}

static void tell_warning(void *ctx, const char *text)
{
    check_report_add(ctx, FINDING_WARNING, "configuration", "settings", "", "%s", text);
}

/* Where systemd(1) is, the default configuration is served by our unit; what starts it at boot is a link. */
static void check_units(const struct conf *conf, struct check_report *r)
{
    static const char link[] = "/etc/systemd/system/multi-user.target.wants/etcd-backupd.service";
    struct stat st;

    if (strcmp(conf->file, DEFAULT_CONFIG) != 0 || stat("/run/systemd/system", &st) < 0 || !interval_of(conf))
        return;
    if (lstat(link, &st) == 0)
        check_report_add(r, FINDING_OK, "units", "service", "", "etcd-backupd.service starts at boot");
    else
        check_report_add(r, FINDING_WARNING, "units", "service", "backup",
                "etcd-backupd.service does not start at boot: systemctl enable --now etcd-backupd");
}

void check_machine(struct core *core, struct check_report *report)
{
    const struct conf *conf = core_conf(core);

    check_certificates(conf, report);
    check_room(conf, report);
    check_retention(conf, report);
    conf_warnings(conf, tell_warning, report);
    check_units(conf, report);
}
