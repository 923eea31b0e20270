#include "job/backup/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "core/leftovers.h"
#include "job/backup/comparison.h"
#include "job/backup/damage_mark.h"
#include "job/backup/damaged_end.h"
#include "job/backup/data_key.h"
#include "job/backup/dump_object.h"
#include "job/backup/predecessor.h"
#include "job/backup/stream.h"
#include "job/bucket/claim.h"
#include "job/bucket/retry_note.h"
#include "job/lifecycle.h"
#include "s3/upload.h"

/*
 * The life of a backup. Each state names what is waited for; advance() looks at what has arrived and moves on. What
 * has to come together before the commit are the bits of `have`.
 */
enum state {
    CONNECTING, /* a session with an etcd member */
    CLAIMING,   /* the name of the backup, and then the first message of the snapshot */
    STREAMING,  /* chunks from etcd, sealed, into the upload */
    FLUSHING,   /* all bytes are in the upload; S3 has yet to take them, and etcd and the digest have yet to agree */
    COMMITTING, /* CompleteMultipartUpload is on its way */
    CHECKING,   /* the dump is there: is the key beside it its own? */
    MARKING,    /* the database in it is damaged: that is written beside it */
    RELEASING,  /* it has succeeded: the claim goes */
    ABORTING,   /* something failed: the upload is taken back */
    FINISHED,
};

static const char *const phase_names[] = {"connecting", "claiming", "streaming", "flushing", "committing", "checking",
        "marking", "finishing", "aborting", "finished"};

/* What the commit waits for. */
enum {
    HAVE_END = 1,     /* etcd: all announced bytes, the trailer, grpc-status 0 */
    HAVE_VERDICT = 2, /* the trailer is the SHA-256 of the bytes that went by */
    HAVE_KEY = 4,     /* S3 has the wrapped key, or there is none */
    HAVE_PARTS = 8,   /* S3 has every part */
    HAVE_ALL = 15,
};

enum { PROGRESS_EVERY_MS = 250 };

struct backup {
    struct lifecycle life;
    enum state state;
    unsigned have;
    struct etcd_session *session;
    struct data_key *key; /* NULL: it is not encrypted */
    struct stream *stream;
    struct claim *claim; /* of the name, from CLAIMING to the end */
    struct s3_upload *upload;
    struct predecessor *predecessor; /* is being looked at */
    bool was_asked;                  /* the member, behind the snapshot; or that is left out */
    struct comparison *comparison;   /* of the members, behind that */
    bool accepts_damaged;
    struct damage_mark *mark;                  /* is being put */
    bool commit_sent;                          /* s3_upload_commit was called */
    bool aborting;                             /* s3_upload_abort was called */
    char other_cluster[ETCD_CHOOSE_DOUBT_MAX]; /* what the predecessor is; "": of ours, or not known */
    bool is_stored;                            /* it has succeeded, and waits for the look at its predecessor alone */
    struct err failure;                        /* the first, once ABORTING */
    struct err damage;                         /* of the database, if it is to be stored all the same; or kind 0 */
    struct err unmarked;                       /* why it is not marked as that; or kind 0 */
    uint64_t told;                             /* bytes of the snapshot, as progress */
    struct backup_result result;
};

static void advance(struct backup *b);

static bool encrypts(const struct backup *b)
{
    return conf_encrypts(core_conf(b->life.core));
}

static int compression_level(const struct backup *b)
{
    const struct conf *conf = core_conf(b->life.core);

    return conf->compression == CONF_COMPRESSION_ZSTD ? (int)conf->compression_level : 0;
}

/* Bytes of the snapshot of which S3 has what they became: as much of what went through as of what came out of that. The
 * ratio changes, and what was told stays. */
static uint64_t count_stored(struct backup *b)
{
    struct s3_upload_stats stats;
    uint64_t done;

    s3_upload_get_stats(b->upload, &stats);
    if (stats.written == 0)
        return 0;
    done = (uint64_t)((double)stream_taken(b->stream) * ((double)stats.stored / (double)stats.written));
    if (done > b->told)
        b->told = done;
    return b->told;
}

static void tell_progress(struct backup *b)
{
    struct job_progress p = {.phase = phase_names[b->state], .total = b->result.snapshot_size};

    if (b->upload)
        p.done = count_stored(b);
    lifecycle_progress(&b->life, &p);
}

