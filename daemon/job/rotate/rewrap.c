#include "job/rotate/rewrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "job/bucket/object_lock.h"
#include "job/keys/rewrap_mark.h"
#include "s3/dialect.h"
#include "s3/object.h"
#include "seal/key.h"

enum {
    ROUNDS_MAX = 6,    /* somebody else writes, too: after so many it is left to the next run */
    METADATA_MAX = 30, /* that are taken over; s3_put takes 32 */
};

struct rewrap {
    struct core *core;
    struct rewrap_spec spec;
    struct s3_request *request;
    unsigned rounds;
    bool was_refused; /* our put, because the object was another, or so the store says */
    enum s3_match tried;
    char etag[S3_ETAG_MAX];
    const struct secret *opened_by; /* what is being replaced: the previous master key; or the new one, to bind it */
    bool has_put;
    bool is_held; /* what was put last, by a legal hold */
    /* As it was read, and as we put it. No secret waits here: locked memory is scarce. */
    uint8_t before[KEY_WRAPPED_LEN];
    uint8_t after[KEY_WRAPPED_LEN];
};

CLEANUP_FUNC(struct rewrap *, rewrap_free)

static void end_with(struct rewrap *r, enum rewrap_outcome outcome, bool was_rotated_from, const struct err *err)
{
    r->spec.on_done(r->spec.ctx, outcome, was_rotated_from, err);
}

static void fail(struct rewrap *r, const struct err *err, const char *doing)
{
    struct err e = *err;

    if (doing)
        err_prepend(&e, "%s: ", doing);
    end_with(r, REWRAP_FAILED, false, &e);
}

static bool is_http(const struct err *err, int status)
{
    return err->domain == ERR_DOMAIN_HTTP && err->code == status;
}

static bool does_not_open(const struct err *err)
{
    return err->domain == ERR_DOMAIN_KEY && err->code == KEY_FAULT_DOES_NOT_OPEN;
}

/* ---- requests ---- */

static int get(struct rewrap *r, void (*on_done)(void *, const struct s3_response *, const struct err *), struct err *e)
{
    struct s3_get_spec spec = {.key = r->spec.name, .limit = KEY_OBJECT_LIMIT, .ctx = r, .on_done = on_done};
    struct s3_client *s3 = core_s3(r->core, e);

    r->request = s3 ? s3_get(s3, &spec, e) : NULL;
    return r->request ? 0 : -1;
}

/* With the metadata of `from`, but for the trace of an earlier rotation, and ours. */
static int put(struct rewrap *r, const uint8_t *wrapped, const struct s3_response *from, bool is_rotated,
        void (*on_done)(void *, const struct s3_response *, const struct err *), struct err *e)
{
    struct s3_param metadata[METADATA_MAX + 1];
    char mark[KEY_MARK_MAX];
    struct s3_put_spec spec = {
            .key = r->spec.name,
            .body = {.data = wrapped, .len = KEY_WRAPPED_LEN},
            .metadata = metadata,
            .lock = object_lock_now(r->core, r->spec.instant, from),
            .legal_hold = from->legal_hold,
            .if_match = r->etag[0] ? r->etag : NULL,
            .ctx = r,
            .on_done = on_done,
    };
    struct s3_client *s3 = core_s3(r->core, e);

    r->is_held = from->legal_hold;
    r->tried = s3 ? s3_client_dialect(s3)->match : S3_MATCH_NONE;
    for (size_t i = 0; i < from->n_metadata && spec.n_metadata < METADATA_MAX; i++)
        if (strcmp(from->metadata[i].name, REWRAP_MARK) != 0)
            metadata[spec.n_metadata++] = from->metadata[i];
    if (is_rotated)
        metadata[spec.n_metadata++] = (struct s3_param){REWRAP_MARK, key_mark(r->spec.previous, spec.body, mark)};
    r->request = s3 ? s3_put(s3, &spec, e) : NULL;
    return r->request ? 0 : -1;
}

/* ---- after the put ---- */

static void on_put_back(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct rewrap *r = ctx;
    struct err e = ERR_INIT;

    (void)res;
    r->request = NULL;
    if (err)
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "the store gave back another key than was stored, and the one of before could not be put back: %s",
                err->text);
    else
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "the store gave back another key than was stored; the one of before was put back");
    fail(r, &e, NULL);
}

/* The store has made something else of it. What was there before opened its dump: it goes back. */
static void put_back(struct rewrap *r, const struct s3_response *res)
{
    struct err e = ERR_INIT;

    (void)snprintf(r->etag, sizeof(r->etag), "%s", res->etag);
    if (put(r, r->before, res, false, on_put_back, &e) < 0)
        on_put_back(r, NULL, &e);
}

static void on_read(void *ctx, const struct s3_response *res, const struct err *err);

