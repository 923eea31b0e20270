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
#include "seal/sealed_key.h"

enum {
    ROUNDS_MAX = 6,    /* somebody else writes, too: after so many it is left to the next run */
    METADATA_MAX = 29, /* that are taken over; s3_put takes 32, and there are three traces */
};

struct rewrap {
    struct core *core;
    struct rewrap_spec spec;
    struct s3_request *request;
    unsigned rounds;
    bool was_refused; /* our put, because the object was another, or so the store says */
    enum s3_match tried;
    char etag[S3_ETAG_MAX];
    bool has_put;
    bool is_of_previous;         /* what was read */
    bool is_held;                /* what was put last, by a legal hold */
    enum rewrap_outcome outcome; /* of that put */
    /* As it was read, and as we put it. No secret waits here: locked memory is scarce. */
    struct buf before, after;
    char mark[KEY_MARK_MAX], proof[SEALED_KEY_PROOF_MAX]; /* what we put beside it, or "" */
    char away[REWRAP_AWAY_MAX], away_before[REWRAP_AWAY_MAX];
};

CLEANUP_FUNC(struct rewrap *, rewrap_free)

static void end_with(struct rewrap *r, enum rewrap_outcome outcome, bool is_of_previous, const struct err *err)
{
    r->spec.on_done(r->spec.ctx, outcome, is_of_previous, err);
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
    return err->domain == ERR_DOMAIN_KEY && (err->code == KEY_FAULT_DOES_NOT_OPEN || err->code == KEY_FAULT_SEALED);
}

static bool is_same(const struct buf *b, struct bytes found)
{
    return found.len == b->len && b->len && memcmp(found.data, b->data, b->len) == 0;
}

/* ---- requests ---- */

static int get(struct rewrap *r, void (*on_done)(void *, const struct s3_response *, const struct err *), struct err *e)
{
    struct s3_get_spec spec = {.key = r->spec.name, .limit = KEY_OBJECT_LIMIT, .ctx = r, .on_done = on_done};
    struct s3_client *s3 = core_s3(r->core, e);

    r->request = s3 ? s3_get(s3, &spec, e) : NULL;
    return r->request ? 0 : -1;
}

static bool is_trace(const char *name)
{
    return strcmp(name, REWRAP_MARK) == 0 || strcmp(name, REWRAP_AWAY) == 0 || strcmp(name, REWRAP_PROOF) == 0;
}

/* With the metadata of `from`, but for the traces of an earlier rotation; and with ours, if it is what we have made.
 * Who was rotated away earlier stays so in either case. */
static int put(struct rewrap *r, const struct buf *body, const struct s3_response *from,
        void (*on_done)(void *, const struct s3_response *, const struct err *), struct err *e)
{
    const char *away = body == &r->after ? r->away : r->away_before;
    struct s3_param metadata[METADATA_MAX + 3];
    struct s3_put_spec spec = {
            .key = r->spec.name,
            .body = buf_bytes(body),
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
        if (!is_trace(from->metadata[i].name))
            metadata[spec.n_metadata++] = from->metadata[i];
    if (body == &r->after && r->mark[0])
        metadata[spec.n_metadata++] = (struct s3_param){REWRAP_MARK, r->mark};
    if (body == &r->after && r->proof[0])
        metadata[spec.n_metadata++] = (struct s3_param){REWRAP_PROOF, r->proof};
    if (away[0])
        metadata[spec.n_metadata++] = (struct s3_param){REWRAP_AWAY, away};
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
    if (put(r, &r->before, res, on_put_back, &e) < 0)
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

/* Whether what is there is the new one, and holds the same data key as before: what is sealed cannot be opened here, so
 * it is to be what we put. Errors: ERR_INTEGRITY (it does not), ERR_RESOURCE. */
static int compare(const struct rewrap *r, struct bytes found, struct err *e)
{
    const struct key_form *form = r->spec.form;
    _cleanup_secret_ struct secret *new = NULL, *old = NULL;
    const struct secret *ignored;
    bool is_so;

    if (form->n) {
        if (key_form_is(form, found, r->spec.instant, false, &is_so, e) < 0)
            return -1;
        return is_so && is_same(&r->after, found)
                       ? 0
                       : err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "it is not what was stored");
    }
    new = key_unwrap(form->master, found, r->spec.instant, false, e);
    if (new)
        old = key_opener_open(r->spec.opener, buf_bytes(&r->before), r->spec.instant, false, &ignored, e);
    if (!old)
        return -1;
    return secret_equal(new, old) ? 0 : err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "it holds another data key");
}

