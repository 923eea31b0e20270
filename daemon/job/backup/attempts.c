#include "job/backup/attempts.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/timestamp.h"
#include "core/known.h"
#include "core/leftovers.h"
#include "job/backup/backup.h"
#include "job/backup/sweep.h"
#include "job/bucket/claim.h"
#include "job/keys/key_check.h"
#include "job/keys/key_guard.h"
#include "job/lifecycle.h"

enum { INITIAL_MS = 2000, MAX_MS = 30000, TAKEN_MAX = 5, TAKEN_WAIT_MS = 1000, DAMAGED_AGAIN_S = 3600 };

struct attempts {
    struct lifecycle life;
    struct backup_request request;
    struct key_guard *guard; /* before the first attempt, or NULL */
    struct backup *backup;   /* NULL between attempts */
    struct sweep *sweep;     /* behind one that succeeded */
    unsigned made;
    unsigned taken;     /* names in a row that were somebody else's: before anything was read */
    unsigned wrong;     /* attempts whose snapshot was not what its SHA-256 says */
    unsigned damaged;   /* whose database is damaged */
    struct err unknown; /* why nothing is known of the key: to be told of a backup that comes off all the same */
    struct backup_result result; /* of the last one, with the sums of all */
    struct backoff backoff;
};

static struct attempts *of(struct lifecycle *life)
{
    return CONTAINER_OF(life, struct attempts, life);
}

static void free_job(struct lifecycle *life)
{
    free(of(life));
}

/* Once, however many attempts have left one. */
static void tell_left(struct attempts *a)
{
    char note[ERR_TEXT_MAX + 80];

    if (a->result.left == BACKUP_LEFT_NONE)
        return;
    (void)snprintf(note, sizeof(note), "an unfinished upload may stay in the bucket until the next prune: %s",
            a->result.left_why);
    lifecycle_note(&a->life, note);
}

/* The only end. What it took is told of a failure, too. */
static void finish(struct attempts *a, const struct err *err)
{
    a->result.attempts = a->made;
    a->result.elapsed_ms = lifecycle_elapsed_ms(&a->life);
    lifecycle_end(&a->life, &(struct job_result){.backup = &a->result}, err);
}

static void make_one(struct lifecycle *life);

/* So many snapshots are taken while each is damaged: one of each member, and where one address is configured two, since
 * others may stand behind it. */
static unsigned tries_of_damaged(const struct attempts *a)
{
    size_t n = core_conf(a->life.core)->etcd.n_endpoints;

    return n > 2 ? (unsigned)n : 2;
}

/* The last of them is stored, but not again and again while it is tried again and again. */
static bool accepts_damaged(const struct attempts *a)
{
    int64_t stored = known_damaged_stored(core_known(a->life.core));

    return a->damaged + 1 >= tries_of_damaged(a) && (stored == 0 || timestamp_now() - stored > DAMAGED_AGAIN_S);
}

static bool is_damaged(const struct attempts *a)
{
    return a->result.was_inspected && a->result.facts.structure == BOLT_DAMAGED;
}

/* It has come to nothing but that: whatever `retries` says, while one member is sound, its backup is to be had. */
static bool has_shown_damage(const struct attempts *a)
{
    return is_damaged(a) && a->result.not_stored == ERR_NONE;
}

static bool is_worth_another(const struct attempts *a, const struct err *err)
{
    const struct conf_etcd *etcd = &core_conf(a->life.core)->etcd;
    const enum err_kind kind = is_damaged(a) ? a->result.not_stored : err->kind;

    if (lifecycle_is_cancelled(&a->life))
        return false;
    if (claim_is_taken(err) && a->taken <= TAKEN_MAX) /* no attempt at anything yet */
        return true;
    if (has_shown_damage(a))
        return a->result.member_failed && !a->result.is_stored_damaged && a->damaged < tries_of_damaged(a);
    if (a->made - a->damaged > etcd->retries)
        return false;
    if (kind == ERR_INTEGRITY) /* once for each member: who is asked next has not sent wrong bytes yet */
        return !is_damaged(a) && a->result.member_failed && a->wrong < etcd->n_endpoints;
    return kind == ERR_TRANSIENT || kind == ERR_PROTOCOL;
}

/* Those that found a damaged database are beyond what `retries` allows. */
static void number_attempt(const struct attempts *a, struct err *err)
{
    const unsigned long long at_most = (unsigned long long)core_conf(a->life.core)->etcd.retries + 1;

    if (a->damaged)
        err_prepend(err, "attempt %u of at most %llu, and %u more found a damaged database: ", a->made - a->damaged,
                at_most, a->damaged);
    else
        err_prepend(err, "attempt %u of at most %llu: ", a->made, at_most);
}

static void on_failed(struct attempts *a, const struct err *why)
{
    char note[ERR_TEXT_MAX + 64];
    struct err err = *why;
    uint64_t wait;

    a->damaged += has_shown_damage(a);
    a->wrong += err.kind == ERR_INTEGRITY && !is_damaged(a);
    if (a->result.is_stored_damaged)
        known_set_damaged_stored(core_known(a->life.core), timestamp_now());
    a->taken = claim_is_taken(&err) ? a->taken + 1 : 0;
    if (!is_worth_another(a, &err)) {
        if (a->made > 1 && !is_damaged(a))
            number_attempt(a, &err);
        tell_left(a);
        finish(a, &err);
        return;
    }
    /* A name that is taken is no trouble that goes by: another second has another. */
    wait = claim_is_taken(&err) ? randombytes_uniform(TAKEN_WAIT_MS) : backoff_next(&a->backoff, randombytes_random());
    (void)snprintf(note, sizeof(note), "attempt %u failed: %s; trying again in %.1f s", a->made, err.text,
            (double)wait / 1000);
    lifecycle_after(&a->life, wait, make_one);
    lifecycle_note(&a->life, note);
    lifecycle_progress(&a->life, &(struct job_progress){.phase = "waiting", .attempt = a->made});
}

