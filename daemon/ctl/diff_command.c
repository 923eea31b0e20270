#include "ctl/diff_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "ctl/answer.h"
#include "ctl/key_text.h"
#include "ctl/look.h"
#include "ctl/show.h"
#include "ctl/talk.h"

enum { OPT_TO = 256, OPT_TO_REVISION, OPT_LIVE };

enum { LIVE_TEXT_MAX = 256 << 20, SHOWN_BYTE_MAX = 4 /* "\\x00" */ };

enum { SAME = 0, DIFFERENT = 1, TROUBLE = 2 };

const struct option diff_options[] = {
        LOOK_OPTIONS,
        {"to", required_argument, NULL, OPT_TO},
        {"to-rev", required_argument, NULL, OPT_TO_REVISION},
        {"live", no_argument, NULL, OPT_LIVE},
        {0},
};

const char diff_usage[] =
        "      --to OTHER               what it is compared with: another backup (its time or name), with --file\n"
        "                               another snapshot on disk; default: the same one, at --to-rev\n"
        "      --to-rev N               that as it was at this revision; default: the last one\n"
        "      --live                   with etcd as it is now: names and revisions alone are asked for\n" LOOK_USAGE;

static struct {
    struct look from;
    const char *to;
    uint64_t to_revision;
    bool is_live;
} diff = {.from = {LOOK_INIT}};

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
    case OPT_LIVE:
        diff.is_live = true;
        return 0;
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
    FILE *out; /* to where they are written */
};

/* A side of which the values are not known has no sizes. */
static void put_side(
        FILE *out, bool *first, const char *revision, const char *size, const struct key_value *kv, bool has_value)
{
    json_name(out, first, revision);
    (void)(kv ? fprintf(out, "%" PRId64, kv->mod_revision) : fprintf(out, "null"));
    json_name(out, first, size);
    (void)(kv && has_value ? fprintf(out, "%zu", kv->value.len) : fprintf(out, "null"));
}

/* Either may be NULL: it is not there. */
static void put_change(const struct ctl *ctl, FILE *out, const struct key_value *from, const struct key_value *to)
{
    struct bytes key = from ? from->key : to->key;
    const char *word = !from ? "added" : !to ? "removed" : "changed";
    bool first = true;

    if (!ctl->json) {
        (void)fprintf(out, "%-7s  ", word);
        key_text_put(out, key);
        (void)fputc('\n', out);
        return;
    }
    json_text(out, &first, "change", word);
    key_text_json(out, &first, "key", key);
    put_side(out, &first, "mod_revision", "size", from, true);
    put_side(out, &first, "to_mod_revision", "to_size", to, !diff.is_live);
    (void)fputs("}\n", out);
}

/* Written anew with the same value is a change, too; and a cluster that was restored counts its revisions again. */
static bool is_same(const struct key_value *a, const struct key_value *b)
{
    return a->mod_revision == b->mod_revision && a->create_revision == b->create_revision &&
           a->value.len == b->value.len &&
           (a->value.len == 0 || memcmp(a->value.data, b->value.data, a->value.len) == 0);
}

static void count(const struct ctl *ctl, const struct key_value *from, const struct key_value *to, struct counts *n)
{
    put_change(ctl, n->out, from, to);
    n->removed += !to;
    n->added += !from;
    n->changed += from && to;
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
        count(ctl, order <= 0 ? &from : NULL, order >= 0 ? &to : NULL, n);
    }
}

/* ---- with etcd as it is ---- */

struct live_view {
    const struct ctl *ctl;
    struct side *side;
    struct counts *counts;
    int64_t revision;
    struct err why; /* what is left could not be kept */
};

/* What is different is kept until the end: a cluster that is another one altogether may have any number of keys, and a
 * database that no etcd has written names of any length. */
static int check_room(const struct live_view *v, struct bytes name, struct err *e)
{
    uint64_t kept = (uint64_t)ftello(v->counts->out);
    char size[SIZE_TEXT_MAX];

    if (kept <= LIVE_TEXT_MAX && name.len <= (LIVE_TEXT_MAX - kept) / SHOWN_BYTE_MAX)
        return 0;
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0,
            "what is different does not fit into %s of memory: compare the keys below a longer prefix",
            size_format(LIVE_TEXT_MAX, size));
}

static int count_live(struct live_view *v, const struct key_value *from, const struct key_value *to, struct err *e)
{
    if (check_room(v, from ? from->key : to->key, e) < 0)
        return -1;
    count(v->ctl, from, to, v->counts);
    return 0;
}

