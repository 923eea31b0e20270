#include "show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/size.h"
#include "base/timestamp.h"

enum { BAR_WIDTH = 24, LINE_EVERY_MS = 10000 };

static double rate(uint64_t bytes, uint64_t ms)
{
    return (double)bytes / 1000.0 / (double)(ms ? ms : 1);
}

void show_progress_init(struct show_progress *s)
{
    *s = (struct show_progress){.is_terminal = isatty(STDERR_FILENO) == 1};
}

static void draw_bar(const Control__Progress *p)
{
    char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX], left[DURATION_TEXT_MAX] = "";
    int filled = (int)((double)p->done / (double)p->total * BAR_WIDTH);
    char bar[BAR_WIDTH + 1];

    filled = filled > BAR_WIDTH ? BAR_WIDTH : filled;
    (void)memset(bar, '.', BAR_WIDTH);
    (void)memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    if (p->done && p->done < p->total)
        (void)duration_format((uint64_t)((double)p->elapsed_ms * (double)(p->total - p->done) / (double)p->done), left);
    (void)fprintf(stderr, "\r\033[K%-10s [%s] %s of %s  %.0f MB/s%s%s", p->phase, bar, size_format(p->done, done),
            size_format(p->total, total), rate(p->done, p->elapsed_ms), left[0] ? "  left: " : "", left);
}

static void write_line(const Control__Progress *p)
{
    char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];

    if (p->total)
        (void)fprintf(stderr, "%s: %s of %s, %.0f MB/s\n", p->phase, size_format(p->done, done),
                size_format(p->total, total), rate(p->done, p->elapsed_ms));
    else
        (void)fprintf(stderr, "%s\n", p->phase);
}

void show_progress(struct show_progress *s, const Control__Progress *p)
{
    if (s->is_terminal) {
        if (p->total)
            draw_bar(p);
        else
            (void)fprintf(stderr, "\r\033[K%s ...", p->phase);
        s->is_open = true;
        (void)fflush(stderr);
    } else if (p->elapsed_ms - s->told_ms >= LINE_EVERY_MS) {
        s->told_ms = p->elapsed_ms;
        write_line(p);
    }
}

void show_progress_clear(struct show_progress *s)
{
    if (s->is_open)
        (void)fputs("\r\033[K", stderr);
    s->is_open = false;
}

void show_note(const char *text)
{
    (void)fprintf(stderr, "note: %s\n", text);
}

void show_failure(const char *text)
{
    (void)fprintf(stderr, "etcd-backupctl: %s\n", text);
}

/* "3d4h", or "in 5m" for what lies in the future. */
static const char *age(int64_t instant, int64_t now, char out[DURATION_TEXT_MAX + 4])
{
    char text[DURATION_TEXT_MAX];
    uint64_t distance = (uint64_t)(instant <= now ? now - instant : instant - now) * 1000;

    if (distance < 60000)
        (void)snprintf(text, sizeof(text), "%us", (unsigned)(distance / 1000));
    else
        (void)duration_format(distance, text);
    (void)snprintf(out, DURATION_TEXT_MAX + 4, "%s%s", instant <= now ? "" : "in ", text);
    return out;
}

void show_entry_header(void)
{
    (void)printf("%-20s  %8s  %10s  %-9s  %-15s  %s\n", "INSTANT", "AGE", "SIZE", "ENCRYPTED", "STATE", "NAME");
}

void show_entry(const Control__Entry *e, int64_t now)
{
    char instant[TIMESTAMP_TEXT_MAX] = "-", when[DURATION_TEXT_MAX + 4] = "-", size[SIZE_TEXT_MAX];

    if (e->instant) {
        (void)timestamp_format(e->instant, instant);
        (void)age(e->instant, now, when);
    }
    (void)printf("%-20s  %8s  %10s  %-9s  %-15s  %s\n", instant, when, size_format(e->size, size),
            e->encrypted ? "yes" : "no", e->state, e->name);
}

static void show_revisions(const Control__BackupResult *b)
{
    if (b->revision_after && b->revision_after != b->revision_before)
        (void)printf("revision %" PRId64 " to %" PRId64, b->revision_before, b->revision_after);
    else
        (void)printf("revision %" PRId64 "%s", b->revision_before, b->revision_after ? "" : " or later");
}

void show_backup(const Control__BackupResult *b)
{
    char size[SIZE_TEXT_MAX], spooled[SIZE_TEXT_MAX];

    (void)printf("%s\n  %s in %.1f s, %.0f MB/s, %s\n  from %s%s%s (etcd %s), ", b->name,
            size_format(b->snapshot_size, size), (double)b->elapsed_ms / 1000, rate(b->snapshot_size, b->elapsed_ms),
            b->encrypted ? "encrypted" : "NOT ENCRYPTED", b->endpoint, b->member[0] ? " " : "", b->member,
            b->etcd_version);
    show_revisions(b);
    if (b->attempts > 1)
        (void)printf(", at attempt %" PRIu32, b->attempts);
    (void)putchar('\n');
    if (b->spooled)
        (void)printf("  S3 was slower than etcd: %s waited on disk, sealed\n", size_format(b->spooled, spooled));
}

void show_restore(const Control__RestoreResult *r)
{
    char size[SIZE_TEXT_MAX];

    (void)printf("%s\n  %s in %.1f s, %.0f MB/s, %s, %s\n  written to %s\n", r->name,
            size_format(r->snapshot_size, size), (double)r->elapsed_ms / 1000, rate(r->snapshot_size, r->elapsed_ms),
            r->encrypted ? "decrypted and authenticated" : "was not encrypted",
            r->hash_checked ? "SHA-256 matches" : "SHA-256 NOT CHECKED", r->output);
}

static void show_running(const Control__Running *r, int64_t now)
{
    char since[DURATION_TEXT_MAX + 4], done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];

    (void)printf(
            "running       %s, for %s, %s", r->job, age(r->since, now, since), r->progress ? r->progress->phase : "");
    if (r->progress && r->progress->total)
        (void)printf(", %s of %s", size_format(r->progress->done, done), size_format(r->progress->total, total));
    (void)putchar('\n');
}

void show_status(const Control__StatusResult *s, int64_t now)
{
    char text[TIMESTAMP_TEXT_MAX], when[DURATION_TEXT_MAX + 4], size[SIZE_TEXT_MAX];

    (void)printf("daemon        %s, process %" PRIu32 ", up for %s\n", s->program, s->pid, age(s->started, now, when));
    (void)printf("configuration %s\n", s->config);
    for (size_t i = 0; i < s->n_endpoints; i++)
        (void)printf("%-13s %s\n", i ? "" : "etcd", s->endpoints[i]);
    (void)printf("bucket        %s\n", s->bucket);
    (void)printf("encryption    %s\n", s->encrypting ? "on" : "OFF: backups are stored as they are");
    if (s->running)
        show_running(s->running, now);
    else
        (void)puts("running       nothing");
    if (s->last_success)
        (void)printf("last backup   %s, %s ago, %s in %.1f s\n", timestamp_format(s->last_success->instant, text),
                age(s->last_success->instant, now, when), size_format(s->last_success->snapshot_size, size),
                (double)s->last_success->elapsed_ms / 1000);
    else
        (void)puts("last backup   none by this process");
    if (s->last_failure)
        (void)printf("last failure  %s at %s: %s\n", s->last_failure->job,
                timestamp_format(s->last_failure->instant, text), s->last_failure->text);
    else
        (void)puts("last failure  none");
}