/* As after a disaster restore, or when somebody else's endpoints are configured. */
static void tell_other_cluster(struct attempts *a)
{
    uint64_t before = known_own_cluster(core_known(a->life.core)), now = a->result.member.cluster_id;
    char note[160];

    if (before == 0 || now == 0 || before == now)
        return;
    (void)snprintf(note, sizeof(note),
            "the backup is of the etcd cluster %" PRIx64 ", the one that was made before it of %" PRIx64, now, before);
    lifecycle_note(&a->life, note);
}

static void succeed(struct attempts *a)
{
    if (a->unknown.kind != ERR_NONE)
        lifecycle_note(&a->life, a->unknown.text);
    tell_other_cluster(a);
    tell_left(a);
    finish(a, NULL);
}

static void on_swept(void *ctx)
{
    struct attempts *a = ctx;
    const char *key, *upload_id;

    sweep_free(TAKE_PTR(a->sweep));
    if (a->result.left == BACKUP_LEFT_KNOWN && !leftovers_first(core_leftovers(a->life.core), &key, &upload_id))
        a->result.left = BACKUP_LEFT_NONE;
    succeed(a);
}

static void on_done(void *ctx, const struct job_result *result, const struct err *err)
{
    struct attempts *a = ctx;
    const struct backup_result before = a->result;
    uint64_t read_ms = before.read_ms;

    a->backup = NULL;
    a->result = *result->backup;
    if (before.left > a->result.left) {
        a->result.left = before.left;
        memcpy(a->result.left_why, before.left_why, sizeof(before.left_why));
    }
    a->result.read_ms += read_ms;
    if (err) {
        on_failed(a, err);
        return;
    }
    if (!lifecycle_is_cancelled(&a->life))
        a->sweep = sweep_start(a->life.core, a, on_swept);
    if (!a->sweep)
        succeed(a);
}

static void on_progress(void *ctx, const struct job_progress *p)
{
    struct attempts *a = ctx;
    struct job_progress progress = *p;

    progress.attempt = a->made;
    lifecycle_progress(&a->life, &progress);
}

static void on_note(void *ctx, const char *text)
{
    struct attempts *a = ctx;

    lifecycle_note(&a->life, text);
}

static void make_one(struct lifecycle *life)
{
    struct attempts *a = of(life);
    struct job_sink sink = {.ctx = a, .progress = on_progress, .note = on_note, .done = on_done};
    struct backup_spec spec = {
            .instant = core_new_instant(a->life.core),
            .accepts_damaged = accepts_damaged(a),
    };
    struct err e = ERR_INIT;

    if (spec.instant == 0) { /* a backup of this second exists: two must not share a name */
        lifecycle_after(life, 200, make_one);
        return;
    }
    a->made++;
    a->backup = backup_start(a->life.core, &spec, &sink, &e);
    if (!a->backup)
        finish(a, &e);
}

static void on_guarded(void *ctx, const struct err *trouble, const struct err *unknown)
{
    struct attempts *a = ctx;
    const struct err e = trouble ? *trouble : ERR_INIT;

    if (unknown)
        a->unknown = *unknown;
    key_guard_free(TAKE_PTR(a->guard));
    if (trouble && key_check_is_rotated_away(&e)) {
        finish(a, &e);
        return;
    }
    lifecycle_next(&a->life, make_one);
    if (trouble && a->request.tells_other_keys)
        lifecycle_note(&a->life, e.text);
}

static void begin(struct lifecycle *life)
{
    struct attempts *a = of(life);
    struct key_guard_spec spec = {.ctx = a, .on_done = on_guarded};

    if (!a->request.key_is_checked)
        a->guard = key_guard_start(a->life.core, &spec, &a->unknown);
    if (a->guard)
        lifecycle_progress(&a->life, &(struct job_progress){.phase = "checking the key"});
    else
        make_one(life);
}

static void cancel(struct lifecycle *life)
{
    struct attempts *a = of(life);
    struct err e = ERR_INIT;

    key_guard_free(TAKE_PTR(a->guard));
    if (a->backup) {
        backup_cancel(a->backup); /* its end is the last one */
    } else if (a->sweep) {        /* it has succeeded before */
        sweep_free(TAKE_PTR(a->sweep));
        succeed(a);
    } else {
        err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
        tell_left(a);
        finish(a, &e);
    }
}

struct attempts *attempts_start(
        struct core *core, const struct backup_request *request, const struct job_sink *sink, struct err *e)
{
    struct attempts *a = calloc(1, sizeof(*a));

    if (!a) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    a->request = *request;
    a->backoff = (struct backoff){.initial_ms = INITIAL_MS, .max_ms = MAX_MS};
    lifecycle_start(
            &a->life, &(struct lifecycle_spec){
                              .core = core, .sink = sink, .first = begin, .cancel = cancel, .free_job = free_job});
    return a;
}

void attempts_cancel(struct attempts *a)
{
    lifecycle_cancel(&a->life);
}
