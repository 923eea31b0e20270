#include "s3/upload_commit.h"

#include <string.h>

#include "s3/dialect.h"

static const char condition_failed[] = "PreconditionFailed";

enum { BODY_LIMIT = 4 << 20 }; /* 10,000 parts with ETags of the usual 34 characters are 1 MiB */

/* Nothing may be touched after these two. */

static void committed(struct upload_commit *c)
{
    c->spec.on_done(c->spec.ctx, S3_OUTCOME_VISIBLE, NULL);
}

static void not_committed(struct upload_commit *c, enum s3_outcome outcome, const struct err *err)
{
    c->spec.on_done(c->spec.ctx, outcome, err);
}

static void on_locked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_commit *c = ctx;

    (void)res;
    if (err)
        c->lock_err = *err;
    committed(c);
}

static int lock(struct upload_commit *c, struct err *e)
{
    struct s3_request_spec request = {
            .method = S3_PUT,
            .query = &(struct s3_param){"retention", ""},
            .n_query = 1,
            .headers = &(struct s3_param){"content-type", "application/xml"},
            .n_headers = 1,
            .body = {.data = (const uint8_t *)c->lock_body, .len = s3_lock_body(&c->spec.lock, c->lock_body)},
            .with_md5 = true,
    };

    c->call.on_done = on_locked;
    return upload_call_start(&c->call, request, e);
}

/* The object is there. Ceph 16 does not keep what was said of a lock when the upload began; and who may not see it is
 * not shown it, so that it is asked for twice. */
static void settle_visible(struct upload_commit *c, const struct s3_response *head)
{
    const bool is_shown = head && head->retain_until >= c->spec.lock.until;

    if (c->spec.lock.mode == S3_LOCK_NONE || is_shown || lock(c, &c->lock_err) < 0)
        committed(c);
}

static int head(struct upload_commit *c,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    c->call.on_done = on_done;
    return upload_call_start(&c->call, (struct s3_request_spec){.method = S3_HEAD}, e);
}

static bool is_another_etag(const char *ours, struct bytes now)
{
    struct bytes b = s3_dialect_bare_etag(ours);

    return b.len != now.len || memcmp(b.data, now.data, now.len) != 0;
}

/*
 * Whether the object is there no more that we have committed. Only what both ETags prove that are of the usual kind for
 * what was uploaded in parts: some stores make them in their own ways, and others for each answer. Where the answer to
 * the commit names none (Ceph 16), ours is the usual one, if the size speaks for that, too.
 */
static bool is_overwritten(const struct upload_commit *c, const struct s3_response *head)
{
    const uint64_t size = parts_size(c->spec.parts);
    struct bytes now = s3_dialect_bare_etag(head->etag);
    char usual[PARTS_ETAG_MAX];

    if (!memchr(now.data, '-', now.len))
        return false;
    if (parts_match_etag(c->spec.parts, c->etag))
        return is_another_etag(c->etag, now);
    return head->content_length != size && parts_usual_etag(c->spec.parts, usual) && is_another_etag(usual, now);
}

/* By the HEAD, or where that may not look by the answer to the commit, or where that names none (Ceph 16) as usual. */
static void see(struct upload_commit *c, const struct s3_response *head)
{
    char usual[PARTS_ETAG_MAX];

    if (head && head->etag[0])
        upload_store_saw(c->spec.store, head->etag);
    else if (c->etag[0] || !parts_usual_etag(c->spec.parts, usual))
        upload_store_saw(c->spec.store, c->etag);
    else
        upload_store_saw(c->spec.store, usual);
}

/* S3 has said that it is done: then the object must be there, whole. */
static void settle_completed(struct upload_commit *c, const struct s3_response *res, const struct err *err)
{
    const uint64_t size = parts_size(c->spec.parts);
    struct err e;

    if (res && is_overwritten(c, res)) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0,
                "%s was overwritten meanwhile: another backup began in the same second", c->spec.store->key);
        not_committed(c, S3_OUTCOME_ABSENT, &e);
        return;
    }
    if (err && err->kind == ERR_AUTH) /* what it was told is all that it may know */
        c->unseen_err = *err;
    if (c->unseen_err.kind || (res && res->content_length == size)) {
        see(c, res);
        settle_visible(c, res);
        return;
    }
    if (res && res->content_length == UINT64_MAX) {
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0,
                "the store completed the upload, but does not say how large the object is");
    } else if (res) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "the object in the store has %llu bytes instead of %llu",
                (unsigned long long)res->content_length, (unsigned long long)size);
    } else if (err->kind == ERR_NOT_FOUND) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "the store completed the upload, but the object is not there");
    } else {
        e = *err;
        err_prepend(&e, "the store completed the upload, but whether the object is whole is unknown: ");
    }
    not_committed(c, S3_OUTCOME_UNKNOWN, &e);
}