static bool has_mark_of_previous(const struct rewrap *r, const struct s3_response *res)
{
    return r->spec.opener->previous && rewrap_mark_is_of(res, r->spec.opener->previous, res->body);
}

static bool says_it_came_from(const struct rewrap *r, const struct s3_response *res)
{
    const struct secret *previous = r->spec.opener->previous;
    struct err ignored = ERR_INIT;

    return has_mark_of_previous(r, res) || (previous && rewrap_mark_is_away(res, previous, r->spec.instant)) ||
           (previous && sealed_key_is(res->body) && sealed_key_check(previous, res->body, 0, true, &ignored) == 0);
}

/* Whether it is our put, by what is beside it. What has other traces, or none, is somebody else's. */
static bool has_our_traces(const struct rewrap *r, const struct s3_response *res)
{
    return r->has_put && (r->mark[0] || r->proof[0]) && strcmp(rewrap_mark_text(res, REWRAP_MARK), r->mark) == 0 &&
           strcmp(rewrap_mark_text(res, REWRAP_PROOF), r->proof) == 0;
}

static bool is_ours(const struct rewrap *r, struct bytes found)
{
    return r->has_put && is_same(&r->after, found);
}

/* Something that makes sense, and neither what we put nor what was there before: another program has written it.
 * Errors: ERR_RESOURCE. */
static int is_somebody_elses(const struct rewrap *r, const struct s3_response *res, bool *is_theirs, struct err *e)
{
    *is_theirs = false;
    if (is_same(&r->before, res->body) || (sealed_key_is(res->body) && has_our_traces(r, res)))
        return 0;
    if (key_opener_knows(r->spec.opener, res->body, r->spec.instant, is_theirs, e) < 0)
        return -1;
    *is_theirs = *is_theirs || has_mark_of_previous(r, res);
    return 0;
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
        end_with(r, r->outcome, r->is_of_previous, NULL);
    } else if (e.kind == ERR_RESOURCE || is_somebody_elses(r, res, &is_theirs, &e) < 0) {
        fail(r, &e, "it was stored, but could not be looked at"); /* that says nothing about the store */
    } else if (is_theirs) {
        look_anew(r);
    } else if (is_same(&r->before, res->body)) {
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

static bool is_new_master(const struct rewrap *r, const struct secret *master)
{
    return r->spec.form->master && secret_equal(master, r->spec.form->master);
}

/* The traces of who is rotated away, now or earlier. Where the one that stood for it goes on, as when people alone
 * change, that is nobody now; and the mark of before is made anew, if its master key was handed over. */
static void leave_marks(struct rewrap *r, const struct s3_response *res, const struct secret *authority)
{
    const struct secret *previous = r->spec.opener->previous;
    const struct secret *away = authority && !is_new_master(r, authority) ? authority : NULL;
    const char *before = rewrap_mark_text(res, REWRAP_AWAY);

    if (!away && has_mark_of_previous(r, res) && !is_new_master(r, previous))
        away = previous;
    if (away)
        (void)key_mark(away, buf_bytes(&r->after), r->mark);
    (void)rewrap_mark_add_away(before, NULL, NULL, r->spec.instant, r->away_before);
    (void)rewrap_mark_add_away(before, away, r->spec.form->master, r->spec.instant, r->away);
}

/* Makes it anew. Memory that lies must not reach the bucket. */
static int make(struct rewrap *r, const struct secret *data_key, struct err *e)
{
    const struct key_form *form = r->spec.form;

    buf_reset(&r->after);
    r->mark[0] = r->proof[0] = '\0';
    if (key_form_write(form, data_key, r->spec.instant, &r->after, e) < 0 || compare(r, buf_bytes(&r->after), e) < 0)
        return -1;
    if (form->n && form->master)
        (void)sealed_key_proof(form->master, data_key, buf_bytes(&r->after), r->proof);
    return 0;
}

static void replace(
        struct rewrap *r, const struct s3_response *res, const struct secret *data_key, const struct secret *authority)
{
    struct err e = ERR_INIT;
    struct s3_client *s3;

    /* Refused, and yet it is what it was. */
    if (r->was_refused && is_same(&r->before, res->body) && strcmp(r->etag, res->etag) == 0 &&
            (s3 = core_s3(r->core, &e)))
        s3_dialect_refuses_match(s3_client_dialect(s3), r->tried);
    r->was_refused = false;
    buf_reset(&r->before);
    (void)snprintf(r->etag, sizeof(r->etag), "%s", res->etag);
    if (buf_append(&r->before, res->body.data, res->body.len, &e) < 0 || make(r, data_key, &e) < 0) {
        fail(r, &e, "wrapping it");
        return;
    }
    leave_marks(r, res, authority);
    if (put(r, &r->after, res, on_put, &e) < 0)
        fail(r, &e, "storing it");
}

/* A wrapped key that does not open. One of previous_key_paths opens it, perhaps: the person may have named the wrong
 * file. What is sealed explains itself. */
static void explain(const struct rewrap *r, const struct s3_response *res, struct err *e)
{
    const struct key_opener *opener = r->spec.opener;
    _cleanup_secret_ struct secret *data_key = NULL;
    struct err ignored = ERR_INIT;
    size_t by;

    if (sealed_key_is(res->body))
        return;
    if (opener->ring)
        data_key = keyring_unwrap(opener->ring, res->body, r->spec.instant, false, &by, &ignored);
    if (data_key)
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "it is opened by %s, which the configuration names, and %s", keyring_fingerprint(opener->ring, by),
                opener->previous ? "by neither of the two keys" : "is not sealed: -p with that key takes it along");
    else if (has_mark_of_previous(r, res))
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "it was rotated from the same previous key, but to another new one: by another ceremony");
    else if (opener->previous)
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "neither of the two keys opens it: it is damaged, or wrapped by a third");
    else
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "it is not sealed: a master key has wrapped it, which -p hands over, or it is damaged");
}

