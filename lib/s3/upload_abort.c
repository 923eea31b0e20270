/*
 * The abort looks at what is known and does the next thing that is missing, until nothing is:
 *
 *     the answer to CreateMultipartUpload is still to come: it may bring the id
 *     the outcome of a commit is unknown: HEAD; what is visible is left alone
 *     abort our id; again, if a part was under way that may have arrived since (S3 API, AbortMultipartUpload)
 *     an id was lost: list the unfinished uploads of our key that are not older than ours, and abort them too
 *     the outcome was unknown: HEAD again, now that nothing can complete any more
 */
#include <string.h>

#include "s3/upload_state.h"

enum {
    CREATE_PATIENCE_MS = 5000, /* for the answer with our id */
    ABORT_TRIES = 4,           /* until the store says that there is no such upload */
    ABORT_PAUSE_MS = 100,      /* before the second, then twice as long each time */
};

/* The last thing; nothing may be touched after it. */
static void finish(struct s3_upload *u, const struct err *err)
{
    struct err e;

    if (err) {
        e = *err;
        err_prepend(&e, "aborting the upload: ");
    }
    upload_enter(u, UPLOAD_ABORTED);
    u->spec.on_aborted(u->spec.ctx, err ? &e : NULL);
}

static void on_pause_over(uv_timer_t *timer)
{
    upload_pump(CONTAINER_OF(timer, struct s3_upload, timer));
}

static void on_create_overdue(uv_timer_t *timer)
{
    struct s3_upload *u = CONTAINER_OF(timer, struct s3_upload, timer);

    s3_request_cancel(TAKE_PTR(u->create));
    u->id_lost = true;
    upload_pump(u);
}

static void on_looked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_upload *u = ctx;

    u->request = NULL;
    if (err && err->kind != ERR_NOT_FOUND && err->kind != ERR_AUTH) {
        finish(u, err);
        return;
    }
    u->abort.looks++;
    if (err && err->kind == ERR_AUTH) { /* it stays unknown, and what can be taken back is */
        upload_pump(u);
        return;
    }
    if (res && upload_is_ours(u, res))
        u->outcome = S3_OUTCOME_VISIBLE;
    else if (u->abort.looks == 2 && !(res && (u->completed || res->content_length == UINT64_MAX)))
        u->outcome = S3_OUTCOME_ABSENT;
    /* else the store said that it completed the upload and shows something else, or shows something and does not say
     * how large it is: that stays unknown */
    upload_pump(u);
}

static bool is_known(const struct s3_upload *u, const char *id)
{
    for (unsigned i = 0; i < u->n_ids; i++)
        if (strcmp(u->ids[i], id) == 0)
            return true;
    return false;
}

static int on_unfinished(void *ctx, const struct s3_unfinished *found, struct err *e)
{
    struct s3_upload *u = ctx;
    char *copy;

    if (strcmp(found->key, u->spec.key) != 0 || !upload_since_start(u, found->initiated) ||
            is_known(u, found->upload_id) || u->n_ids == UPLOAD_IDS_MAX)
        return 0;
    copy = strdup(found->upload_id);
    if (!copy)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload id");
    u->ids[u->n_ids++] = copy;
    return 0;
}

static void on_listed(void *ctx, const struct err *err)
{
    struct s3_upload *u = ctx;

    u->listing = NULL;
    u->abort.listed = true;
    if (err)
        finish(u, err);
    else
        upload_pump(u);
}

static void on_gone(struct s3_upload *u)
{
    u->abort.next++;
    u->abort.tries = 0;
    upload_pump(u);
}

static void on_deleted(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_upload *u = ctx;

    u->request = NULL;
    if (err && err->kind != ERR_NOT_FOUND) {
        finish(u, err);
        return;
    }
    if (res)
        upload_answered(u, res);
    u->abort.tries++;
    if (err || !u->part_may_arrive || u->abort.tries == ABORT_TRIES)
        on_gone(u);
    else
        (void)uv_timer_start(&u->timer, on_pause_over, (uint64_t)ABORT_PAUSE_MS << u->abort.tries, 0);
}

/* Not s3_abort: here it matters whether the store aborted it or knew nothing of it. */
static int delete_next(struct s3_upload *u, struct err *e)
{
    u->request = s3_request_start(u->client,
            &(struct s3_request_spec){
                    .method = S3_DELETE,
                    .key = u->spec.key,
                    .query = &(struct s3_param){"uploadId", u->ids[u->abort.next]},
                    .n_query = 1,
                    .patience_ms = upload_patience(u),
                    .ctx = u,
                    .on_retry = upload_on_retry,
                    .on_done = on_deleted,
            },
            e);
    return u->request ? 0 : -1;
}

static int list(struct s3_upload *u, struct err *e)
{
    u->listing = s3_list_unfinished(u->client,
            &(struct s3_listing_spec){
                    .prefix = u->spec.key,
                    .patience_ms = upload_patience(u),
                    .ctx = u,
                    .on_retry = upload_on_retry,
                    .on_unfinished = on_unfinished,
                    .on_done = on_listed,
            },
            e);
    return u->listing ? 0 : -1;
}

void upload_abort_step(struct s3_upload *u)
{
    bool unknown = u->outcome == S3_OUTCOME_UNKNOWN;
    struct err e;
    int ret;

    if (u->create || u->request || u->listing || uv_is_active((uv_handle_t *)&u->timer))
        return;
    if (unknown && u->abort.looks == 0)
        ret = upload_head(u, on_looked, &e);
    else if (u->outcome == S3_OUTCOME_VISIBLE)
        ret = 1;
    else if (u->abort.next < u->n_ids)
        ret = delete_next(u, &e);
    else if (u->id_lost && !u->abort.listed)
        ret = list(u, &e);
    else if (unknown && u->abort.looks == 1)
        ret = upload_head(u, on_looked, &e);
    else
        ret = 1;
    if (ret != 0)
        finish(u, ret < 0 ? &e : NULL);
}

void upload_cancel_requests(struct s3_upload *u)
{
    if (u->create)
        s3_request_cancel(TAKE_PTR(u->create));
    if (u->request)
        s3_request_cancel(TAKE_PTR(u->request));
    if (u->listing)
        s3_listing_cancel(TAKE_PTR(u->listing));
}

void s3_upload_abort(struct s3_upload *u)
{
    if (u->state == UPLOAD_ABORTING || u->state == UPLOAD_ABORTED)
        return;
    /* The commit was on its way, or not settled. */
    if (u->state == UPLOAD_COMPLETING || u->state == UPLOAD_CHECKING)
        u->outcome = S3_OUTCOME_UNKNOWN;
    if (u->request)
        s3_request_cancel(TAKE_PTR(u->request));
    upload_cancel_parts(u);
    upload_release_buffers(u);
    upload_enter(u, UPLOAD_ABORTING);
    if (u->create)
        (void)uv_timer_start(&u->timer, on_create_overdue, CREATE_PATIENCE_MS, 0);
    upload_kick(u);
}
