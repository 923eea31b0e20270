#include "job/rotate/rotate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "age/identity.h"
#include "base/cleanup.h"
#include "base/timestamp.h"
#include "catalog/name.h"
#include "job/bucket/listing.h"
#include "job/keys/key_form.h"
#include "job/keys/key_opener.h"
#include "job/lifecycle.h"
#include "job/rotate/key_list.h"
#include "job/rotate/old_versions.h"
#include "job/rotate/pass.h"
#include "job/rotate/underway.h"
#include "s3/dialect.h"
#include "seal/key.h"

enum state {
    LISTING,    /* the keys */
    REWRAPPING, /* or, in a second pass, looking whether all are what they should
                   be */
    UPLOADS,    /* is a backup under way? */
    CONFIRMING, /* the keys are listed once more: has one come meanwhile? */
    VERSIONS,   /* old ones are counted, or purged */
    FINISHED,
};

static const char *const phase_names[] = {"listing", "rotating", "uploads", "listing", "old versions", "finished"};

enum { PASSES_MAX = 6 };

struct rotate {
    struct lifecycle life;
    enum state state;
    struct secret *previous, *next;
    bool dry_run, purges;

    struct brought_keys brought;
    struct beside beside;
    struct keyring *ring; /* of the configuration, to explain what does not open, and to vouch; or NULL */
    struct key_opener opener;
    struct key_form form;
    struct listing *listing;
    unsigned passes;
    struct key_list *keys, *missing; /* of this pass */
    struct pass *pass;
    struct underway *underway;
    struct old_versions *versions;

    bool has_evidence;  /* the previous key opened one, or vouched for it, or has left its mark at it */
    struct err failure; /* the first, or the first that is of bytes that are bad */
    struct rotate_result result;
};

static size_t count(const struct rotate *r)
{
    return r->keys ? key_list_count(r->keys) : 0;
}

static void tell_progress(struct rotate *r, uint64_t done, uint64_t total)
{
    struct job_progress p = {.phase = phase_names[r->state], .done = done, .total = total, .unit = "keys"};

    lifecycle_progress(&r->life, &p);
}

static void set_state(struct rotate *r, enum state state)
{
    r->state = state;
    tell_progress(r, r->pass ? pass_state(r->pass)->ended : 0, count(r));
}

/* ---- the end ---- */

static struct rotate *of(struct lifecycle *life)
{
    return CONTAINER_OF(life, struct rotate, life);
}

static void free_job(struct lifecycle *life)
{
    free(of(life));
}

/* The only end. */
static void finish(struct rotate *r, const struct err *err)
{
    struct rotate_result *result = &r->result;

    r->state = FINISHED;
    listing_free(TAKE_PTR(r->listing));
    underway_free(TAKE_PTR(r->underway));
    old_versions_free(TAKE_PTR(r->versions));
    pass_free(TAKE_PTR(r->pass));
    key_list_free(TAKE_PTR(r->keys));
    key_list_free(TAKE_PTR(r->missing));
    keyring_free(TAKE_PTR(r->ring));
    secret_free(TAKE_PTR(r->previous));
    secret_free(TAKE_PTR(r->next));
    brought_keys_clear(&r->brought);
    beside_clear(&r->beside);
    result->elapsed_ms = lifecycle_elapsed_ms(&r->life);
    lifecycle_end(&r->life, &(struct job_result){.rotate = result}, err);
}

static void on_key_failed(void *ctx, const struct unrotated *u)
{
    struct rotate *r = ctx;

    r->life.sink.unrotated(r->life.sink.ctx, u);
    if (r->failure.kind == ERR_NONE || (r->failure.kind != ERR_INTEGRITY && u->err->kind == ERR_INTEGRITY)) {
        r->failure = *u->err;
        err_prepend(&r->failure, "%s: ", u->name);
    }
}

/* What has opened the keys so far, in words. */
static const char *so_far(const struct rotate *r, char text[static 64])
{
    const struct rotate_result *result = &r->result;
    const char *others = result->n_previous_recipients > 1 ? " and others" : "";

    if (r->previous)
        (void)snprintf(text, 64, "the previous key %s%s", result->previous,
                result->n_previous_recipients ? " and the identities" : "");
    else
        (void)snprintf(text, 64, "the identity of %.12s%s", result->previous_recipients[0], others);
    return text;
}