/* Those of the backup that come before a key, or all that are left, are not there any more. */
static int pass_removed(struct live_view *v, const struct bytes *before, struct err *e)
{
    struct key_value from;

    for (; peek(v->side, &from) && (!before || bolt_key_compare(from.key, *before) < 0); v->side->next++)
        if (count_live(v, &from, NULL, e) < 0)
            return -1;
    return 0;
}

static int on_live_key(void *ctx, const Control__LiveKey *key, struct err *e)
{
    struct live_view *v = ctx;
    const struct key_value to = {.key = {.data = key->name.data, .len = key->name.len},
            .create_revision = key->create_revision,
            .mod_revision = key->mod_revision};
    struct key_value from;

    if (pass_removed(v, &to.key, e) < 0)
        return -1;
    if (!peek(v->side, &from) || bolt_key_compare(from.key, to.key) != 0)
        return count_live(v, NULL, &to, e);
    v->side->next++;
    if (from.mod_revision == to.mod_revision && from.create_revision == to.create_revision)
        return 0;
    return count_live(v, &from, &to, e);
}

static void on_note(void *ctx, const Control__Note *note)
{
    (void)ctx;
    show_note(note->text);
}

static void on_live_done(void *ctx, const Control__Done *done)
{
    struct live_view *v = ctx;

    if (done->result_case != CONTROL__DONE__RESULT_LIVE)
        return;
    (void)pass_removed(v, NULL, &v->why);
    v->revision = done->live->revision;
}

/* Nothing is printed while etcd and the daemon are waited for: they would wait for whoever reads it in a pager. */
static int compare_live(const struct ctl *ctl, struct side *side, struct counts *n)
{
    struct live_view v = {.ctl = ctl, .side = side, .counts = n};
    struct talk t = {.ctx = &v, .on_live_key = on_live_key, .on_note = on_note, .on_done = on_live_done};
    Control__Live body = CONTROL__LIVE__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    const struct bytes prefix = look_bytes(ctl->argument);
    char *text = NULL;
    size_t len = 0;
    int status;

    n->out = open_memstream(&text, &len);
    if (!n->out) {
        show_failure("out of memory");
        return CTL_FAILED;
    }
    body.prefix = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)prefix.data, .len = prefix.len};
    request.body_case = CONTROL__REQUEST__BODY_LIVE;
    request.live = &body;
    status = talk(ctl, &request, &t);
    talk_release_signals();
    if (fclose(n->out) != 0 && !v.why.kind)
        err_set(&v.why, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (v.why.kind && status == CTL_DONE)
        status = look_failed(ctl, &v.why);
    if (status == CTL_DONE) /* half of a difference is none */
        (void)fwrite(text, 1, len, stdout);
    free(text);
    if (status == CTL_DONE && !ctl->quiet && !ctl->json)
        (void)fprintf(stderr,
                "%" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " changed from revision %" PRId64
                " of %s to etcd at revision %" PRId64 "\n",
                n->added, n->removed, n->changed, side->database.revision, side->database.name, v.revision);
    return status;
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
        show_failure("compare it with what? give --to or --live, or for two revisions of one backup --rev or --to-rev");
        return -1;
    }
    if (diff.to && diff.from.file)
        other->file = diff.to;
    else if (diff.to)
        return word_backup(diff.to, &other->backup);
    return 0;
}

static int run_both(const struct ctl *ctl, struct side *a, struct side *b, struct counts *n)
{
    struct look other;
    int status;

    if (choose_other(&other) < 0)
        return CTL_USAGE;
    status = open_side(a, &diff.from, ctl);
    if (status == CTL_DONE)
        status = open_side(b, &other, ctl);
    if (status != CTL_DONE)
        return status;
    compare(ctl, a, b, n);
    tell_counts(ctl, a, b, n);
    return CTL_DONE;
}

static int run_live(const struct ctl *ctl, struct side *a, struct counts *n)
{
    int status;

    if (diff.to || diff.to_revision) {
        show_failure("--live, and --to or --to-rev: give one of them");
        return CTL_USAGE;
    }
    status = open_side(a, &diff.from, ctl);
    return status == CTL_DONE ? compare_live(ctl, a, n) : status;
}

static int run(const struct ctl *ctl, struct side *a, struct side *b)
{
    struct counts n = {.out = stdout};
    int status = diff.is_live ? run_live(ctl, a, &n) : run_both(ctl, a, b, &n);

    status = answer_end(status, true);
    if (status != CTL_DONE)
        return status == CTL_FAILED ? TROUBLE : status;
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