/* What follows the commit has no patience where somebody waits for the end. */
static void hurry(struct backup *b)
{
    if (b->state == CHECKING)
        data_key_hurry(b->key);
    if (b->mark)
        damage_mark_hurry(b->mark);
}

static struct backup *of(struct lifecycle *life)
{
    return CONTAINER_OF(life, struct backup, life);
}

static void on_tick(struct lifecycle *life)
{
    tell_progress(of(life));
}

static void set_state(struct backup *b, enum state state)
{
    b->state = state;
    tell_progress(b);
}

/* It has failed: the first reason counts, and what follows is only cleaning up. */
static void fail(struct backup *b, const struct err *err, const char *doing)
{
    if (b->state >= ABORTING)
        return;
    b->failure = *err;
    if (doing)
        err_prepend(&b->failure, "%s: ", doing);
    set_state(b, ABORTING);
    advance(b);
}

static void fail_etcd(struct backup *b, const struct err *err, const char *doing)
{
    if (b->state >= ABORTING)
        return;
    if (b->session)
        etcd_session_blame(b->session, err);
    b->result.member_failed = true;
    fail(b, err, doing);
}

static void free_job(struct lifecycle *life)
{
    free(of(life));
}

/* The only end. The stream is not at work. */
static void finish(struct backup *b, const struct err *err)
{
    b->state = FINISHED;
    stream_free(TAKE_PTR(b->stream));
    etcd_session_close(TAKE_PTR(b->session));
    s3_upload_free(TAKE_PTR(b->upload));
    data_key_free(TAKE_PTR(b->key));
    predecessor_free(TAKE_PTR(b->predecessor));
    comparison_free(TAKE_PTR(b->comparison));
    damage_mark_free(TAKE_PTR(b->mark));
    claim_free(TAKE_PTR(b->claim));
    b->result.elapsed_ms = lifecycle_elapsed_ms(&b->life);
    lifecycle_end(&b->life, &(struct job_result){.backup = &b->result}, err);
}

static void tell_doubt(struct backup *b, const char *doubt)
{
    lifecycle_note(&b->life, doubt);
    if (!b->result.doubt[0])
        (void)snprintf(b->result.doubt, sizeof(b->result.doubt), "%s", doubt);
}

/* Each in a note; the first also goes with the result. */
static void tell_doubts(struct backup *b)
{
    char doubt[ETCD_CHOOSE_DOUBT_MAX];

    if (etcd_choose_doubt(&b->result.member, doubt))
        tell_doubt(b, doubt);
    if (etcd_choose_mixture(&b->result.member, doubt))
        tell_doubt(b, doubt);
    if (etcd_choose_downgrade(&b->result.member, doubt))
        tell_doubt(b, doubt);
    if (b->result.members.verdict == ETCD_COMPARE_DIVERGE) {
        (void)snprintf(doubt, sizeof(doubt),
                "etcd's members do not have the same contents at revision %" PRId64 ": %s; one of them is corrupt",
                b->result.facts.current, b->result.members.why);
        tell_doubt(b, doubt);
    }
    if (b->other_cluster[0])
        tell_doubt(b, b->other_cluster);
}

static bool is_damaged(const struct backup *b)
{
    return b->result.was_inspected && b->result.facts.structure == BOLT_DAMAGED;
}

/* What storing it came to does not hide what it is; but who has cancelled it knows why it ends. */
static void end_damaged(struct backup *b)
{
    const bool is_marked = b->unmarked.kind == ERR_NONE, is_cancelled = b->failure.kind == ERR_CANCELLED;
    struct damaged_end end = {
            .name = b->result.name, .damage = &b->damage, .unmarked = is_marked ? NULL : &b->unmarked};
    struct err e;

    if (b->state != RELEASING) {
        b->result.not_stored = b->failure.kind;
        end.failed = &b->failure;
    }
    e = is_cancelled ? b->failure : damaged_end_err(&end);
    finish(b, &e);
}

/* The last thing, whatever came of it: `failure` if it has failed. */
static void on_released(void *ctx)
{
    struct backup *b = ctx;

    claim_free(TAKE_PTR(b->claim));
    if (b->damage.kind != ERR_NONE)
        end_damaged(b);
    else
        finish(b, b->state == RELEASING ? NULL : &b->failure);
}

static void release_claim(struct backup *b)
{
    if (!b->claim || !claim_release(b->claim, b, on_released))
        on_released(b);
}

