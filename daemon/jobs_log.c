#include "jobs_log.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"
#include "core/log.h"

/* ---- while it runs ---- */

void jobs_log_note(const char *job, const char *text)
{
    log_warning("%s: %s", job, text);
}

void jobs_log_output(const char *job, const char *line)
{
    log_debug("%s: %s", job, line);
}

void jobs_log_verdict(const struct verdict *v)
{
    if (v->is_vouched)
        log_info("verify: %s is vouched for, not opened", v->name);
    else if (v->err)
        log_error("verify: %s", v->err->text);
    else
        log_info("verify: %s is good%s", v->name,
                v->contents->verdict == CONTENTS_PROVEN ? ", proven to hold what its etcd had" : "");
}

/* What stays is told at debug: of 200 backups every six hours that would be 800 lines a day in which nothing happens.
 */
void jobs_log_planned(const struct planned *planned)
{
    if (planned->err && planned->dry_run)
        log_info("prune: would stay: %s: %s", planned->name, planned->err->text);
    else if (planned->err)
        log_warning("prune: %s stays: %s", planned->name, planned->err->text);
    else
        log_write(planned->goes ? LOG_INFO : LOG_DEBUG, "prune: %s: %s: %s",
                !planned->goes     ? "keep"
                : planned->dry_run ? "would delete"
                                   : "delete",
                planned->name, planned->reason);
}

void jobs_log_unrotated(const struct unrotated *u)
{
    log_warning("rotate-key: %s: %s", u->name, u->err->text);
}

/* ---- its end ---- */

static double mib_per_second(uint64_t bytes, uint64_t ms)
{
    return (double)bytes * 1000 / (1 << 20) / (double)(ms ? ms : 1);
}

static void log_backup(const struct backup_result *r)
{
    char size[SIZE_TEXT_MAX], to[32] = "", stored[SIZE_TEXT_MAX + 16] = "";

    if (r->compressed)
        (void)snprintf(stored, sizeof(stored), ", stored as %s", size_format(r->stored_size, size));
    if (r->revision_after != r->member.revision)
        (void)snprintf(to, sizeof(to), " to %" PRId64, r->revision_after);
    log_info("backup done: %s, %s in %.1f s, %.0f MiB/s%s, %s, from %s%s%s (etcd %s), revision %" PRId64
             "%s, attempt %u",
            r->name, size_format(r->snapshot_size, size), (double)r->elapsed_ms / 1000,
            mib_per_second(r->snapshot_size, r->elapsed_ms), stored, r->encrypted ? "encrypted" : "NOT ENCRYPTED",
            r->member.endpoint, r->member.name[0] ? " " : "", r->member.name, r->member.version, r->member.revision, to,
            r->attempts);
}

static void log_restore(const struct restore_result *r)
{
    char size[SIZE_TEXT_MAX];

    if (r->dry_run)
        log_info("restore could be done: %s to %s", r->name, r->data_dir ? r->data_dir : r->output);
    else
        log_info("restore done: %s to %s, %s in %.1f s, %.0f MiB/s%s", r->name, r->data_dir ? r->data_dir : r->output,
                size_format(r->snapshot_size, size), (double)r->elapsed_ms / 1000,
                mib_per_second(r->snapshot_size, r->elapsed_ms),
                r->hash_checked ? "" : ", SHA-256 NOT CHECKED as was asked");
}

static void log_verify(const struct verify_result *r)
{
    char vouched[48] = "";

    if (r->vouched)
        (void)snprintf(vouched, sizeof(vouched), ", %u vouched for, not opened", r->vouched);
    log_info("verify done: %u good%s, in %.1f s%s%s", r->good, vouched, (double)r->elapsed_ms / 1000,
            r->tool ? ", unpacked by " : "", r->tool ? r->tool : "");
}

static void log_prune(const struct prune_result *r)
{
    char size[SIZE_TEXT_MAX];

    log_info("prune %s: %u kept, %u deleted (%s), %u lone keys, %u unfinished uploads, %u locked, in %.1f s",
            r->dry_run ? "would do" : "done", r->kept, r->deleted, size_format(r->deleted_bytes, size), r->lone_keys,
            r->uploads, r->locked, (double)r->elapsed_ms / 1000);
}

static void log_rotate(const struct rotate_result *r)
{
    log_info("rotate-key %s: from %s to %s%s%s: %u rotated, %u already, %u failed, %u old versions purged, %u kept, in "
             "%.1f s",
            r->dry_run ? "would do" : "ended",
            r->previous[0]             ? r->previous
            : r->n_previous_recipients ? r->previous_recipients[0]
                                       : "",
            r->n_recipients ? r->recipients[0] : r->next, r->n_recipients > 1 ? " and others" : "",
            r->n_recipients && r->next[0] ? ", vouched for" : "", r->rotated, r->already, r->failed, r->purged,
            r->old_versions, (double)r->elapsed_ms / 1000);
}

/* That somebody has seen what is in it. */
static void log_look(const struct look_result *r)
{
    char size[SIZE_TEXT_MAX];

    log_info("look done: %s, %s in %.1f s%s", r->name, size_format(r->snapshot_size, size),
            (double)r->elapsed_ms / 1000, r->hash_checked ? "" : ", SHA-256 NOT CHECKED as was asked");
}

static void log_check(const struct check_result *r)
{
    if (!r->policy)
        log_info("check done: %u ok, %u warnings, in %.1f s", r->ok, r->warnings, (double)r->elapsed_ms / 1000);
}

void jobs_log_result(const struct job_result *result)
{
    if (result->backup)
        log_backup(result->backup);
    else if (result->restore)
        log_restore(result->restore);
    else if (result->verify)
        log_verify(result->verify);
    else if (result->prune)
        log_prune(result->prune);
    else if (result->look)
        log_look(result->look);
    else if (result->check)
        log_check(result->check);
    else
        log_rotate(result->rotate);
}

void jobs_log_failure(const char *job, const struct job_result *result, const struct err *err)
{
    if (result && result->rotate && result->rotate->rotated + result->rotate->bound)
        log_rotate(result->rotate);
    log_write(err->kind == ERR_CANCELLED ? LOG_WARNING : LOG_ERROR, "%s failed: %s", job, err->text);
}

void jobs_log_finding(const struct finding *f)
{
    if (f->mark != FINDING_OK)
        log_warning("check: %s: %s: %s", f->subject, f->what, f->text);
}