/*
 * The answer was an error, or there was none. Also then the object may be there: an earlier attempt may have made it
 * (the next one is then told NoSuchUpload, or 500 by Ceph), and it may still appear: only the abort can tell for sure.
 */
static void settle_lost(struct upload_commit *c, const struct s3_response *res, const struct err *err)
{
    struct err e = c->commit_err;

    if (res && upload_store_is_ours(c->spec.store, c->spec.parts, res)) {
        upload_store_saw(c->spec.store, res->etag);
        settle_visible(c, res);
        return;
    }
    if (err && err->kind != ERR_NOT_FOUND)
        err_set(&e, e.kind, e.domain, e.code, "%s; whether the object is visible is unknown", c->commit_err.text);
    not_committed(c, S3_OUTCOME_UNKNOWN, &e);
}

static void on_checked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_commit *c = ctx;

    if (c->is_completed)
        settle_completed(c, res, err);
    else
        settle_lost(c, res, err);
}

static void set_exists(const struct upload_commit *c, struct err *e)
{
    (void)err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s exists already: another backup began in the same second",
            c->spec.store->key);
}

/* The store has found the name taken. It may say so with a 200, as of all that it finds out late. */
static bool is_refused(const struct s3_response *res)
{
    struct xml_error error;
    struct err ignored = ERR_INIT;

    return xml_parse_error(res->body, &error, &ignored) == 0 && strcmp(error.code, condition_failed) == 0;
}

static int complete(struct upload_commit *c, struct err *e);

static void on_completed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_commit *c = ctx;
    const bool is_taken = res && c->is_conditional && is_refused(res);
    struct err e;

    if (err && c->is_conditional &&
            s3_dialect_hears(s3_client_dialect(c->spec.store->client), S3_COMMIT_IF_NONE, err)) {
        c->may_not_ask = true;
        if (complete(c, &e) < 0)
            not_committed(c, S3_OUTCOME_UNKNOWN, &e);
        return;
    }
    buf_reset(&c->body);
    if (err)
        c->commit_err = *err;
    c->is_completed = res && !is_taken && xml_parse_complete(res->body, c->etag, &c->commit_err) == 0;
    if (is_taken)
        set_exists(c, &c->commit_err);
    else if (!c->is_completed)
        err_prepend(&c->commit_err, "completing the upload: ");
    if (is_taken && res->attempts == 1) /* else it may be an earlier attempt that took it */
        not_committed(c, S3_OUTCOME_ABSENT, &c->commit_err);
    else if (head(c, on_checked, &e) < 0)
        on_checked(c, NULL, &e);
}

static int complete(struct upload_commit *c, struct err *e)
{
    const struct s3_param headers[] = {{"content-type", "application/xml"}, {"if-none-match", "*"}};
    struct s3_request_spec request = {
            .method = S3_POST,
            .query = &(struct s3_param){"uploadId", c->spec.id},
            .n_query = 1,
            .headers = headers,
            .n_headers = 1,
    };

    c->is_conditional = c->spec.must_be_new && !c->may_not_ask &&
                        !s3_dialect_lacks(s3_client_dialect(c->spec.store->client), S3_COMMIT_IF_NONE);
    if (c->is_conditional) {
        request.n_headers++;
        request.fine_code = condition_failed;
    }
    buf_reset(&c->body);

    c->call.on_done = on_completed;
    if (parts_write_xml(c->spec.parts, &c->body, e) < 0)
        return err_prepend(e, "completing the upload: ");
    request.body = buf_bytes(&c->body);
    if (upload_call_start(&c->call, request, e) < 0)
        return err_prepend(e, "completing the upload: ");
    c->is_sent = true;
    return 0;
}

static void on_looked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_commit *c = ctx;
    struct err e = err ? *err : ERR_INIT;

    (void)res;
    if (!err) {
        set_exists(c, &e);
    } else if (err->kind != ERR_NOT_FOUND && err->kind != ERR_AUTH) {
        err_prepend(&e, "looking whether %s exists already: ", c->spec.store->key);
    } else if (complete(c, &e) == 0) {
        /* Who may not look does without: the look is one more safety, and the commit is what was asked for. */
        return;
    }
    not_committed(c, S3_OUTCOME_ABSENT, &e);
}

int upload_commit_start(struct upload_commit *c, const struct upload_commit_spec *spec, struct err *e)
{
    c->spec = *spec;
    c->call = (struct upload_call){.store = spec->store, .ctx = c};
    c->body = BUF_INIT(BODY_LIMIT);
    return spec->must_be_new ? head(c, on_looked, e) : complete(c, e);
}

void upload_commit_cancel(struct upload_commit *c)
{
    upload_call_cancel(&c->call);
    buf_reset(&c->body);
}