/* It has the form. Whoever has brought identities that open it sees that they do. */
static void end_done(struct rewrap *r, const struct s3_response *res)
{
    const struct brought_keys *brought = r->spec.opener->brought;
    _cleanup_secret_ struct secret *opened = NULL;
    struct err e = ERR_INIT;

    if (r->spec.form->n && brought && brought->identities)
        opened = sealed_key_open(brought->identities, res->body, r->spec.instant, false, &e);
    if (opened || e.kind == ERR_NONE || does_not_open(&e))
        end_with(r, is_ours(r, res->body) ? r->outcome : REWRAP_ALREADY, says_it_came_from(r, res), NULL);
    else
        fail(r, &e, NULL);
}

/* It is to be made anew: who opens it? */
static void open_and_replace(struct rewrap *r, const struct s3_response *res)
{
    const struct secret *authority;
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *opened =
            key_opener_open(r->spec.opener, res->body, r->spec.instant, false, &authority, &e);

    /* Our put was refused, and yet it is what is there, by its traces, and damaged. */
    if (!opened && does_not_open(&e) && has_our_traces(r, res)) {
        put_back(r, res);
        return;
    }
    if (!opened) {
        if (does_not_open(&e))
            explain(r, res, &e);
        fail(r, &e, NULL);
        return;
    }
    r->outcome = !sealed_key_is(res->body) && r->spec.form->n == 0 && authority == r->spec.form->master
                         ? REWRAP_BOUND
                         : REWRAP_ROTATED;
    r->is_of_previous = key_opener_is_previous(r->spec.opener, authority) || says_it_came_from(r, res);
    if (r->spec.only_look)
        end_with(r, r->outcome, r->is_of_previous, NULL);
    else
        replace(r, res, opened, authority);
}

static void on_read(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct rewrap *r = ctx;
    struct err e = ERR_INIT;
    bool is_so;

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
    if (key_form_is(r->spec.form, res->body, r->spec.instant, false, &is_so, &e) < 0)
        fail(r, &e, NULL);
    else if (is_so)
        end_done(r, res);
    else
        open_and_replace(r, res);
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
    r->before = BUF_INIT(KEY_OBJECT_LIMIT);
    r->after = BUF_INIT(SEALED_KEY_MAX);
    return get(r, on_read, e) < 0 ? NULL : TAKE_PTR(r);
}

void rewrap_free(struct rewrap *r)
{
    if (!r)
        return;
    if (r->request)
        s3_request_cancel(r->request);
    buf_reset(&r->before);
    buf_reset(&r->after);
    free(r);
}
