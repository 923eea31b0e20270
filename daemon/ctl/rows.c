#include "ctl/rows.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "base/timestamp.h"
#include "ctl/age.h"
#include "ctl/table.h"

/* The name repeats prefix and instant. */
static struct table_column entry_columns[] = {
        {"INSTANT", 20, false, 0},
        {"AGE", 8, true, 0},
        {"SIZE", 10, true, 0}, /* in the bucket */
        {"SNAPSHOT", 10, true, 4},
        {"ENCRYPTED", 9, false, 3},
        {"KEY", 9, false, 5},
        {"STATE", 15, false, 0},
        {"VERIFIED", 11, false, 2},
        {"ETCD", 7, false, 7},
        {"STORAGE", 7, false, 8},
        {"REVISION", 13, false, 6},
        {"NAME", 32, false, 9},
};

static unsigned width_of_terminal(void)
{
    static bool is_known;
    static unsigned width;

    if (!is_known)
        width = table_width();
    is_known = true;
    return width;
}

/* All names of a table are as long as the first: they have one prefix. */
static void fit_name(struct table_column *name, const char *first)
{
    name->width = (int)strnlen(first, 1024);
}

void rows_entry_header(const Control__Entry *first)
{
    fit_name(&entry_columns[ARRAY_LEN(entry_columns) - 1], first->name);
    (void)table_row(stdout, entry_columns, ARRAY_LEN(entry_columns), NULL, width_of_terminal());
}

/* "12-34", "12", or "-". */
static const char *revisions(int64_t before, int64_t after, char out[48])
{
    if (!before)
        return "-";
    if (after > before)
        (void)snprintf(out, 48, "%" PRId64 "-%" PRId64, before, after);
    else
        (void)snprintf(out, 48, "%" PRId64, before);
    return out;
}

static const char *verification(const Control__Entry *e, int64_t now, char out[DURATION_TEXT_MAX + 16])
{
    char when[AGE_TEXT_MAX];

    if (!e->verified)
        return "-";
    (void)snprintf(out, DURATION_TEXT_MAX + 16, "%s%s ago", e->verified_good ? "" : "BAD, ",
            age_format(e->verified, now, when));
    return out;
}

void rows_entry(const Control__Entry *e, int64_t now)
{
    char instant[TIMESTAMP_TEXT_MAX] = "-", when[AGE_TEXT_MAX] = "-", size[SIZE_TEXT_MAX],
         snapshot[SIZE_TEXT_MAX] = "-";
    char verified[DURATION_TEXT_MAX + 16], range[48], key[80];
    bool is_whole;

    if (e->instant) {
        (void)timestamp_format(e->instant, instant);
        (void)age_format(e->instant, now, when);
    }
    if (e->snapshot_size)
        (void)size_format(e->snapshot_size, snapshot);
    if (e->sealed)
        (void)snprintf(key, sizeof(key), "%s", e->sealed_to);
    else
        (void)snprintf(key, sizeof(key), "%.9s", e->key[0] ? e->key : "-");
    is_whole = table_row(stdout, entry_columns, ARRAY_LEN(entry_columns),
            (const char *const[]){instant, when, size_format(e->size, size), snapshot,
                    e->sealed      ? "SEALED"
                    : e->encrypted ? "yes"
                                   : "no",
                    key, e->state, verification(e, now, verified), e->etcd_version[0] ? e->etcd_version : "-",
                    e->storage_version[0] ? e->storage_version : "-",
                    revisions(e->revision_before, e->revision_after, range), e->name},
            width_of_terminal());
    if (!is_whole && !e->instant) /* the name is all that says which it is */
        (void)printf("         %s\n", e->name);
}

static struct table_column verdict_columns[] = {
        {"VERDICT", 7, false, 0},
        {"INSTANT", 20, false, 0},
        {"SIZE", 10, true, 0},
        {"ENCRYPTED", 9, false, 2},
        {"TIME", 7, true, 1},
        {"REVISION", 10, true, 0},
        {"HOLDS", 15, false, 0},
        {"CONTENTS", 12, false, 0},
        {"NAME", 32, false, 3},
};

