#include "control/messages.h"

#include <string.h>
#include <unistd.h>

#include "control.pb-c.h"
#include "control/wire.h"
#include "job/keys/key_form.h"
#include "job/keys/keyring.h"
#include "job/message/backup_message.h"
#include "version.h"

/* protobuf-c's strings are not const, though packing does not touch them. */
static char *text(const char *s)
{
    return (char *)(uintptr_t)(s ? s : "");
}

static int append(struct buf *out, Control__Reply *reply, struct err *e)
{
    return wire_append(out, &reply->base, e);
}

int message_welcome(struct buf *out, const char *socket, struct err *e)
{
    Control__Welcome welcome = CONTROL__WELCOME__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    welcome.version = WIRE_VERSION;
    welcome.program = text("etcd-backupd " VERSION);
    welcome.socket = text(socket);
    reply.body_case = CONTROL__REPLY__BODY_WELCOME;
    reply.welcome = &welcome;
    return append(out, &reply, e);
}

static void fill_progress(Control__Progress *m, const struct job_progress *p, uint64_t elapsed_ms)
{
    m->phase = text(p->phase);
    m->done = p->done;
    m->total = p->total;
    m->unit = text(p->unit);
    m->elapsed_ms = elapsed_ms;
}

int message_progress(struct buf *out, const struct job_progress *p, uint64_t elapsed_ms, struct err *e)
{
    Control__Progress progress = CONTROL__PROGRESS__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    fill_progress(&progress, p, elapsed_ms);
    reply.body_case = CONTROL__REPLY__BODY_PROGRESS;
    reply.progress = &progress;
    return append(out, &reply, e);
}

int message_note(struct buf *out, const char *note_text, bool is_passing, struct err *e)
{
    Control__Note note = CONTROL__NOTE__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    note.text = text(note_text);
    note.passing = is_passing;
    reply.body_case = CONTROL__REPLY__BODY_NOTE;
    reply.note = &note;
    return append(out, &reply, e);
}

/* What a size says comes before what the key says, and that before what the names say. */
static const char *state_name(const struct inventory_entry *shown)
{
    const struct catalog_backup *b = shown->backup;

    if (b->doubt == CATALOG_WRONG_SIZE)
        return "wrong-size";
    if (strcmp(shown->key, "none") == 0)
        return "other-key";
    if (shown->key_is_missing)
        return "key-missing";
    if (b->doubt == CATALOG_BAD || (b->is_marked && b->doubt == CATALOG_PLAIN))
        return "damaged";
    if (b->doubt == CATALOG_OTHER_CLUSTER)
        return "other-cluster";
    if (b->doubt == CATALOG_FUTURE)
        return "future";
    if (b->doubt == CATALOG_PLAIN)
        return "not-encrypted";
    switch (b->state) {
    case CATALOG_COMPLETE:
    case CATALOG_KEY_MISSING: /* it is plain, as its metadata say */
        return "complete";
    case CATALOG_UNREADABLE:
        return "unreadable-name";
    case CATALOG_ORPHAN_MARK:
    case CATALOG_CLAIM:
    case CATALOG_CHECK:
        break;
    case CATALOG_ORPHAN_KEY:
        return "orphan-key";
    }
    return "unknown";
}

int message_entry(struct buf *out, const struct inventory_entry *shown, struct known *known, struct err *e)
{
    const struct catalog_backup *b = shown->backup;
    Control__Entry entry = CONTROL__ENTRY__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;
    struct known_object object = {.name = b->name, .etag = b->etag, .size = b->size};
    struct known_facts facts = known_find(known, &object);

    entry.name = text(b->name);
    entry.instant = b->instant;
    entry.size = b->size;
    entry.snapshot_size = shown->snapshot_size;
    entry.encrypted = b->has_key || shown->key_is_missing;
    entry.state = text(state_name(shown));
    entry.last_modified = b->last_modified;
    entry.etcd_version = text(shown->etcd_version);
    entry.storage_version = text(shown->storage_version);
    entry.revision_before = shown->revision_before;
    entry.revision_after = shown->revision_after;
    entry.revision = shown->revision;
    entry.compact_revision = shown->compact_revision;
    entry.revisions = shown->revisions;
    entry.has_hashkv = shown->hashkv.is_known;
    entry.hashkv = shown->hashkv.hash;
    entry.has_keys = shown->has_keys;
    entry.keys = shown->keys;
    entry.verified = facts.verified;
    entry.verified_good = facts.verdict == KNOWN_GOOD;
    entry.key = text(shown->key);
    entry.sealed = shown->sealed_to[0] != '\0';
    entry.sealed_to = text(shown->sealed_to);
    reply.body_case = CONTROL__REPLY__BODY_ENTRY;
    reply.entry = &entry;
    return append(out, &reply, e);
}