/* It is there, and counts for nothing: whoever lists the bucket sees that, or is told that he does not. */
static void on_marked(void *ctx, const struct err *err)
{
    struct backup *b = ctx;

    damage_mark_free(TAKE_PTR(b->mark));
    if (err)
        b->unmarked = *err;
    set_state(b, RELEASING);
    release_claim(b);
}

static void mark_damaged(struct backup *b)
{
    struct s3_upload_stats stats;
    struct damage_mark_spec spec = {.ctx = b, .on_done = on_marked};
    struct err e = ERR_INIT;

    s3_upload_get_stats(b->upload, &stats);
    spec.dump = (struct known_object){.name = b->result.name, .etag = stats.etag, .size = b->result.stored_size};
    b->result.is_stored_damaged = true;
    set_state(b, MARKING);
    b->mark = damage_mark_put(b->life.core, &spec, &e);
    if (!b->mark)
        on_marked(b, &e);
    else if (lifecycle_is_cancelled(&b->life))
        hurry(b);
}

static void succeed(struct backup *b)
{
    struct s3_upload_stats stats;
    char note[ERR_TEXT_MAX + 64];

    b->is_stored = true;
    if (b->predecessor) /* it comes back here */
        return;
    tell_doubts(b);
    s3_upload_get_stats(b->upload, &stats);
    if (stats.spool_err) {
        (void)snprintf(note, sizeof(note), "etcd had to wait for S3, because the spool took no more: %s",
                stats.spool_err->text);
        lifecycle_note(&b->life, note);
    }
    b->result.spooled = stats.spooled;
    b->result.blocked_ms = stats.blocked_ms;
    if (is_damaged(b)) {
        mark_damaged(b);
        return;
    }
    set_state(b, RELEASING);
    release_claim(b);
}

static void on_predecessor(void *ctx, const char *doubt)
{
    struct backup *b = ctx;

    predecessor_free(TAKE_PTR(b->predecessor));
    if (doubt)
        (void)snprintf(b->other_cluster, sizeof(b->other_cluster), "%s", doubt);
    if (b->is_stored)
        succeed(b);
}

/* Somebody waits for the end: the look at it is not worth that. */
static void leave_predecessor(struct backup *b)
{
    const bool is_awaited = b->predecessor && b->is_stored;

    predecessor_free(TAKE_PTR(b->predecessor));
    if (is_awaited)
        succeed(b);
}

/* ---- whether dump and key belong together ---- */

/* The dump is there and stays; it is not to be taken for a good one. */
static void fail_pair(struct backup *b, const struct err *err)
{
    s3_upload_free(TAKE_PTR(b->upload));
    data_key_leave(b->key);
    fail(b, err, NULL);
}

/* It is stored, as the store says, and that could not be seen: no reason for another one. */
static void tell_unseen(struct backup *b, const char *what, const struct err *err)
{
    char note[ERR_TEXT_MAX + 128];

    (void)snprintf(note, sizeof(note), "the backup is stored, but %s could not be looked at: %s", what, err->text);
    lifecycle_note(&b->life, note);
}

/* It is there, and whole; somebody has to look after what keeps it there. */
static void tell_unlocked(struct backup *b, const struct err *err)
{
    char note[ERR_TEXT_MAX + 128];

    (void)snprintf(
            note, sizeof(note), "the backup is stored, but its dump may not be under object lock: %s", err->text);
    lifecycle_note(&b->life, note);
}

static void on_key_checked(void *ctx, const struct err *err)
{
    struct backup *b = ctx;

    if (err && err->kind != ERR_AUTH) {
        fail_pair(b, err);
        return;
    }
    if (err)
        tell_unseen(b, "the key beside it", err);
    succeed(b);
}

/* The dump is visible: nobody else's key may lie beside it when success is told. */
static void check_pair(struct backup *b)
{
    struct s3_upload_stats stats;
    struct err e = ERR_INIT;

    s3_upload_get_stats(b->upload, &stats);
    if (stats.lock_err)
        tell_unlocked(b, stats.lock_err);
    if (stats.unseen_err) {
        tell_unseen(b, "its dump", stats.unseen_err);
        succeed(b);
        return;
    }
    if (!b->key) {
        succeed(b);
        return;
    }
    set_state(b, CHECKING);
    if (data_key_check(b->key, b, on_key_checked, &e) < 0)
        fail_pair(b, &e);
    else if (lifecycle_is_cancelled(&b->life))
        hurry(b);
}