/* Somebody else has written since: what is there now is looked at as if for the first time. */
static void look_anew(struct rewrap *r)
{
    struct err e = ERR_INIT;

    if (r->rounds >= ROUNDS_MAX)
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "somebody else writes to it again and again");
    if (r->rounds >= ROUNDS_MAX || get(r, on_read, &e) < 0)
        fail(r, &e, NULL);
}

/* Whether the new master key opens what is there, and to the same data key as before. Errors: ERR_INTEGRITY (it does
 * not), ERR_RESOURCE. */
static int compare(const struct rewrap *r, struct bytes found, struct err *e)
{
    struct bytes before = {r->before, sizeof(r->before)};
    _cleanup_secret_ struct secret *new = key_unwrap(r->spec.next, found, r->spec.instant, false, e);
    _cleanup_secret_ struct secret *old = new ? key_unwrap(r->opened_by, before, r->spec.instant, false, e) : NULL;

    if (!old)
        return -1;
    return secret_equal(new, old) ? 0 : err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "it holds another data key");
}

static bool says_it_came_from(const struct rewrap *r, const struct s3_response *res)
{
    return rewrap_mark_is_of(res, r->spec.previous, res->body);
}

static bool is_what_was_read(const struct rewrap *r, struct bytes found)
{
    return found.len == sizeof(r->before) && memcmp(found.data, r->before, sizeof(r->before)) == 0;
}

/* Whether this key opens it, bound to whatever instant. Errors: ERR_RESOURCE, which says nothing about it. */
static int try_key(const struct rewrap *r, const struct secret *master, struct bytes found, bool *opens, struct err *e)
{
    struct err why = ERR_INIT;
    _cleanup_secret_ struct secret *key = key_unwrap(master, found, r->spec.instant, true, &why);

    *opens = key != NULL;
    if (key || why.kind != ERR_RESOURCE)
        return 0;
    *e = why;
    return -1;
}

/* Something that makes sense, and neither what we put nor what was there before: another program has written it.
 * Errors: ERR_RESOURCE. */
static int is_somebody_elses(const struct rewrap *r, const struct s3_response *res, bool *is_theirs, struct err *e)
{
    bool by_previous, by_next;

    *is_theirs = false;
    if (is_what_was_read(r, res->body))
        return 0;
    if (try_key(r, r->spec.previous, res->body, &by_previous, e) < 0 ||
            try_key(r, r->spec.next, res->body, &by_next, e) < 0)
        return -1;
    *is_theirs = by_previous || by_next || says_it_came_from(r, res);
    return 0;
}

static bool is_ours(const struct rewrap *r, struct bytes found)
{
    return r->has_put && found.len == sizeof(r->after) && memcmp(found.data, r->after, sizeof(r->after)) == 0;
}

static enum rewrap_outcome what_we_did(const struct rewrap *r)
{
    return r->opened_by == r->spec.next ? REWRAP_BOUND : REWRAP_ROTATED;
}

static void on_read_back(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct rewrap *r = ctx;
    struct err e = ERR_INIT;
    bool is_theirs;

    r->request = NULL;
    if (err) {
        fail(r, err, "it was stored, but could not be read back");
    } else if (compare(r, res->body, &e) == 0 && r->is_held && !res->legal_hold && is_ours(r, res->body)) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "it was stored, but the store has not put it under the legal hold of the one before");
        fail(r, &e, NULL);
    } else if (e.kind == ERR_NONE) {
        end_with(r, what_we_did(r), false, NULL);
    } else if (e.kind == ERR_RESOURCE || is_somebody_elses(r, res, &is_theirs, &e) < 0) {
        fail(r, &e, "it was stored, but could not be looked at"); /* that says nothing about the store */
    } else if (is_theirs) {
        look_anew(r);
    } else if (is_what_was_read(r, res->body)) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "the new key was stored, but the store still shows the old one");
        fail(r, &e, NULL);
    } else {
        put_back(r, res);
    }
}

static void on_put(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct rewrap *r = ctx;
    struct err e = ERR_INIT;

    r->request = NULL;
    r->has_put = true;
    (void)res;
    if (err && (is_http(err, 501) || is_http(err, 412) || is_http(err, 404)) && r->rounds < ROUNDS_MAX) {
        /* Somebody else's, or our own whose answer got lost, or this store does not know the condition, or (404: S3
         * API, "conditional writes") it is not there any more. */
        r->was_refused = true;
        if (get(r, on_read, &e) < 0)
            fail(r, &e, NULL);
    } else if (err) {
        fail(r, err,
                r->is_held && err->kind == ERR_AUTH
                        ? "storing it under the legal hold of the one before, which needs s3:PutObjectLegalHold, too"
                        : "storing it");
    } else if (get(r, on_read_back, &e) < 0) {
        fail(r, &e, "it was stored, but could not be read back");
    }
}

