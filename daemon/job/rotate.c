#include "rotate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "key_list.h"
#include "listing.h"
#include "old_versions.h"
#include "rewrap.h"
#include "seal/key.h"

enum state {
    LISTING, /* the keys */
    REWRAPPING,
    RELISTING, /* have new ones come meanwhile? */
    VERSIONS,  /* old ones are counted, or purged */
    FINISHED,
};

static const char *const phase_names[] = {"listing", "rotating", "listing again", "old versions", "finished"};

enum {
    LANES = 16,
    RELISTINGS_MAX = 10,
    /* So many failures in a row that are not the key's own (no network, no rights) are those of all that follow. */
    ALIKE_MAX = 2 * LANES,
};

struct lane {
    struct rotate *owner;
    struct rewrap *rewrap; /* NULL: free */
    size_t index;
};

struct rotate {
    struct core *core;
    struct job_sink sink;
    enum state state;
    bool cancelled;
    uint64_t started_ms;
    uv_timer_t timer; /* brings the start and a cancellation to the loop's next turn */
    struct secret *previous, *next;
    bool dry_run, purges;

    struct listing *listing;
    unsigned relistings;
    struct key_list *keys;
    size_t next_key, ended;
    struct lane lanes[LANES];
    enum rewrap_condition condition;
    struct old_versions *versions;

    unsigned told;       /* failures */
    unsigned alike;      /* of them in a row that are not the key's own */
    unsigned not_opened; /* because neither key opens it */
    bool has_evidence;   /* a key says that it was rotated from the previous one */
    struct err failure;  /* the first, or the first that is of bytes that are bad */
    struct rotate_result result;
};

static size_t count(const struct rotate *r)
{
    return key_list_count(r->keys);
}

static void tell_progress(struct rotate *r, uint64_t done, uint64_t total)
{
    struct job_progress p = {.phase = phase_names[r->state], .done = done, .total = total, .unit = "keys"};

    r->sink.progress(r->sink.ctx, &p);
}

static void set_state(struct rotate *r, enum state state)
{
    r->state = state;
    tell_progress(r, r->ended, count(r));
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct rotate *r = h->data;
    struct core *core = r->core;

    free(r);
    core_release(core);
}

/* The only end. */
static void finish(struct rotate *r, const struct err *err)
{
    struct job_sink sink = r->sink;
    struct rotate_result result;

    r->state = FINISHED;
    listing_free(TAKE_PTR(r->listing));
    old_versions_free(TAKE_PTR(r->versions));
    for (unsigned i = 0; i < LANES; i++)
        rewrap_free(TAKE_PTR(r->lanes[i].rewrap));
    key_list_free(TAKE_PTR(r->keys));
    secret_free(TAKE_PTR(r->previous));
    secret_free(TAKE_PTR(r->next));
    r->result.elapsed_ms = uv_now(core_loop(r->core)) - r->started_ms;
    result = r->result;
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    sink.done(sink.ctx, &(struct job_result){.rotate = &result}, err);
}

static void tell_failure(struct rotate *r, const char *name, const struct err *err)
{
    struct unrotated unrotated = {.name = name, .err = err};

    if (r->told++ < ROTATE_TOLD_MAX)
        r->sink.unrotated(r->sink.ctx, &unrotated);
    if (r->failure.kind == ERR_NONE || (r->failure.kind != ERR_INTEGRITY && err->kind == ERR_INTEGRITY)) {
        r->failure = *err;
        err_prepend(&r->failure, "%s: ", name);
    }
}

/* Not all keys are opened by the new one. */
static void finish_incomplete(struct rotate *r)
{
    const struct rotate_result *result = &r->result;
    size_t left = count(r) - r->ended;

    if (left)
        err_prepend(&r->failure, "%u failures in a row, %zu keys not looked at; ", r->alike, left);
    if (result->rotated == 0 && r->not_opened == result->failed && left == 0)
        err_prepend(&r->failure,
                "the previous key %s opens none of the %zu keys, and nothing was changed: ", result->previous,
                count(r));
    else
        err_prepend(&r->failure,
                "%u of %zu keys were not rotated: do not destroy the previous key %s: ", result->failed, count(r),
                result->previous);
    finish(r, &r->failure);
}

/* Nothing failed. */
static void finish_complete(struct rotate *r)
{
    const struct rotate_result *result = &r->result;
    struct err e = ERR_INIT;

    if (result->rotated || r->has_evidence) {
        finish(r, NULL);
        return;
    }
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "nothing to rotate: all %u keys are opened by %s, and none says that it was ever wrapped by %s; is that "
            "the "
            "right file, or are the two interchanged? Destroy neither before that is clear",
            result->already, result->next, result->previous);
    finish(r, &e);
}