/* ---- taking back ---- */

/* It is told once in a job, however many attempts it makes: who makes them does. */
static void remember_upload(struct backup *b, const struct err *why)
{
    const char *id;
    unsigned n_left = 0;

    for (; (id = s3_upload_left(b->upload, n_left)); n_left++)
        (void)leftovers_add(core_leftovers(b->life.core), b->result.name, id);
    b->result.left = n_left ? BACKUP_LEFT_KNOWN : BACKUP_LEFT_UNKNOWN;
    (void)snprintf(b->result.left_why, sizeof(b->result.left_why), "%s", why->text);
}

static void on_aborted(void *ctx, const struct err *err)
{
    struct backup *b = ctx;
    enum s3_outcome outcome = s3_upload_outcome(b->upload);

    if (outcome == S3_OUTCOME_VISIBLE) { /* it was the answer to the commit that got lost, not the commit */
        check_pair(b);
        return;
    }
    /* The dump may be there, or appear: its key must be there, too. A store that shows nothing after a commit may only
     * be slow to show it, and a lone key costs nothing. */
    if (b->key && (outcome == S3_OUTCOME_UNKNOWN || b->commit_sent))
        data_key_leave(b->key);
    if (err)
        remember_upload(b, err);
    s3_upload_free(TAKE_PTR(b->upload));
    advance(b);
}

static void on_key_removed(void *ctx)
{
    advance(ctx);
}

/* In this order: the thread pool lets go of etcd's chunk, etcd's transaction ends, the upload goes, the key, then the
 * claim.
 */
static void advance_abort(struct backup *b)
{
    if (b->stream && !stream_stop(b->stream))
        return;
    if (b->stream)
        b->result.read_ms = stream_read_ms(b->stream);
    etcd_session_close(TAKE_PTR(b->session));
    comparison_free(TAKE_PTR(b->comparison));
    if (b->upload && !b->aborting) {
        b->aborting = true;
        s3_upload_abort(b->upload);
    }
    if (b->upload)
        return;
    if (b->key && data_key_remove(b->key, b, on_key_removed))
        return;
    release_claim(b);
}

/* ---- the stream ---- */

static void on_stream_stopped(void *ctx)
{
    advance(ctx);
}

static void on_room(void *ctx)
{
    struct backup *b = ctx;

    if (b->state == STREAMING)
        stream_go_on(b->stream);
}

static void on_stream_written(void *ctx)
{
    struct backup *b = ctx;
    struct s3_upload_stats stats;

    s3_upload_get_stats(b->upload, &stats);
    b->result.stored_size = stats.written;
    set_state(b, FLUSHING);
    advance(b);
}

/* etcd says that this was all: now the digest must agree, and only then is a commit thinkable. */
static void on_stream_end(void *ctx)
{
    struct backup *b = ctx;

    b->have |= HAVE_END;
    b->result.read_ms = stream_read_ms(b->stream);
    advance(b);
}

static void on_stream_failed(void *ctx, const struct err *err, bool is_of_etcd)
{
    if (is_of_etcd)
        fail_etcd(ctx, err, NULL);
    else
        fail(ctx, err, NULL);
}

/* ---- storing and committing ---- */

static void on_flushed(void *ctx)
{
    struct backup *b = ctx;

    b->have |= HAVE_PARTS;
    tell_progress(b);
    advance(b);
}

/* The store is away, and waited for. */
static void on_retry(void *ctx, const struct s3_retry *retry)
{
    struct backup *b = ctx;
    char note[RETRY_NOTE_MAX];

    lifecycle_note(&b->life, retry_note(retry, note));
}

static void on_upload_failed(void *ctx, const struct err *err)
{
    fail(ctx, err, NULL);
}

static void on_committed(void *ctx, const struct err *err)
{
    struct backup *b = ctx;

    if (err) {
        fail(b, err, NULL);
        return;
    }
    check_pair(b);
}

static void on_key_stored(void *ctx, const struct err *err)
{
    struct backup *b = ctx;

    if (err) {
        fail(b, err, "storing the data key");
        return;
    }
    b->have |= HAVE_KEY;
    advance(b);
}