void rows_verdict_header(FILE *table, const Control__Verdict *first)
{
    fit_name(&verdict_columns[ARRAY_LEN(verdict_columns) - 1], first->name);
    (void)table_row(table, verdict_columns, ARRAY_LEN(verdict_columns), NULL, width_of_terminal());
}

void rows_verdict(FILE *table, const Control__Verdict *v)
{
    char instant[TIMESTAMP_TEXT_MAX] = "-", size[SIZE_TEXT_MAX] = "-", revision[24] = "-", holds[40] = "-";
    char time[32];

    if (v->instant)
        (void)timestamp_format(v->instant, instant);
    if (v->snapshot_size)
        (void)size_format(v->snapshot_size, size);
    if (v->drilled) {
        if (v->revision)
            (void)snprintf(revision, sizeof(revision), "%" PRId64, v->revision);
    }
    if (v->counts_keys || v->counts_entries) {
        (void)snprintf(holds, sizeof(holds), "%" PRIu64 " %s", v->counts_keys ? v->keys : v->entries,
                v->counts_keys ? "keys" : "entries");
    }
    (void)snprintf(time, sizeof(time), "%.1f s", (double)v->elapsed_ms / 1000);
    (void)table_row(table, verdict_columns, ARRAY_LEN(verdict_columns),
            (const char *const[]){v->good      ? "good"
                                  : v->vouched ? "vouched"
                                  : v->unknown ? "UNKNOWN"
                                               : "BAD",
                    instant, size, v->encrypted ? "yes" : "no", time, revision, holds,
                    v->contents[0] ? v->contents : "-", v->name},
            width_of_terminal());
    if (!v->good)
        (void)fprintf(table, "         %s\n", v->text);
}

static struct table_column planned_columns[] = {
        {"", 7, false, 0},
        {"INSTANT", 20, false, 0},
        {"AGE", 8, true, 0},
        {"SIZE", 10, true, 1},
        {"REASON", 28, false, 0},
        {"NAME", 32, false, 2},
};

void rows_planned_header(const Control__Planned *first)
{
    fit_name(&planned_columns[ARRAY_LEN(planned_columns) - 1], first->name);
    (void)table_row(stdout, planned_columns, ARRAY_LEN(planned_columns), NULL, width_of_terminal());
}

void rows_planned(const Control__Planned *p, int64_t now)
{
    char instant[TIMESTAMP_TEXT_MAX] = "-", when[AGE_TEXT_MAX] = "-", size[SIZE_TEXT_MAX];

    if (p->instant) {
        (void)timestamp_format(p->instant, instant);
        (void)age_format(p->instant, now, when);
    }
    (void)table_row(stdout, planned_columns, ARRAY_LEN(planned_columns),
            (const char *const[]){p->text[0] ? "STAYS"
                                  : p->goes  ? "delete"
                                             : "keep",
                    instant, when, size_format(p->size, size), p->reason, p->name},
            width_of_terminal());
    if (p->text[0])
        (void)printf("         %s\n", p->text);
}

/* The text, which is as long as it has to be, stands last and is not cut. */
static const struct table_column finding_columns[] = {
        {"", 7, false, 0},
        {"WHERE", 24, false, 0},
        {"WHAT", 22, false, 0},
        {"AFFECTS", 24, false, 1},
};

void rows_finding_header(void)
{
    (void)table_row(stdout, finding_columns, ARRAY_LEN(finding_columns), NULL, width_of_terminal());
}

void rows_finding(const Control__Finding *f)
{
    (void)table_row(stdout, finding_columns, ARRAY_LEN(finding_columns),
            (const char *const[]){strcmp(f->mark, "fails") == 0 ? "FAILS" : f->mark, f->subject, f->what, f->affects},
            width_of_terminal());
    (void)printf("        %s\n", f->text);
}