/* ---- old versions ---- */

static bool find_rotated(void *ctx, const char *name, int64_t *instant)
{
    struct rotate *r = ctx;
    const struct key_item *item = key_list_find(r->keys, name);

    if (!item || !item->is_rotated)
        return false;
    *instant = item->instant;
    return true;
}

static void on_purge_progress(void *ctx, unsigned done, unsigned total)
{
    tell_progress(ctx, done, total);
}

static void on_version_stays(void *ctx, const char *name, const struct err *err)
{
    struct rotate *r = ctx;
    struct err e = *err;

    err_prepend(&e, "an old version stays: ");
    tell_failure(r, name, &e);
}

static void on_versions(void *ctx, const struct old_versions_result *found, const struct err *err)
{
    struct rotate *r = ctx;
    struct err e = err ? *err : ERR_INIT;

    r->result.old_versions = found->found - found->purged;
    r->result.lost_versions = found->lost;
    r->result.purged = found->purged;
    r->result.versions_unknown = err != NULL;
    if (err && r->purges) {
        err_prepend(&e, "all keys are rotated, but old versions of them could not be looked for: ");
        finish(r, &e);
    } else if (found->stay) {
        err_prepend(&r->failure, "all keys are rotated, but %u old versions stay: ", found->stay);
        finish(r, &r->failure);
    } else {
        finish_complete(r);
    }
}

static void look_for_versions(struct rotate *r)
{
    struct old_versions_spec spec = {
            .previous = r->previous,
            .next = r->next,
            .purges = r->purges && !r->dry_run,
            .ctx = r,
            .find = find_rotated,
            .on_progress = on_purge_progress,
            .on_stays = on_version_stays,
            .on_done = on_versions,
    };
    struct old_versions_result none = {0};
    struct err e = ERR_INIT;

    set_state(r, VERSIONS);
    r->versions = old_versions_start(r->core, &spec, &e);
    if (!r->versions)
        on_versions(r, &none, &e);
}

/* ---- rewrapping ---- */

static void start_listing(struct rotate *r);

static void end_pass(struct rotate *r)
{
    if (r->result.failed)
        finish_incomplete(r);
    else if (r->dry_run || r->relistings == RELISTINGS_MAX)
        look_for_versions(r);
    else {
        set_state(r, RELISTING);
        r->relistings++;
        start_listing(r);
    }
}

static bool has_given_up(const struct rotate *r)
{
    return r->alike >= ALIKE_MAX;
}

static void count_outcome(struct rotate *r, struct key_item *item, enum rewrap_outcome outcome, const struct err *err)
{
    bool is_own = outcome != REWRAP_FAILED || err->kind == ERR_INTEGRITY || err->kind == ERR_NOT_FOUND;

    r->ended++;
    r->alike = is_own ? 0 : r->alike + 1;
    item->is_rotated = outcome == REWRAP_ROTATED || outcome == REWRAP_ALREADY;
    if (outcome == REWRAP_ROTATED) {
        r->result.rotated++;
    } else if (outcome == REWRAP_ALREADY) {
        r->result.already++;
    } else if (outcome == REWRAP_FAILED) {
        r->result.failed++;
        r->not_opened += err->domain == ERR_DOMAIN_KEY && err->code == KEY_FAULT_DOES_NOT_OPEN;
        tell_failure(r, item->name, err);
    }
}

static void start_more(struct rotate *r);

static void on_rewrapped(void *ctx, enum rewrap_outcome outcome, bool was_rotated_from, const struct err *err)
{
    struct lane *lane = ctx;
    struct rotate *r = lane->owner;

    r->has_evidence = r->has_evidence || was_rotated_from;
    count_outcome(r, key_list_at(r->keys, lane->index), outcome, err);
    rewrap_free(TAKE_PTR(lane->rewrap));
    tell_progress(r, r->ended, count(r));
    start_more(r);
}

static void start_one(struct rotate *r, struct lane *lane, size_t index)
{
    struct key_item *item = key_list_at(r->keys, index);
    struct rewrap_spec spec = {
            .name = item->name,
            .instant = item->instant,
            .previous = r->previous,
            .next = r->next,
            .previous_fingerprint = r->result.previous,
            .condition = &r->condition,
            .only_look = r->dry_run,
            .ctx = lane,
            .on_done = on_rewrapped,
    };
    struct err e = ERR_INIT;

    lane->owner = r;
    lane->index = index;
    if (item->is_unreadable)
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "its name has no time stamp that can be read, to bind it to");
    else
        lane->rewrap = rewrap_start(r->core, &spec, &e);
    if (!lane->rewrap)
        count_outcome(r, item, REWRAP_FAILED, &e);
}