int message_output(struct buf *out, const char *line, struct err *e)
{
    Control__Output output = CONTROL__OUTPUT__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    output.text = text(line);
    reply.body_case = CONTROL__REPLY__BODY_OUTPUT;
    reply.output = &output;
    return append(out, &reply, e);
}

static const char *contents_name(enum contents_verdict verdict)
{
    static const char *const names[] = {
            [CONTENTS_UNREAD] = "",
            [CONTENTS_PROVEN] = "proven",
            [CONTENTS_DIFFERENT] = "different",
            [CONTENTS_UNRECORDED] = "not recorded",
            [CONTENTS_NOT_COMPARED] = "not compared",
    };

    return names[verdict];
}

/* Of a drill: what we have counted, where we have, before what etcdutl has. */
static void fill_contents(Control__Verdict *m, const struct verdict *v)
{
    const struct contents_finding *c = v->contents;

    m->contents = text(contents_name(c->verdict));
    m->contents_why = text(c->why);
    m->has_hashkv = c->has_hash;
    m->hashkv = c->hash;
    m->drilled = v->drilled || c->verdict != CONTENTS_UNREAD;
    m->revision = c->has_hash ? c->revision : v->revision;
    m->counts_keys = c->has_hash || (v->drilled && v->counts_keys);
    m->keys = c->has_hash ? c->keys : v->counts_keys ? v->count : 0;
    m->counts_entries = v->drilled && !v->counts_keys;
    m->entries = v->counts_keys ? 0 : v->count;
}

int message_verdict(struct buf *out, const struct verdict *v, struct err *e)
{
    Control__Verdict verdict = CONTROL__VERDICT__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    verdict.name = text(v->name);
    verdict.instant = v->instant;
    verdict.good = v->err == NULL;
    verdict.kind = text(v->err ? err_kind_name(v->err->kind) : "");
    verdict.text = text(v->err ? v->err->text : "");
    verdict.snapshot_size = v->snapshot_size;
    verdict.encrypted = v->encrypted;
    verdict.elapsed_ms = v->elapsed_ms;
    verdict.unknown = v->is_unknown;
    verdict.vouched = v->is_vouched;
    fill_contents(&verdict, v);
    reply.body_case = CONTROL__REPLY__BODY_VERDICT;
    reply.verdict = &verdict;
    return append(out, &reply, e);
}

int message_planned(struct buf *out, const struct planned *p, struct err *e)
{
    Control__Planned planned = CONTROL__PLANNED__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    planned.name = text(p->name);
    planned.instant = p->instant;
    planned.size = p->size;
    planned.goes = p->goes;
    planned.reason = text(p->reason);
    planned.kind = text(p->err ? err_kind_name(p->err->kind) : "");
    planned.text = text(p->err ? p->err->text : "");
    reply.body_case = CONTROL__REPLY__BODY_PLANNED;
    reply.planned = &planned;
    return append(out, &reply, e);
}

int message_finding(struct buf *out, const struct finding *f, struct err *e)
{
    static const char *const marks[] = {[FINDING_OK] = "ok", [FINDING_WARNING] = "warning", [FINDING_FAILS] = "fails"};
    Control__Finding finding = CONTROL__FINDING__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    finding.mark = text(marks[f->mark]);
    finding.subject = text(f->subject);
    finding.what = text(f->what);
    finding.affects = text(f->affects);
    finding.text = text(f->text);
    reply.body_case = CONTROL__REPLY__BODY_FINDING;
    reply.finding = &finding;
    return append(out, &reply, e);
}

int message_unrotated(struct buf *out, const struct unrotated *u, struct err *e)
{
    Control__Unrotated unrotated = CONTROL__UNROTATED__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    unrotated.name = text(u->name);
    unrotated.kind = text(err_kind_name(u->err->kind));
    unrotated.text = text(u->err->text);
    unrotated.is_old_version = u->is_old_version;
    reply.body_case = CONTROL__REPLY__BODY_UNROTATED;
    reply.unrotated = &unrotated;
    return append(out, &reply, e);
}

