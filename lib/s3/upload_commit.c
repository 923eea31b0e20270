#include <string.h>

#include "s3/upload_state.h"

/* A Date header is cut to the second, and was written before we read it. */
enum { CLOCK_SLACK_S = 2 };

bool upload_since_start(const struct s3_upload *u, int64_t instant)
{
    return instant >= u->started + s3_client_clock_skew(u->client) - CLOCK_SLACK_S;
}

bool upload_is_ours(const struct s3_upload *u, const struct s3_response *head)
{
    return head->content_length == u->spec.size &&
           (parts_match_etag(u->parts, head->etag) ||
                   (head->last_modified && upload_since_start(u, head->last_modified)));
}

int upload_head(struct s3_upload *u, void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err),
        struct err *e)
{
    u->request = s3_request_start(u->client,
            &(struct s3_request_spec){
                    .method = S3_HEAD,
                    .key = u->spec.key,
                    .patience_ms = upload_patience(u),
                    .ctx = u,
                    .on_retry = upload_on_retry,
                    .on_done = on_done,
            },
            e);
    return u->request ? 0 : -1;
}

/* Nothing may be touched after these two. */

static void committed(struct s3_upload *u)
{
    u->outcome = S3_OUTCOME_VISIBLE;
    upload_enter(u, UPLOAD_COMMITTED);
    u->spec.on_committed(u->spec.ctx, NULL);
}

static void not_committed(struct s3_upload *u, enum s3_outcome outcome, const struct err *err)
{
    u->outcome = outcome;
    upload_enter(u, UPLOAD_FAILED);
    u->spec.on_committed(u->spec.ctx, err);
}

static void on_looked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_upload *u = ctx;
    struct err e;

    (void)res;
    u->request = NULL;
    /* Who may not look does without: the look is one more safety, and the commit is what was asked for. */
    if (err && (err->kind == ERR_NOT_FOUND || err->kind == ERR_AUTH)) {
        upload_enter(u, UPLOAD_COMPLETING);
        upload_pump(u);
        return;
    }
    if (err) {
        e = *err;
        err_prepend(&e, "looking whether %s exists already: ", u->spec.key);
    } else {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s exists already: another backup began in the same second",
                u->spec.key);
    }
    not_committed(u, S3_OUTCOME_ABSENT, &e);
}

/* An ETag without what it may be wrapped in: a weak one's mark, and quotes. */
static struct bytes bare(const char *etag)
{
    size_t len;

    if (strncmp(etag, "W/", 2) == 0)
        etag += 2;
    if (*etag == '"')
        etag++;
    len = strlen(etag);
    if (len && etag[len - 1] == '"')
        len--;
    return (struct bytes){.data = (const uint8_t *)etag, .len = len};
}

static bool is_another_etag(const char *ours, struct bytes now)
{
    struct bytes b = bare(ours);

    return b.len != now.len || memcmp(b.data, now.data, now.len) != 0;
}

/*
 * Whether the object is there no more that we have committed. Only what both ETags prove that are of the usual kind for
 * what was uploaded in parts: some stores make them in their own ways, and others for each answer. Where the answer to
 * the commit names none (Ceph 16), ours is the usual one, if the size speaks for that, too.
 */
static bool is_overwritten(const struct s3_upload *u, const struct s3_response *head)
{
    struct bytes now = bare(head->etag);
    char usual[PARTS_ETAG_MAX];

    if (!memchr(now.data, '-', now.len))
        return false;
    if (parts_match_etag(u->parts, u->etag))
        return is_another_etag(u->etag, now);
    return head->content_length != u->spec.size && parts_usual_etag(u->parts, usual) && is_another_etag(usual, now);
}

/* S3 has said that it is done: then the object must be there, whole. */
static void settle_completed(struct s3_upload *u, const struct s3_response *res, const struct err *err)
{
    struct err e;

    if (res && is_overwritten(u, res)) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0,
                "%s was overwritten meanwhile: another backup began in the same second", u->spec.key);
        not_committed(u, S3_OUTCOME_ABSENT, &e);
        return;
    }
    if (err && err->kind == ERR_AUTH) /* what it was told is all that it may know */
        u->unseen_err = *err;
    if (u->unseen_err.kind || (res && res->content_length == u->spec.size)) {
        committed(u);
        return;
    }
    if (res && res->content_length == UINT64_MAX) {
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0,
                "the store completed the upload, but does not say how large the object is");
    } else if (res) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "the object in the store has %llu bytes instead of %llu",
                (unsigned long long)res->content_length, (unsigned long long)u->spec.size);
    } else if (err->kind == ERR_NOT_FOUND) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "the store completed the upload, but the object is not there");
    } else {
        e = *err;
        err_prepend(&e, "the store completed the upload, but whether the object is whole is unknown: ");
    }
    not_committed(u, S3_OUTCOME_UNKNOWN, &e);
}

/*
 * The answer was an error, or there was none. Also then the object may be there: an earlier attempt may have made it
 * (the next one is then told NoSuchUpload, or 500 by Ceph), and it may still appear: only the abort can tell for sure.
 */
static void settle_lost(struct s3_upload *u, const struct s3_response *res, const struct err *err)
{
    struct err e = u->commit_err;

    if (res && upload_is_ours(u, res)) {
        committed(u);
        return;
    }
    if (err && err->kind != ERR_NOT_FOUND)
        err_set(&e, e.kind, e.domain, e.code, "%s; whether the object is visible is unknown", u->commit_err.text);
    not_committed(u, S3_OUTCOME_UNKNOWN, &e);
}

static void on_head(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_upload *u = ctx;

    u->request = NULL;
    if (res)
        upload_answered(u, res);
    if (u->completed)
        settle_completed(u, res, err);
    else
        settle_lost(u, res, err);
}

static void on_completed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_upload *u = ctx;

    u->request = NULL;
    buf_reset(&u->body);
    if (err)
        u->commit_err = *err;
    else
        upload_answered(u, res);
    u->completed = !err && xml_parse_complete(res->body, u->etag, &u->commit_err) == 0;
    if (!u->completed)
        err_prepend(&u->commit_err, "completing the upload: ");
    upload_enter(u, UPLOAD_CHECKING);
    upload_pump(u);
}

static int complete(struct s3_upload *u, struct err *e)
{
    if (parts_write_xml(u->parts, &u->body, e) < 0)
        return -1;
    u->request = s3_request_start(u->client,
            &(struct s3_request_spec){
                    .method = S3_POST,
                    .key = u->spec.key,
                    .query = &(struct s3_param){"uploadId", upload_id(u)},
                    .n_query = 1,
                    .headers = &(struct s3_param){"content-type", "application/xml"},
                    .n_headers = 1,
                    .body = buf_bytes(&u->body),
                    .patience_ms = upload_patience(u),
                    .ctx = u,
                    .on_retry = upload_on_retry,
                    .on_done = on_completed,
            },
            e);
    return u->request ? 0 : -1;
}

void upload_commit_step(struct s3_upload *u)
{
    struct err e;

    if (u->request)
        return;
    if (u->state == UPLOAD_COMPLETING && complete(u, &e) < 0) {
        err_prepend(&e, "completing the upload: ");
        not_committed(u, S3_OUTCOME_ABSENT, &e);
        return;
    }
    if (u->state == UPLOAD_LOOKING) {
        if (upload_head(u, on_looked, &e) < 0)
            not_committed(u, S3_OUTCOME_ABSENT, &e);
        return;
    }
    if (u->state == UPLOAD_CHECKING) {
        if (upload_head(u, on_head, &e) < 0)
            on_head(u, NULL, &e);
    }
}