/* Not all keys have become what they should be. */
static void finish_incomplete(struct rotate *r)
{
    const struct rotate_result *result = &r->result;
    const struct pass_state *pass = pass_state(r->pass);
    size_t left = count(r) - pass->ended;
    char text[64];

    if (left)
        err_prepend(&r->failure, "%u failures in a row, %zu keys not looked at; ", pass->alike, left);
    if (result->rotated + result->already + result->bound == 0 && pass->not_opened == result->failed && left == 0)
        err_prepend(&r->failure, "%s opens none of the %zu keys, and nothing was changed: do not destroy any key; ",
                so_far(r, text), count(r));
    else
        err_prepend(&r->failure, "%u of %zu keys were not rotated: do not destroy %s; ", result->failed, count(r),
                so_far(r, text));
    finish(r, &r->failure);
}

/* Whether the configuration names the new key. The file is read again each time: somebody may have put the old key back
 * meanwhile. Errors: ERR_CONFIG. */
static int check_key(struct rotate *r, struct err *e)
{
    struct rotate_result *result = &r->result;
    struct err why = ERR_INIT;
    char text[64];
    int n = keyring_current_fingerprint(core_conf(r->life.core), result->configured, &why);

    if (!core_conf(r->life.core)->encryption_key_path || strcmp(result->configured, result->next) == 0)
        return 0;
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "all keys are rotated, but do NOT destroy %s yet: encryption_key_path %s%s; put the new "
            "key %s there, and run this again%s",
            so_far(r, text), n < 0 ? "cannot be read: " : "still holds ", n < 0 ? why.text : result->configured,
            result->next, r->purges && !result->purged ? " (no old version of a key was removed)" : "");
}

/* Whether that goes for the daemon, too, which makes the next backup. Errors: those of beside_check. */
static int check_beside(const struct rotate *r, struct err *e)
{
    const char *bucket = core_bucket_url(r->life.core);
    char words[KEY_FORM_WORDS_MAX], text[64];
    struct err ignored = ERR_INIT;

    if (beside_check(&r->beside, bucket, key_form_words(&r->form, r->result.next, words), &ignored) == 0)
        return 0;
    /* Where a key was handed over and the configuration names none, no backup is to come that needs either. */
    if (!core_conf(r->life.core)->encryption_key_path)
        (void)key_form_words(&r->form, "", words);
    if (beside_check(&r->beside, bucket, words, e) == 0)
        return 0;
    return err_prepend(e, "all keys are rotated, but do NOT destroy %s yet: ", so_far(r, text));
}

/* What makes the next backup is to make what this has made of those that are there. */
static int check_configured(struct rotate *r, struct err *e)
{
    return r->dry_run || (check_key(r, e) == 0 && check_beside(r, e) == 0) ? 0 : -1;
}

/* Nothing failed in the bucket. What remains is whether the daemon itself uses the new key, and whether the previous
 * key is what it was said to be: an old version that it opened says so, too. Errors: ERR_CONFIG. */
static int conclude(struct rotate *r, struct err *e)
{
    const struct rotate_result *result = &r->result;

    if (r->previous && result->rotated && !result->bound && !r->has_evidence)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s, but none of them was wrapped by %s, nor vouched for by it: is that the right file? Do not destroy "
                "it before that is clear",
                r->dry_run ? "all keys were looked at" : "all keys are rotated", result->previous);
    if (r->previous && !result->bound && !r->has_evidence)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "nothing to rotate: all %u keys are %s %s, and none says that it was ever wrapped by %s; is "
                "that the right file, or are the two interchanged? Destroy neither before that is clear",
                result->already, r->form.n ? "sealed to" : "opened by",
                r->form.n ? result->recipients[0] : result->next, result->previous);
    return check_configured(r, e);
}

/* ---- old versions ---- */