static void fill_restore(Control__RestoreResult *m, const struct restore_result *r)
{
    m->name = text(r->name);
    m->instant = r->instant;
    m->snapshot_size = r->snapshot_size;
    m->elapsed_ms = r->elapsed_ms;
    m->output = text(r->output);
    m->encrypted = r->encrypted;
    m->hash_checked = r->hash_checked;
    m->data_dir = text(r->data_dir);
    m->wal_dir = text(r->wal_dir);
    m->tool = text(r->tool);
    m->dry_run = r->dry_run;
    m->owner = text(r->owner);
    m->member = text(r->member);
    m->initial_cluster = text(r->initial_cluster);
    m->initial_cluster_token = text(r->initial_cluster_token);
}

static void fill_verify(Control__VerifyResult *m, const struct verify_result *r)
{
    m->good = r->good;
    m->bad = r->bad;
    m->vouched = r->vouched;
    m->elapsed_ms = r->elapsed_ms;
    m->tool = text(r->tool);
    m->left_out = text(r->left_out);
}

static void fill_prune(Control__PruneResult *m, const struct prune_result *r)
{
    m->kept = r->kept;
    m->deleted = r->deleted;
    m->lone_keys = r->lone_keys;
    m->uploads = r->uploads;
    m->locked = r->locked;
    m->deleted_bytes = r->deleted_bytes;
    m->remaining = r->remaining;
    m->remaining_bytes = r->remaining_bytes;
    m->elapsed_ms = r->elapsed_ms;
    m->dry_run = r->dry_run;
    m->keeps_versions = r->keeps_versions;
    m->versions_unknown = r->versions_unknown;
}

/* What a message of a rotation points to. */
struct rotate_lists {
    char *recipients[AGE_RECIPIENTS_MAX], *previous[AGE_IDENTITIES_MAX], *opened[AGE_IDENTITIES_MAX];
};

static void fill_rotate(
        Control__RotateResult *m, const struct rotate_result *r, const struct core *core, struct rotate_lists *lists)
{
    m->rotated = r->rotated;
    m->already = r->already;
    m->failed = r->failed;
    m->previous_key = text(r->previous);
    m->new_key = text(r->next);
    m->configured_key = text(r->configured);
    m->old_versions = r->old_versions;
    m->lost_versions = r->lost_versions;
    m->purged = r->purged;
    m->bound = r->bound;
    m->other_versions = r->other_versions;
    m->locked_versions = r->locked_versions;
    m->locked_until = r->locked_until;
    m->versions_unknown = r->versions_unknown;
    m->elapsed_ms = r->elapsed_ms;
    m->dry_run = r->dry_run;
    m->bucket = text(core_bucket_url(core));
    m->recipients = lists->recipients;
    for (size_t i = 0; i < r->n_recipients; i++)
        lists->recipients[m->n_recipients++] = text(r->recipients[i]);
    m->previous_recipients = lists->previous;
    m->opened_recipients = lists->opened;
    for (size_t i = 0; i < r->n_previous_recipients; i++) {
        lists->previous[m->n_previous_recipients++] = text(r->previous_recipients[i]);
        if (r->previous_opened[i])
            lists->opened[m->n_opened_recipients++] = text(r->previous_recipients[i]);
    }
}

int message_listed(struct buf *out, const struct core *core, struct err *e)
{
    Control__ListResult list = CONTROL__LIST_RESULT__INIT;
    Control__Done done = CONTROL__DONE__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;
    char fingerprint[KEY_FINGERPRINT_MAX];
    struct err ignored; /* who needs the key will be told */

    (void)keyring_current_fingerprint(core_conf(core), fingerprint, &ignored);
    list.key = fingerprint;
    done.result_case = CONTROL__DONE__RESULT_LIST;
    done.list = &list;
    reply.body_case = CONTROL__REPLY__BODY_DONE;
    reply.done = &done;
    return append(out, &reply, e);
}

static void fill_check(Control__CheckResult *m, const struct check_result *r)
{
    m->ok = r->ok;
    m->warnings = r->warnings;
    m->failures = r->failures;
    m->elapsed_ms = r->elapsed_ms;
    m->policy = text(r->policy ? r->policy : "");
}

/* With a failure: how far others came is for those alone who count. */
static bool says_how_far(const struct job_result *result)
{
    return result->rotate || result->check || (result->prune && result->prune->has_begun);
}

int message_live_key(struct buf *out, const struct etcd_messages_key *key, struct err *e)
{
    Control__LiveKey m = CONTROL__LIVE_KEY__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    if (key->name.len > WIRE_FRAME_MAX / 2)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "etcd has a key whose name has %zu bytes: that is longer than can be told", key->name.len);
    m.name = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)key->name.data, .len = key->name.len};
    m.create_revision = key->create_revision;
    m.mod_revision = key->mod_revision;
    reply.body_case = CONTROL__REPLY__BODY_LIVE_KEY;
    reply.live_key = &m;
    return append(out, &reply, e);
}

