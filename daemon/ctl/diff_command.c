#include "ctl/diff_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "ctl/key_text.h"
#include "ctl/look.h"
#include "ctl/show.h"

enum { OPT_TO = 256, OPT_TO_REVISION };

enum { SAME = 0, DIFFERENT = 1, TROUBLE = 2 };

const struct option diff_options[] = {
        LOOK_OPTIONS,
        {"to", required_argument, NULL, OPT_TO},
        {"to-rev", required_argument, NULL, OPT_TO_REVISION},
        {0},
};

const char diff_usage[] =
        "      --to OTHER               what it is compared with: another backup (its time or name), with --file\n"
        "                               another snapshot on disk; default: the same one, at --to-rev\n"
        "      --to-rev N               that as it was at this revision; default: the last one\n" LOOK_USAGE;

static struct {
    struct look from;
    const char *to;
    uint64_t to_revision;
} diff = {.from = LOOK_INIT};

int diff_set(int letter, const char *value)
{
    switch (letter) {
    case OPT_TO:
        diff.to = value;
        if (!*value)
            show_failure("--to is empty");
        return *value ? 0 : -1;
    case OPT_TO_REVISION:
        return word_count("--to-rev", value, &diff.to_revision);
    default:
        return look_set(&diff.from, letter, value);
    }
}

/* ---- one side ---- */

struct side {
    struct database database;
    struct keyspace_live *live;
    size_t next;
};

#define SIDE_INIT ((struct side){.next = 0})

static void close_side(struct side *s)
{
    keyspace_live_free(s->live);
    database_close(&s->database);
}

static int open_side(struct side *s, const struct look *l, const struct ctl *ctl)
{
    int status = look_open(l, ctl, &s->database);

    if (status == CTL_DONE)
        s->live = look_keys(ctl, &s->database, look_bytes(ctl->argument), &status);
    return status;
}

/* The next key, or false behind the last. */
static bool peek(const struct side *s, struct key_value *kv)
{
    if (s->next == keyspace_live_count(s->live))
        return false;
    *kv = keyspace_live_at(s->live, s->next);
    return true;
}

/* ---- what is different ---- */

struct counts {
    uint64_t added, removed, changed;
};

static void put_side(bool *first, const char *revision, const char *size, const struct key_value *kv)
{
    json_name(stdout, first, revision);
    (void)(kv ? printf("%" PRId64, kv->mod_revision) : printf("null"));
    json_name(stdout, first, size);
    (void)(kv ? printf("%zu", kv->value.len) : printf("null"));
}

/* Either may be NULL: it is not there. */
static void put_change(const struct ctl *ctl, const struct key_value *from, const struct key_value *to)
{
    struct bytes key = from ? from->key : to->key;
    const char *word = !from ? "added" : !to ? "removed" : "changed";
    bool first = true;

    if (!ctl->json) {
        (void)printf("%-7s  ", word);
        key_text_put(stdout, key);
        (void)putchar('\n');
        return;
    }
    json_text(stdout, &first, "change", word);
    key_text_json(stdout, &first, "key", key);
    put_side(&first, "mod_revision", "size", from);
    put_side(&first, "to_mod_revision", "to_size", to);
    (void)puts("}");
}

/* Written anew with the same value is a change, too; and a cluster that was restored counts its revisions again. */
static bool is_same(const struct key_value *a, const struct key_value *b)
{
    return a->mod_revision == b->mod_revision && a->create_revision == b->create_revision &&
           a->value.len == b->value.len &&
           (a->value.len == 0 || memcmp(a->value.data, b->value.data, a->value.len) == 0);
}

/* Both in the order of their keys. */
static void compare(const struct ctl *ctl, struct side *a, struct side *b, struct counts *n)
{
    struct key_value from, to;
    bool has_from, has_to;

    while (has_from = peek(a, &from), has_to = peek(b, &to), has_from || has_to) {
        int order = !has_from ? 1 : !has_to ? -1 : bolt_key_compare(from.key, to.key);

        a->next += order <= 0;
        b->next += order >= 0;
        if (order == 0 && is_same(&from, &to))
            continue;
        put_change(ctl, order <= 0 ? &from : NULL, order >= 0 ? &to : NULL);
        n->removed += order < 0;
        n->added += order > 0;
        n->changed += order == 0;
    }
}

static void tell_counts(const struct ctl *ctl, const struct side *a, const struct side *b, const struct counts *n)
{
    if (!ctl->quiet && !ctl->json)
        (void)fprintf(stderr,
                "%" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " changed from revision %" PRId64
                " of %s to revision %" PRId64 " of %s\n",
                n->added, n->removed, n->changed, a->database.revision, a->database.name, b->database.revision,
                b->database.name);
}

/* Where the other side is. */
static int choose_other(struct look *other)
{
    *other = diff.from;
    other->revision = diff.to_revision;
    if (!diff.to && diff.from.revision == 0 && diff.to_revision == 0) {
        show_failure("compare it with what? give --to, or for two revisions of one backup --rev or --to-rev");
        return -1;
    }
    if (diff.to && diff.from.file)
        other->file = diff.to;
    else if (diff.to)
        return word_backup(diff.to, &other->backup);
    return 0;
}

static int run(const struct ctl *ctl, struct side *a, struct side *b)
{
    struct counts n = {0};
    struct look other;
    int status;

    if (choose_other(&other) < 0)
        return CTL_USAGE;
    status = open_side(a, &diff.from, ctl);
    if (status == CTL_DONE)
        status = open_side(b, &other, ctl);
    if (status != CTL_DONE)
        return status == CTL_FAILED ? TROUBLE : status;
    compare(ctl, a, b, &n);
    status = look_end(CTL_DONE);
    tell_counts(ctl, a, b, &n);
    if (status != CTL_DONE)
        return TROUBLE;
    return n.added + n.removed + n.changed ? DIFFERENT : SAME;
}

int diff_run(const struct ctl *ctl)
{
    struct side a = SIDE_INIT, b = SIDE_INIT;
    int status = run(ctl, &a, &b);

    close_side(&a);
    close_side(&b);
    return status;
}