static bool may_purge(void *ctx)
{
    struct rotate *r = ctx;
    struct err ignored = ERR_INIT;

    return check_configured(r, &ignored) == 0;
}

static void on_purge_progress(void *ctx, unsigned done, unsigned total)
{
    tell_progress(ctx, done, total);
}

static void on_version_stays(void *ctx, const char *name, const struct err *err)
{
    struct rotate *r = ctx;

    r->life.sink.unrotated(r->life.sink.ctx, &(struct unrotated){.name = name, .err = err, .is_old_version = true});
}

static void on_versions(void *ctx)
{
    struct rotate *r = ctx;
    struct err e = ERR_INIT;

    finish(r, old_versions_verdict(r->versions, &e) < 0 || conclude(r, &e) < 0 ? &e : NULL);
}

static void look_for_versions(struct rotate *r)
{
    struct old_versions_spec spec = {
            .opener = &r->opener,
            .form = &r->form,
            .keys = r->keys,
            .missing = r->missing,
            .purges = r->purges,
            .dry_run = r->dry_run,
            .is_of_previous = &r->has_evidence,
            .result = &r->result,
            .ctx = r,
            .may_purge = may_purge,
            .on_progress = on_purge_progress,
            .on_stays = on_version_stays,
            .on_done = on_versions,
    };
    struct err e = ERR_INIT;

    set_state(r, VERSIONS);
    r->versions = old_versions_new(r->life.core, &spec, &e);
    if (!r->versions)
        finish(r, &e);
    else if (!old_versions_start(r->versions))
        on_versions(r);
}

/* ---- backups that are under way ---- */

static void list_keys(struct rotate *r, enum state state);

static bool is_rotated(void *ctx, const char *name)
{
    struct rotate *r = ctx;
    const struct key_item *item = key_list_find(r->keys, name);

    return item && item->is_rotated;
}

static bool lists_no_uploads(struct rotate *r, const struct err *err)
{
    struct err ignored;
    struct s3_client *s3 = core_s3(r->life.core, &ignored);

    if (err->domain == ERR_DOMAIN_S3 && err->code == S3_FAULT_HIDES_UPLOADS)
        return true;
    return s3 && s3_dialect_hears(s3_client_dialect(s3), S3_LIST_UPLOADS, err);
}

static void on_underway(void *ctx, const char *upload, int64_t began, const struct err *err)
{
    struct rotate *r = ctx;
    char text[ERR_TEXT_MAX + 64], since[TIMESTAMP_TEXT_MAX];
    struct err e = err ? *err : ERR_INIT;

    if (upload) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0,
                "all keys are rotated, but a backup may be under way with the previous key: the upload of %s, begun "
                "%s, has not ended. When none is, run this again, and keep the previous key until then (what a crash "
                "has left goes after a day)",
                upload, timestamp_format(began, since));
        finish(r, &e);
        return;
    }
    if (err && !lists_no_uploads(r, err)) {
        err_prepend(&e, "all keys are rotated, but whether a backup is under way could not be seen: keep the previous "
                        "key, and run this again: ");
        finish(r, &e);
        return;
    }
    if (err) {
        (void)snprintf(text, sizeof(text), "whether a backup is under way could not be seen: %s", err->text);
        lifecycle_note(&r->life, text);
    }
    underway_free(TAKE_PTR(r->underway));
    list_keys(r, CONFIRMING);
}

static void look_for_uploads(struct rotate *r)
{
    struct underway_spec spec = {.ctx = r, .is_known = is_rotated, .on_done = on_underway};
    struct err e = ERR_INIT;

    set_state(r, UPLOADS);
    r->underway = underway_start(r->life.core, &spec, &e);
    if (!r->underway)
        on_underway(r, NULL, 0, &e);
}

/* ---- rewrapping ---- */

static void end_pass(struct rotate *r)
{
    const struct pass_state *pass = pass_state(r->pass);

    r->has_evidence = r->has_evidence || pass->is_of_previous;
    if (r->result.failed) {
        finish_incomplete(r);
    } else if (r->dry_run) {
        look_for_versions(r);
    } else if (pass->changed == 0) { /* each of them was seen to be opened by the new key */
        look_for_uploads(r);
    } else {
        list_keys(r, LISTING);
    }
}