int message_live(struct buf *out, int64_t revision, struct err *e)
{
    Control__LiveResult result = CONTROL__LIVE_RESULT__INIT;
    Control__Done done = CONTROL__DONE__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    result.revision = revision;
    done.result_case = CONTROL__DONE__RESULT_LIVE;
    done.live = &result;
    reply.body_case = CONTROL__REPLY__BODY_DONE;
    reply.done = &done;
    return append(out, &reply, e);
}

static void fill_look(Control__LookResult *m, const struct look_result *r)
{
    m->name = text(r->name);
    m->instant = r->instant;
    m->snapshot_size = r->snapshot_size;
    m->encrypted = r->encrypted;
    m->hash_checked = r->hash_checked;
    m->elapsed_ms = r->elapsed_ms;
}

int message_done(struct buf *out, const struct core *core, const struct job_result *result, const struct err *failure,
        struct err *e)
{
    Control__RotateResult rotate = CONTROL__ROTATE_RESULT__INIT;
    struct rotate_lists lists;
    Control__BackupResult backup = CONTROL__BACKUP_RESULT__INIT;
    Control__RestoreResult restore = CONTROL__RESTORE_RESULT__INIT;
    Control__VerifyResult verify = CONTROL__VERIFY_RESULT__INIT;
    Control__PruneResult prune = CONTROL__PRUNE_RESULT__INIT;
    Control__LookResult look = CONTROL__LOOK_RESULT__INIT;
    Control__CheckResult check = CONTROL__CHECK_RESULT__INIT;
    Control__Failure failed = CONTROL__FAILURE__INIT;
    Control__Done done = CONTROL__DONE__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    reply.body_case = CONTROL__REPLY__BODY_DONE;
    reply.done = &done;
    if (failure) {
        failed.kind = text(err_kind_name(failure->kind));
        failed.text = text(failure->text);
        done.failure = &failed;
        if (result && !says_how_far(result))
            result = NULL;
    }
    if (result && result->backup) {
        backup_message_fill(&backup, result->backup);
        done.result_case = CONTROL__DONE__RESULT_BACKUP;
        done.backup = &backup;
    } else if (result && result->restore) {
        fill_restore(&restore, result->restore);
        done.result_case = CONTROL__DONE__RESULT_RESTORE;
        done.restore = &restore;
    } else if (result && result->verify) {
        fill_verify(&verify, result->verify);
        done.result_case = CONTROL__DONE__RESULT_VERIFY;
        done.verify = &verify;
    } else if (result && result->prune) {
        fill_prune(&prune, result->prune);
        done.result_case = CONTROL__DONE__RESULT_PRUNE;
        done.prune = &prune;
    } else if (result && result->rotate) {
        fill_rotate(&rotate, result->rotate, core, &lists);
        done.result_case = CONTROL__DONE__RESULT_ROTATE;
        done.rotate = &rotate;
    } else if (result && result->look) {
        fill_look(&look, result->look);
        done.result_case = CONTROL__DONE__RESULT_LOOK;
        done.look = &look;
    } else if (result && result->check) {
        fill_check(&check, result->check);
        done.result_case = CONTROL__DONE__RESULT_CHECK;
        done.check = &check;
    }
    return append(out, &reply, e);
}

/* What the reply points to while it is packed. */
struct running_parts {
    Control__Running running;
    Control__Progress progress;
};

struct status_parts {
    struct running_parts running, beside;
    Control__BackupResult success;
    Control__Failure failure;
    Control__PruneResult prune;
};

static Control__Running *fill_running(struct running_parts *parts, const struct jobs_running *r)
{
    if (!r->name)
        return NULL;
    fill_progress(&parts->progress, &r->progress, 0);
    parts->running.job = text(r->name);
    parts->running.since = r->since;
    parts->running.progress = &parts->progress;
    parts->running.note = text(r->note);
    return &parts->running;
}