/* ---- what is there ---- */

static void replace(struct rewrap *r, const struct s3_response *res, const struct secret *data_key)
{
    struct err e = ERR_INIT;
    struct s3_client *s3;

    /* Refused, and yet it is what it was. */
    if (r->was_refused && memcmp(r->before, res->body.data, KEY_WRAPPED_LEN) == 0 && strcmp(r->etag, res->etag) == 0 &&
            (s3 = core_s3(r->core, &e)))
        s3_dialect_refuses_match(s3_client_dialect(s3), r->tried);
    r->was_refused = false;
    (void)memcpy(r->before, res->body.data, KEY_WRAPPED_LEN);
    (void)snprintf(r->etag, sizeof(r->etag), "%s", res->etag);
    /* Memory that lies must not reach the bucket. */
    if (key_wrap(r->spec.next, data_key, r->spec.instant, r->after, &e) < 0 ||
            compare(r, (struct bytes){r->after, sizeof(r->after)}, &e) < 0)
        fail(r, &e, "wrapping it");
    else if (put(r, r->after, res, r->opened_by == r->spec.previous, on_put, &e) < 0)
        fail(r, &e, "storing it");
}

/* One of previous_key_paths, perhaps: the person may have named the wrong file. */
static void explain(const struct rewrap *r, const struct s3_response *res, struct err *e)
{
    _cleanup_secret_ struct secret *data_key = NULL;
    struct err ignored = ERR_INIT;
    size_t by;

    if (r->spec.ring)
        data_key = keyring_unwrap(r->spec.ring, res->body, r->spec.instant, false, &by, &ignored);
    if (data_key)
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "it is opened by %s, which the configuration names, and by neither of the two keys",
                keyring_fingerprint(r->spec.ring, by));
    else if (says_it_came_from(r, res))
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "it was rotated from the same previous key, but to another new one: by another ceremony");
    else
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "neither of the two keys opens it: it is damaged, or wrapped by a third");
}

/* It opens with the new key. */
static void bind_if_unbound(struct rewrap *r, const struct s3_response *res, const struct secret *data_key)
{
    if (key_is_bound_to(r->spec.next, res->body, r->spec.instant)) {
        end_with(r, is_ours(r, res->body) ? what_we_did(r) : REWRAP_ALREADY, says_it_came_from(r, res), NULL);
    } else if (r->spec.only_look) {
        end_with(r, REWRAP_BOUND, says_it_came_from(r, res), NULL);
    } else {
        r->opened_by = r->spec.next;
        replace(r, res, data_key);
    }
}

/* The previous key does not open it. */
static void look_whether_done(struct rewrap *r, const struct s3_response *res)
{
    _cleanup_secret_ struct secret *found = NULL;
    struct err e = ERR_INIT;

    found = key_unwrap(r->spec.next, res->body, r->spec.instant, false, &e);
    /* Our put was refused, and yet it is what is there, by its mark, and damaged. What has another mark, or none, is
     * somebody else's. */
    if (!found && does_not_open(&e) && r->has_put &&
            rewrap_mark_is_of(res, r->spec.previous, (struct bytes){r->after, sizeof(r->after)})) {
        put_back(r, res);
        return;
    }
    if (!found && does_not_open(&e))
        explain(r, res, &e);
    if (!found)
        fail(r, &e, NULL);
    else
        bind_if_unbound(r, res, found);
}

static void on_read(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct rewrap *r = ctx;
    _cleanup_secret_ struct secret *opened = NULL;
    struct err e = ERR_INIT;

    r->request = NULL;
    r->rounds++;
    if (err && err->kind == ERR_NOT_FOUND && is_http(err, 404)) {
        end_with(r, REWRAP_GONE, false, NULL);
        return;
    }
    if (err) {
        fail(r, err, "reading it");
        return;
    }
    opened = key_unwrap(r->spec.previous, res->body, r->spec.instant, false, &e);
    if (!opened && does_not_open(&e))
        look_whether_done(r, res);
    else if (!opened)
        fail(r, &e, NULL);
    else if (r->spec.only_look)
        end_with(r, REWRAP_ROTATED, false, NULL);
    else {
        r->opened_by = r->spec.previous;
        replace(r, res, opened);
    }
}

struct rewrap *rewrap_start(struct core *core, const struct rewrap_spec *spec, struct err *e)
{
    _cleanup_(cleanup_rewrap_free) struct rewrap *r = calloc(1, sizeof(*r));

    if (!r) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    r->core = core;
    r->spec = *spec;
    return get(r, on_read, e) < 0 ? NULL : TAKE_PTR(r);
}

void rewrap_free(struct rewrap *r)
{
    if (!r)
        return;
    if (r->request)
        s3_request_cancel(r->request);
    free(r);
}