static void on_pass_done(void *ctx)
{
    end_pass(ctx);
}

static void on_key_done(void *ctx, size_t done)
{
    struct rotate *r = ctx;

    tell_progress(r, done, count(r));
}

static int start_pass(struct rotate *r, struct err *e)
{
    struct pass_spec spec = {
            .core = r->life.core,
            .keys = r->keys,
            .opener = &r->opener,
            .form = &r->form,
            .only_looks = r->dry_run,
            .is_first = r->passes == 0,
            .result = &r->result,
            .ctx = r,
            .on_progress = on_key_done,
            .on_failed = on_key_failed,
            .on_done = on_pass_done,
    };

    r->pass = pass_new(&spec, e);
    if (!r->pass)
        return -1;
    r->passes++;
    set_state(r, REWRAPPING);
    if (!pass_start(r->pass))
        end_pass(r);
    return 0;
}

/* ---- what there is ---- */

static int take_keys(struct rotate *r, const struct catalog_list *list, struct err *e)
{
    key_list_free(TAKE_PTR(r->keys));
    key_list_free(TAKE_PTR(r->missing));
    r->keys = key_list_new(list, e);
    r->missing = r->keys ? key_list_new_missing(list, e) : NULL;
    return r->missing ? 0 : -1;
}

/* What is known says nothing about keys that were not seen. */
static void finish_unseen(struct rotate *r, const struct err *err)
{
    struct err e = *err;

    if (r->passes)
        err_prepend(&e, "keys are rotated, but whether that were all could not be seen: keep the previous key, and run "
                        "this again: ");
    finish(r, &e);
}

static void begin_pass(struct rotate *r, const struct catalog_list *list)
{
    struct err e = ERR_INIT;
    char text[64];

    if (r->passes == PASSES_MAX) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0,
                "after %d passes there are still keys that change, come or go: find out who writes to the bucket, run "
                "this again, and do not destroy %s",
                PASSES_MAX, so_far(r, text));
        finish(r, &e);
    } else if (take_keys(r, list, &e) < 0) {
        finish_unseen(r, &e);
    } else if (count(r) == 0 && r->passes == 0) {
        err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no encrypted backups in %s: there is nothing to rotate",
                core_bucket_url(r->life.core));
        finish(r, &e);
    } else if (start_pass(r, &e) < 0) {
        finish_unseen(r, &e);
    }
}

/* Whether there is a key that the last pass has not seen to be opened by the new one: of a backup that ended during
 * that pass. It came behind the pass' listing, and when uploads were listed its upload had ended. */
static int look_for_news(struct rotate *r, const struct catalog_list *list, bool *found, struct err *e)
{
    _cleanup_(cleanup_key_list_free) struct key_list *now = key_list_new(list, e);

    *found = false;
    if (!now)
        return -1;
    for (size_t i = 0; i < key_list_count(now) && !*found; i++)
        *found = !is_rotated(r, key_list_at(now, i)->name);
    return 0;
}

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    struct rotate *r = ctx;
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *list = listed;
    struct err e = err ? *err : ERR_INIT;
    bool has_news = true;

    listing_free(TAKE_PTR(r->listing));
    if (err || (r->state == CONFIRMING && look_for_news(r, list, &has_news, &e) < 0))
        finish_unseen(r, &e);
    else if (has_news)
        begin_pass(r, list);
    else
        look_for_versions(r);
}

/* LISTING or CONFIRMING. */
static void list_keys(struct rotate *r, enum state state)
{
    struct listing_spec spec = {.ctx = r, .on_done = on_listed};
    struct err e = ERR_INIT;

    pass_free(TAKE_PTR(r->pass));
    set_state(r, state);
    r->listing = listing_start(r->life.core, &spec, &e);
    if (!r->listing)
        finish_unseen(r, &e);
}

/* ---- the beginning ---- */