static void start_more(struct rotate *r)
{
    bool under_way = false;

    for (unsigned i = 0; i < LANES; i++) {
        while (!r->lanes[i].rewrap && r->next_key < count(r) && !has_given_up(r))
            start_one(r, &r->lanes[i], r->next_key++);
        under_way = under_way || r->lanes[i].rewrap;
    }
    if (!under_way)
        end_pass(r);
}

/* ---- what there is ---- */

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    struct rotate *r = ctx;
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *list = listed;
    size_t known = count(r);
    struct err e = err ? *err : ERR_INIT;

    listing_free(TAKE_PTR(r->listing));
    if (err || key_list_add(r->keys, list, &e) < 0) {
        if (r->state == RELISTING)
            err_prepend(&e, "all keys are rotated, but whether others have come meanwhile could not be seen: ");
        finish(r, &e);
    } else if (count(r) == 0) {
        err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no encrypted backups in %s: there is nothing to rotate",
                core_bucket_url(r->core));
        finish(r, &e);
    } else if (count(r) == known) {
        look_for_versions(r);
    } else {
        set_state(r, REWRAPPING);
        start_more(r);
    }
}

static void start_listing(struct rotate *r)
{
    struct listing_spec spec = {.ctx = r, .on_done = on_listed};
    struct err e = ERR_INIT;

    r->listing = listing_start(r->core, &spec, &e);
    if (!r->listing)
        finish(r, &e);
}

/* ---- the beginning ---- */

/* The new key, and that the two are two. */
static int take_new_key(struct rotate *r, struct err *e)
{
    const char *path = core_conf(r->core)->encryption_key_path;
    _cleanup_secret_ struct secret *configured = NULL;
    struct err why = ERR_INIT;

    if (!path && !r->next)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "encryption_key_path is not configured: there is no key to rotate to; --new-key brings one along");
    configured = path ? key_read_master(path, &why) : NULL;
    if (configured)
        key_fingerprint(configured, r->result.configured);
    if (!r->next && !configured) {
        *e = why;
        return -1;
    }
    if (!r->next)
        r->next = TAKE_PTR(configured);
    key_fingerprint(r->previous, r->result.previous);
    key_fingerprint(r->next, r->result.next);
    if (secret_equal(r->previous, r->next))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "the previous key and the new one are the same (%s): nothing was changed", r->result.next);
    return 0;
}

static void begin(uv_timer_t *timer)
{
    struct rotate *r = CONTAINER_OF(timer, struct rotate, timer);
    struct err e = ERR_INIT;

    set_state(r, LISTING);
    if (take_new_key(r, &e) < 0)
        finish(r, &e);
    else
        start_listing(r);
}

static void free_unstarted(struct rotate *r)
{
    if (!r)
        return;
    key_list_free(r->keys);
    secret_free(r->previous);
    secret_free(r->next);
    free(r);
}

struct rotate *rotate_start(
        struct core *core, const struct rotate_request *request, const struct job_sink *sink, struct err *e)
{
    struct rotate *r = calloc(1, sizeof(*r));

    if (!r) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    r->keys = key_list_new(e);
    r->previous = secret_copy(secret_const_data(request->previous), KEY_LEN, e);
    if (request->next)
        r->next = secret_copy(secret_const_data(request->next), KEY_LEN, e);
    if (!r->keys || !r->previous || !r->next != !request->next) {
        free_unstarted(r);
        return NULL;
    }
    core_acquire(core);
    r->core = core;
    r->sink = *sink;
    r->dry_run = r->result.dry_run = request->dry_run;
    r->purges = request->purge_versions;
    r->started_ms = uv_now(core_loop(core));
    r->timer.data = r;
    (void)uv_timer_init(core_loop(core), &r->timer);
    (void)uv_timer_start(&r->timer, begin, 0, 0);
    return r;
}

static void cancel_now(uv_timer_t *timer)
{
    struct rotate *r = CONTAINER_OF(timer, struct rotate, timer);
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0,
            "cancelled; %u keys are rotated: run it again to go on, and keep the previous key until then",
            r->result.rotated + r->result.already);
    finish(r, &e);
}

void rotate_cancel(struct rotate *r)
{
    if (r->state == FINISHED || r->cancelled)
        return;
    r->cancelled = true;
    (void)uv_timer_start(&r->timer, cancel_now, 0, 0);
}