static void store_key(struct backup *b)
{
    struct data_key_events events = {.ctx = b, .on_retry = on_retry, .on_stored = on_key_stored};
    struct err e = ERR_INIT;

    if (!b->key) {
        b->have |= HAVE_KEY;
        advance(b);
    } else if (data_key_store(b->key, &b->result, &events, &e) < 0) {
        fail(b, &e, "storing the data key");
    }
}

static void on_compared(void *ctx, const struct etcd_compare_result *members)
{
    struct backup *b = ctx;

    b->result.members = *members;
    comparison_free(TAKE_PTR(b->comparison));
    store_key(b);
}

/* The snapshot is whole, and the member was asked once more, or could not be: once. */
static void compare_members(struct backup *b)
{
    const struct comparison_spec spec = {.backup = &b->result, .ctx = b, .on_done = on_compared};

    b->was_asked = true;
    b->comparison = comparison_start(b->life.core, &spec, b->result.members.why);
    if (!b->comparison)
        store_key(b);
}

static void on_status_after(void *ctx, const struct etcd_status *status, const struct err *err)
{
    struct backup *b = ctx;

    /* A member that cannot say its revision any more has given a whole snapshot all the same. */
    b->result.revision_after = err ? 0 : status->revision;
    if (status) { /* what came out meanwhile was true of the snapshot, too */
        b->result.member.alarm_corrupt = b->result.member.alarm_corrupt || status->alarm_corrupt;
        b->result.member.corrupt_unknown = b->result.member.corrupt_unknown || status->corrupt_unknown;
        if (!b->result.member.downgrade[0])
            memcpy(b->result.member.downgrade, status->downgrade, sizeof(b->result.member.downgrade));
    }
    compare_members(b);
}

/* What etcd sent is what it has, and that is broken. Whether it is stored all the same. */
static bool judge_damaged(struct backup *b)
{
    struct err e = ERR_INIT;

    err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "%s: its database is damaged: %s", b->result.member.endpoint,
            b->result.facts.why);
    if (!b->accepts_damaged) {
        fail_etcd(b, &e, NULL);
        return false;
    }
    etcd_session_blame(b->session, &e);
    b->damage = e;
    b->result.member_failed = true;
    return true;
}

/* All bytes are in the upload. The digest agrees, then the key is stored, then the upload is committed. */
static void advance_flush(struct backup *b)
{
    struct err e = ERR_INIT;

    if ((b->have & HAVE_END) && !(b->have & HAVE_VERDICT)) {
        if (stream_verdict(b->stream, &e) < 0) {
            err_prepend(&e, "%s: the snapshot as it arrived: ", b->result.member.endpoint);
            fail_etcd(b, &e, NULL);
            return;
        }
        b->result.facts = stream_facts(b->stream);
        b->result.was_inspected = true;
        if (is_damaged(b) && !judge_damaged(b))
            return;
        if (!is_damaged(b))
            etcd_session_praise(b->session);
        b->have |= HAVE_VERDICT;
        if (etcd_session_status(b->session, b, on_status_after, &e) < 0)
            compare_members(b);
        return;
    }
    if (b->have == HAVE_ALL) {
        set_state(b, COMMITTING);
        b->commit_sent = true;
        s3_upload_commit(b->upload);
    }
}

/* ---- beginning ---- */

/* The first message has said how large the snapshot is. */
static void on_stream_begin(void *ctx, uint64_t snapshot_size, uint64_t object_size)
{
    struct backup *b = ctx;
    struct dump_object_events events = {
            .ctx = b,
            .on_retry = on_retry,
            .on_room = on_room,
            .on_flushed = on_flushed,
            .on_failed = on_upload_failed,
            .on_committed = on_committed,
            .on_aborted = on_aborted,
    };
    struct err e = ERR_INIT;

    b->result.snapshot_size = snapshot_size;
    b->result.stored_size = object_size;
    (void)snprintf(
            b->result.storage_version, sizeof(b->result.storage_version), "%s", stream_storage_version(b->stream));
    b->upload = dump_object_start(b->life.core, &b->result, &events, &e);
    if (!b->upload) {
        fail(b, &e, NULL);
        return;
    }
    stream_into(b->stream, b->upload);
    set_state(b, STREAMING);
    lifecycle_every(&b->life, PROGRESS_EVERY_MS, on_tick);
}