static void name_people(struct rotate *r)
{
    struct rotate_result *result = &r->result;
    const struct secret *identities = r->brought.identities;
    struct age_recipient own;

    for (size_t i = 0; i < r->form.n; i++)
        (void)age_recipient_format(&r->form.recipients[i], result->recipients[result->n_recipients++]);
    for (size_t i = 0; identities && i < age_identity_count(identities) && i < AGE_IDENTITIES_MAX; i++) {
        age_identity_recipient(identities, i, &own);
        (void)age_recipient_format(&own, result->previous_recipients[result->n_previous_recipients++]);
    }
}

/* The new master key, which wraps, or vouches: the one that was handed over, or the configured one. */
static int take_new_key(struct rotate *r, struct err *e)
{
    const struct conf *conf = core_conf(r->life.core);
    const char *path = conf->encryption_key_path;
    _cleanup_secret_ struct secret *configured = NULL;
    struct err why = ERR_INIT;

    if (!path && !r->next && !conf->n_encryption_recipients)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "encryption_key_path is not configured: there is no key to rotate to; --new-key brings one along");
    if (!path && !r->next && !r->brought.allow_unvouched)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "encryption_key_path is not configured: nobody would vouch for what is sealed; --allow-unvouched "
                "accepts that");
    configured = path ? key_read_master(path, &why) : NULL;
    if (configured)
        key_fingerprint(configured, r->result.configured);
    if (path && !r->next && !configured) {
        *e = why;
        return -1;
    }
    if (!r->next)
        r->next = TAKE_PTR(configured);
    if (r->next)
        key_fingerprint(r->next, r->result.next);
    return 0;
}

/* Who opens, and what is made. */
static int take_keys_of_both(struct rotate *r, struct err *e)
{
    struct err ignored = ERR_INIT;

    if (!r->previous && !r->brought.identities)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "neither a previous key nor an identity was handed over");
    if (take_new_key(r, e) < 0 || key_form_of(core_conf(r->life.core), r->next, &r->form, e) < 0)
        return -1;
    name_people(r);
    if (r->previous)
        key_fingerprint(r->previous, r->result.previous);
    if (r->previous && r->form.n == 0 && !r->brought.identities && secret_equal(r->previous, r->next))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "the previous key and the new one are the same (%s): nothing was changed", r->result.next);
    r->ring = keyring_new(core_conf(r->life.core), &ignored);
    r->opener = (struct key_opener){r->previous, r->next, &r->brought, r->ring, r->result.previous_opened};
    return 0;
}

static void begin(struct lifecycle *life)
{
    struct rotate *r = of(life);
    struct err e = ERR_INIT;

    if (take_keys_of_both(r, &e) < 0)
        finish(r, &e);
    else
        list_keys(r, LISTING);
}

static void free_unstarted(struct rotate *r)
{
    if (!r)
        return;
    secret_free(r->previous);
    secret_free(r->next);
    brought_keys_clear(&r->brought);
    beside_clear(&r->beside);
    free(r);
}

static void cancel(struct lifecycle *life)
{
    struct rotate *r = of(life);
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0,
            "cancelled: at least %u keys are rotated, and some that were on their way may be; run it again to go on, "
            "and keep both keys until then",
            r->result.rotated + r->result.already + r->result.bound);
    finish(r, &e);
}

struct rotate *rotate_start(
        struct core *core, const struct rotate_request *request, const struct job_sink *sink, struct err *e)
{
    struct rotate *r = calloc(1, sizeof(*r));

    if (!r) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    if (secret_clone(request->previous, &r->previous, e) < 0 || secret_clone(request->next, &r->next, e) < 0 ||
            brought_keys_copy(&request->brought, &r->brought, e) < 0 ||
            beside_copy(&request->beside, &r->beside, e) < 0) {
        free_unstarted(r);
        return NULL;
    }
    r->dry_run = r->result.dry_run = request->dry_run;
    r->purges = request->purge_versions;
    lifecycle_start(
            &r->life, &(struct lifecycle_spec){
                              .core = core, .sink = sink, .first = begin, .cancel = cancel, .free_job = free_job});
    return r;
}

void rotate_cancel(struct rotate *r)
{
    lifecycle_cancel(&r->life);
}