static void fill_jobs(Control__StatusResult *m, const struct jobs_state *state, struct status_parts *parts)
{
    bool changes = state->changing.name != NULL;

    m->running = fill_running(&parts->running, changes ? &state->changing : &state->reading);
    if (changes)
        m->beside = fill_running(&parts->beside, &state->reading);
    m->waiting = (char **)(uintptr_t)state->waiting;
    m->n_waiting = state->n_waiting;
    if (state->has_success) {
        backup_message_fill(&parts->success, &state->last_success);
        m->last_success = &parts->success;
    }
    if (state->has_failure) {
        parts->failure.kind = text(err_kind_name(state->last_failure.kind));
        parts->failure.text = text(state->last_failure.text);
        parts->failure.instant = state->failed_at;
        parts->failure.job = text(state->failed_job);
        m->last_failure = &parts->failure;
    }
    if (state->has_prune) {
        fill_prune(&parts->prune, &state->last_prune);
        m->last_prune = &parts->prune;
        m->pruned = state->pruned_at;
    }
}

static void fill_verification(Control__StatusResult *m, const struct cycle_state *cycle)
{
    const struct verification_state *v = &cycle->verify;
    const struct round_result *r = &v->round;

    m->verify_schedule = text(v->schedule);
    m->next_verify = cycle->next_verify;
    m->verify_began = r->began;
    m->verify_ended = r->ended;
    m->verify_good = r->good;
    m->verify_bad = r->bad;
    m->verify_vouched = r->vouched;
    m->verify_left = r->left;
    m->verify_text = text(r->first_bad.kind ? r->first_bad.text : r->last_unknown.text);
    m->verify_left_out = text(r->left_out);
    m->proven = v->proven;
    m->bad_newest = text(cycle->bad_newest.text);
}

/* What the next backup's key would be, as the configuration that is in use says. */
static void describe_form(const struct conf *conf, const char *fingerprint, char out[KEY_FORM_WORDS_MAX])
{
    struct key_form form;
    struct err ignored; /* recipients that a start has looked at */

    out[0] = '\0';
    if (key_form_of(conf, NULL, &form, &ignored) == 0)
        (void)key_form_words(
                &form, conf->encryption_key_path && !fingerprint[0] ? "(cannot be read)" : fingerprint, out);
}

int message_status(struct buf *out, const struct core *core, const struct jobs_state *state,
        const struct cycle_state *cycle, int64_t started, struct err *e)
{
    const struct conf *conf = core_conf(core);
    char fingerprint[KEY_FINGERPRINT_MAX], form[KEY_FORM_WORDS_MAX];
    struct err trouble = ERR_INIT;
    struct cloud_state credentials;
    Control__StatusResult status = CONTROL__STATUS_RESULT__INIT;
    struct status_parts parts = {{CONTROL__RUNNING__INIT, CONTROL__PROGRESS__INIT},
            {CONTROL__RUNNING__INIT, CONTROL__PROGRESS__INIT}, CONTROL__BACKUP_RESULT__INIT, CONTROL__FAILURE__INIT,
            CONTROL__PRUNE_RESULT__INIT};
    Control__Done done = CONTROL__DONE__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;

    status.program = text("etcd-backupd " VERSION);
    status.pid = (uint32_t)getpid();
    status.started = started;
    status.config = conf->file;
    status.bucket = text(core_bucket_url(core));
    status.encrypting = conf_encrypts(conf);
    status.key = fingerprint;
    if (keyring_current_fingerprint(conf, fingerprint, &trouble) < 0)
        status.key_trouble = trouble.text;
    else
        status.key_trouble =
                text(cycle->key_trouble.kind == ERR_NONE && cycle->needs_previous
                                ? "some backups are opened by a key of previous_key_paths alone: rotate-key is not done"
                                : cycle->key_trouble.text);
    describe_form(conf, fingerprint, form);
    status.key_form = form;
    status.recipients = conf->encryption_recipients;
    status.n_recipients = conf->n_encryption_recipients;
    status.endpoints = conf->etcd.endpoints;
    status.n_endpoints = conf->etcd.n_endpoints;
    status.next_backup = cycle->next;
    status.schedule = text(cycle->schedule);
    status.newest = cycle->newest;
    status.failures_in_a_row = cycle->failures;
    status.bucket_trouble = text(cycle->is_known ? "" : cycle->lookup.text);
    if (core_credentials_state(core, &credentials)) {
        status.credentials = text(credentials.kind);
        status.credentials_expire = credentials.expires;
        status.credentials_trouble = credentials.trouble.text;
    }
    fill_verification(&status, cycle);
    fill_jobs(&status, state, &parts);
    done.result_case = CONTROL__DONE__RESULT_STATUS;
    done.status = &status;
    reply.body_case = CONTROL__REPLY__BODY_DONE;
    reply.done = &done;
    return append(out, &reply, e);
}