static void on_claimed(void *ctx, const struct err *err)
{
    struct backup *b = ctx;
    struct err e = ERR_INIT;

    if (err)
        fail(b, err, NULL);
    else if (stream_start(b->stream, b->session, &e) < 0)
        fail_etcd(b, &e, "asking for a snapshot");
}

/* Not earlier: without etcd there is nothing to claim a name for. */
static void on_session_ready(void *ctx, const struct etcd_status *status)
{
    struct backup *b = ctx;
    struct claim_spec spec = {
            .loop = core_loop(b->life.core), .dump = b->result.name, .ctx = b, .on_claimed = on_claimed};
    struct err e = ERR_INIT;
    struct predecessor_spec before = {
            .name = b->result.name, .cluster = status->cluster_id, .ctx = b, .on_done = on_predecessor};
    struct s3_client *s3 = core_s3(b->life.core, &e);

    b->result.member = *status;
    b->predecessor = predecessor_start(b->life.core, &before);
    set_state(b, CLAIMING);
    b->claim = s3 ? claim_start(s3, &spec, &e) : NULL;
    if (!b->claim)
        fail(b, &e, NULL);
}

static void on_session_failed(void *ctx, const struct err *err)
{
    struct backup *b = ctx;

    if (!(b->have & HAVE_END)) {
        fail_etcd(b, err, NULL);
        return;
    }
    /* The snapshot is whole, and the session was only good for one more question: it stays unanswered. */
    if ((b->have & HAVE_VERDICT) && !b->was_asked)
        compare_members(b);
}

/* The backup's name, its own data key, and the stream that uses it. */
static int prepare(struct backup *b, struct err *e)
{
    const struct conf *conf = core_conf(b->life.core);
    struct stream_spec spec = {
            .loop = core_loop(b->life.core),
            .ctx = b,
            .on_begin = on_stream_begin,
            .on_written = on_stream_written,
            .on_end = on_stream_end,
            .on_failed = on_stream_failed,
            .on_stopped = on_stream_stopped,
    };

    if (name_format(b->result.name, conf->s3.objects_prefix, b->result.instant, NAME_DUMP, e) < 0 ||
            (encrypts(b) && !(b->key = data_key_new(b->life.core, b->result.instant, e))))
        return -1;
    spec.data_key = b->key ? data_key_secret(b->key) : NULL;
    spec.compression_level = compression_level(b);
    b->stream = stream_new(&spec, e);
    return b->stream ? 0 : -1;
}

static void begin(struct lifecycle *life)
{
    struct backup *b = of(life);
    struct etcd_session_spec spec = {.ctx = b, .on_ready = on_session_ready, .on_failed = on_session_failed};
    struct etcd_client *etcd;
    struct err e = ERR_INIT;

    set_state(b, CONNECTING);
    etcd = core_etcd(b->life.core, &e);
    if (!etcd || !core_s3(b->life.core, &e) || prepare(b, &e) < 0 || !(b->session = etcd_session_open(etcd, &spec, &e)))
        fail(b, &e, NULL);
}

static void advance(struct backup *b)
{
    switch (b->state) {
    case FLUSHING:
        advance_flush(b);
        break;
    case ABORTING:
        advance_abort(b);
        break;
    case CONNECTING:
    case CLAIMING:
    case STREAMING:
    case COMMITTING:
    case CHECKING:
    case MARKING:
    case RELEASING:
    case FINISHED:
        break;
    }
}

static void cancel(struct lifecycle *life)
{
    struct backup *b = of(life);
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    if (b->upload)
        s3_upload_hurry(b->upload);
    hurry(b);
    if (b->state < COMMITTING) /* a commit on its way is let through: it is quick, and its outcome is then known */
        fail(b, &e, NULL);
    leave_predecessor(b);
}

struct backup *backup_start(
        struct core *core, const struct backup_spec *spec, const struct job_sink *sink, struct err *e)
{
    struct backup *b = calloc(1, sizeof(*b));

    if (!b) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    b->result.instant = spec->instant;
    b->accepts_damaged = spec->accepts_damaged;
    lifecycle_start(
            &b->life, &(struct lifecycle_spec){
                              .core = core, .sink = sink, .first = begin, .cancel = cancel, .free_job = free_job});
    b->result.encrypted = encrypts(b);
    b->result.compressed = compression_level(b) > 0;
    return b;
}

void backup_cancel(struct backup *b)
{
    lifecycle_cancel(&b->life);
}
