#include "ctl/results.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/json.h"

/* ctl's own results go to stdout. */
static void put_name(bool *first, const char *name)
{
    json_name(stdout, first, name);
}

static void put_text(bool *first, const char *name, const char *value)
{
    json_text(stdout, first, name, value);
}

static void put_number(bool *first, const char *name, uint64_t value)
{
    json_number(stdout, first, name, value);
}

static void put_signed(bool *first, const char *name, int64_t value)
{
    json_signed(stdout, first, name, value);
}

static void put_bool(bool *first, const char *name, bool value)
{
    json_bool(stdout, first, name, value);
}

static void put_instant(bool *first, const char *name, int64_t instant)
{
    json_instant(stdout, first, name, instant);
}

void results_failure(const char *kind, const char *text)
{
    bool first = true;

    put_name(&first, "failure");
    first = true;
    put_text(&first, "kind", kind);
    put_text(&first, "text", text);
    (void)puts("}}");
}

void results_entry(const Control__Entry *e)
{
    bool first = true;

    put_text(&first, "name", e->name);
    put_instant(&first, "instant", e->instant);
    put_number(&first, "size", e->size);
    put_bool(&first, "encrypted", e->encrypted);
    put_text(&first, "state", e->state);
    put_instant(&first, "last_modified", e->last_modified);
    put_instant(&first, "verified", e->verified);
    put_name(&first, "verified_good");
    (void)fputs(!e->verified ? "null" : e->verified_good ? "true" : "false", stdout);
    put_text(&first, "etcd_version", e->etcd_version);
    put_signed(&first, "revision_before", e->revision_before);
    put_signed(&first, "revision_after", e->revision_after);
    put_text(&first, "key", e->key);
    (void)puts("}");
}

void results_unrotated(const Control__Unrotated *u)
{
    bool first = true;

    put_text(&first, "name", u->name);
    put_text(&first, "kind", u->kind);
    put_text(&first, "text", u->text);
    (void)puts("}");
}

void results_key(const char *file, const char *fingerprint)
{
    bool first = true;

    put_text(&first, "file", file);
    put_text(&first, "fingerprint", fingerprint);
    (void)puts("}");
}

void results_verdict(const Control__Verdict *v)
{
    bool first = true;

    put_text(&first, "name", v->name);
    put_instant(&first, "instant", v->instant);
    put_bool(&first, "good", v->good);
    put_bool(&first, "unknown", v->unknown);
    put_text(&first, "kind", v->kind);
    put_text(&first, "text", v->text);
    put_number(&first, "snapshot_size", v->snapshot_size);
    put_bool(&first, "encrypted", v->encrypted);
    put_number(&first, "elapsed_ms", v->elapsed_ms);
    if (v->drilled) {
        put_signed(&first, "revision", v->revision);
        put_number(&first, "keys", v->keys);
    }
    (void)puts("}");
}

void results_planned(const Control__Planned *p)
{
    bool first = true;

    put_text(&first, "name", p->name);
    put_instant(&first, "instant", p->instant);
    put_number(&first, "size", p->size);
    put_bool(&first, "goes", p->goes);
    put_text(&first, "reason", p->reason);
    put_text(&first, "kind", p->kind);
    put_text(&first, "text", p->text);
    (void)puts("}");
}

static void put_prune(const Control__PruneResult *r)
{
    bool first = true;

    put_number(&first, "kept", r->kept);
    put_number(&first, "deleted", r->deleted);
    put_number(&first, "lone_keys", r->lone_keys);
    put_number(&first, "uploads", r->uploads);
    put_number(&first, "locked", r->locked);
    put_number(&first, "deleted_bytes", r->deleted_bytes);
    put_bool(&first, "keeps_versions", r->keeps_versions);
    put_bool(&first, "versions_unknown", r->versions_unknown);
    put_number(&first, "remaining", r->remaining);
    put_number(&first, "remaining_bytes", r->remaining_bytes);
    put_number(&first, "elapsed_ms", r->elapsed_ms);
    put_bool(&first, "dry_run", r->dry_run);
    (void)putchar('}');
}

static void put_rotate(const Control__RotateResult *r)
{
    bool first = true;

    put_text(&first, "bucket", r->bucket);
    put_text(&first, "previous_key", r->previous_key);
    put_text(&first, "new_key", r->new_key);
    put_text(&first, "configured_key", r->configured_key);
    put_number(&first, "rotated", r->rotated);
    put_number(&first, "already", r->already);
    put_number(&first, "failed", r->failed);
    put_number(&first, "old_versions", r->old_versions);
    put_number(&first, "lost_versions", r->lost_versions);
    put_number(&first, "purged", r->purged);
    put_number(&first, "bound", r->bound);
    put_number(&first, "other_versions", r->other_versions);
    put_number(&first, "locked_versions", r->locked_versions);
    put_instant(&first, "locked_until", r->locked_until == INT64_MAX ? 0 : r->locked_until);
    put_bool(&first, "versions_unknown", r->versions_unknown);
    put_number(&first, "elapsed_ms", r->elapsed_ms);
    put_bool(&first, "dry_run", r->dry_run);
    (void)putchar('}');
}

static void put_backup(const Control__BackupResult *b)
{
    bool first = true;

    put_text(&first, "name", b->name);
    put_instant(&first, "instant", b->instant);
    put_number(&first, "snapshot_size", b->snapshot_size);
    put_number(&first, "stored_size", b->stored_size);
    put_number(&first, "elapsed_ms", b->elapsed_ms);
    put_bool(&first, "encrypted", b->encrypted);
    put_text(&first, "endpoint", b->endpoint);
    put_text(&first, "member", b->member);
    put_text(&first, "etcd_version", b->etcd_version);
    put_signed(&first, "revision_before", b->revision_before);
    put_signed(&first, "revision_after", b->revision_after);
    put_number(&first, "attempts", b->attempts);
    put_number(&first, "spooled", b->spooled);
    put_text(&first, "doubt", b->doubt);
    (void)putchar('}');
}

static void put_restore(const Control__RestoreResult *r)
{
    bool first = true;

    put_text(&first, "name", r->name);
    put_instant(&first, "instant", r->instant);
    put_number(&first, "snapshot_size", r->snapshot_size);
    put_number(&first, "elapsed_ms", r->elapsed_ms);
    put_text(&first, "output", r->output);
    put_bool(&first, "encrypted", r->encrypted);
    put_bool(&first, "hash_checked", r->hash_checked);
    put_text(&first, "data_dir", r->data_dir);
    put_text(&first, "wal_dir", r->wal_dir);
    put_text(&first, "owner", r->owner);
    put_text(&first, "member", r->member);
    put_text(&first, "initial_cluster", r->initial_cluster);
    put_text(&first, "initial_cluster_token", r->initial_cluster_token);
    put_text(&first, "tool", r->tool);
    put_bool(&first, "dry_run", r->dry_run);
    (void)putchar('}');
}

static void put_verify(const Control__VerifyResult *v)
{
    bool first = true;

    put_number(&first, "good", v->good);
    put_number(&first, "bad", v->bad);
    put_number(&first, "elapsed_ms", v->elapsed_ms);
    put_text(&first, "tool", v->tool);
    (void)putchar('}');
}

static void put_running(const Control__Running *r)
{
    bool first = true;

    put_text(&first, "job", r->job);
    put_instant(&first, "since", r->since);
    if (r->progress) {
        put_text(&first, "phase", r->progress->phase);
        put_number(&first, "done", r->progress->done);
        put_number(&first, "total", r->progress->total);
        put_text(&first, "unit", r->progress->unit[0] ? r->progress->unit : "bytes");
    }
    put_text(&first, "note", r->note);
    (void)putchar('}');
}

static void put_texts(bool *first, const char *name, char **texts, size_t n)
{
    put_name(first, name);
    (void)putchar('[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            (void)putchar(',');
        json_string(stdout, texts[i]);
    }
    (void)putchar(']');
}

static void put_last_failure(const Control__Failure *f)
{
    bool first = true;

    put_text(&first, "job", f->job);
    put_instant(&first, "instant", f->instant);
    put_text(&first, "kind", f->kind);
    put_text(&first, "text", f->text);
    (void)putchar('}');
}

static void put_status(const Control__StatusResult *s)
{
    bool first = true;

    put_text(&first, "program", s->program);
    put_number(&first, "pid", s->pid);
    put_instant(&first, "started", s->started);
    put_text(&first, "config", s->config);
    put_text(&first, "bucket", s->bucket);
    put_text(&first, "bucket_trouble", s->bucket_trouble);
    put_bool(&first, "encrypting", s->encrypting);
    put_text(&first, "key", s->key);
    put_text(&first, "key_trouble", s->key_trouble);
    put_texts(&first, "endpoints", s->endpoints, s->n_endpoints);
    put_text(&first, "schedule", s->schedule);
    put_instant(&first, "next_backup", s->next_backup);
    put_instant(&first, "newest", s->newest);
    put_number(&first, "failures_in_a_row", s->failures_in_a_row);
    put_name(&first, "last_prune");
    s->last_prune ? put_prune(s->last_prune) : (void)fputs("null", stdout);
    put_instant(&first, "pruned", s->pruned);
    put_name(&first, "running");
    s->running ? put_running(s->running) : (void)fputs("null", stdout);
    put_name(&first, "beside");
    s->beside ? put_running(s->beside) : (void)fputs("null", stdout);
    put_texts(&first, "waiting", s->waiting, s->n_waiting);
    put_name(&first, "last_success");
    s->last_success ? put_backup(s->last_success) : (void)fputs("null", stdout);
    put_name(&first, "last_failure");
    s->last_failure ? put_last_failure(s->last_failure) : (void)fputs("null", stdout);
    (void)putchar('}');
}

void results_done(const Control__Done *done)
{
    switch (done->result_case) {
    case CONTROL__DONE__RESULT_BACKUP:
        put_backup(done->backup);
        break;
    case CONTROL__DONE__RESULT_RESTORE:
        put_restore(done->restore);
        break;
    case CONTROL__DONE__RESULT_VERIFY:
        put_verify(done->verify);
        break;
    case CONTROL__DONE__RESULT_PRUNE:
        put_prune(done->prune);
        break;
    case CONTROL__DONE__RESULT_ROTATE:
        put_rotate(done->rotate);
        break;
    case CONTROL__DONE__RESULT_STATUS:
        put_status(done->status);
        break;
    default:
        return;
    }
    (void)putchar('\n');
}
