#include "s3/upload_abort.h"

#include <string.h>

#include "s3/object.h"

enum {
    IDS_MAX = 8,          /* uploads that are looked after: ours, and those that a listing shows */
    TRIES_MAX = 4,        /* until the store says that there is no such upload */
    FIRST_PAUSE_MS = 100, /* doubled before each try */
};

struct upload_abort {
    struct upload_abort_spec spec; /* its id is the first of these */
    char *ids[IDS_MAX];
    unsigned n_ids;
    unsigned next;   /* index of the id to be aborted next */
    unsigned tries;  /* how often it was */
    unsigned looks;  /* HEADs, before the first and after the last abort, while the outcome is unknown */
    bool was_listed; /* the unfinished uploads of our key have been looked at */
    struct upload_call call;
    struct s3_listing *listing;
    uv_timer_t timer; /* brings the next step */
};

static void step(struct upload_abort *a);

/* The last thing; nothing may be touched after it. */
static void finish(struct upload_abort *a, const struct err *err)
{
    struct err e = err ? *err : ERR_INIT;

    err_prepend(&e, "aborting the upload: ");
    a->spec.on_done(a->spec.ctx, a->spec.outcome, err ? &e : NULL);
}

static void on_pause_over(uv_timer_t *timer)
{
    step(CONTAINER_OF(timer, struct upload_abort, timer));
}

/* ---- is it visible? ---- */

static void on_looked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_abort *a = ctx;

    if (err && err->kind != ERR_NOT_FOUND && err->kind != ERR_AUTH) {
        finish(a, err);
        return;
    }
    a->looks++;
    if (err && err->kind == ERR_AUTH) { /* it stays unknown, and what can be taken back is */
        step(a);
        return;
    }
    if (res && upload_store_is_ours(a->spec.store, a->spec.parts, res)) {
        upload_store_saw(a->spec.store, res->etag);
        a->spec.outcome = S3_OUTCOME_VISIBLE;
    } else if (a->looks == 2 && !(res && (a->spec.is_completed || res->content_length == UINT64_MAX)))
        a->spec.outcome = S3_OUTCOME_ABSENT;
    /* else the store said that it completed the upload and shows something else, or shows something and does not say
     * how large it is: that stays unknown */
    step(a);
}

static int look(struct upload_abort *a, struct err *e)
{
    a->call.on_done = on_looked;
    return upload_call_start(&a->call, (struct s3_request_spec){.method = S3_HEAD}, e);
}

/* ---- which uploads are there? ---- */

static bool is_known(const struct upload_abort *a, const char *id)
{
    for (unsigned i = 0; i < a->n_ids; i++)
        if (strcmp(a->ids[i], id) == 0)
            return true;
    return false;
}

static int on_unfinished(void *ctx, const struct s3_unfinished *found, struct err *e)
{
    struct upload_abort *a = ctx;
    char *copy;

    if (strcmp(found->key, a->spec.store->key) != 0 || !upload_store_since_start(a->spec.store, found->initiated) ||
            is_known(a, found->upload_id) || a->n_ids == IDS_MAX)
        return 0;
    copy = strdup(found->upload_id);
    if (!copy)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload id");
    a->ids[a->n_ids++] = copy;
    return 0;
}

static void on_listing_retry(void *ctx, const struct s3_retry *retry)
{
    struct upload_abort *a = ctx;

    upload_store_tell_retry(a->spec.store, retry);
}

static void on_listed(void *ctx, const struct err *err)
{
    struct upload_abort *a = ctx;

    a->listing = NULL;
    a->was_listed = true;
    if (err)
        finish(a, err);
    else
        step(a);
}

static int list(struct upload_abort *a, struct err *e)
{
    a->listing = s3_list_unfinished(a->spec.store->client,
            &(struct s3_listing_spec){
                    .prefix = a->spec.store->key,
                    .patience_ms = upload_store_patience(a->spec.store),
                    .ctx = a,
                    .on_retry = on_listing_retry,
                    .on_unfinished = on_unfinished,
                    .on_done = on_listed,
            },
            e);
    return a->listing ? 0 : -1;
}

/* ---- they go ---- */

static void on_deleted(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_abort *a = ctx;

    (void)res;
    if (err && err->kind != ERR_NOT_FOUND) {
        finish(a, err);
        return;
    }
    a->tries++;
    if (!err && a->spec.may_part_arrive && a->tries < TRIES_MAX) {
        (void)uv_timer_start(&a->timer, on_pause_over, (uint64_t)FIRST_PAUSE_MS << a->tries, 0);
        return;
    }
    a->next++;
    a->tries = 0;
    step(a);
}

/* Not s3_abort: here it matters whether the store aborted it or knew nothing of it. */
static int delete_next(struct upload_abort *a, struct err *e)
{
    const struct s3_request_spec request = {
            .method = S3_DELETE,
            .query = &(struct s3_param){"uploadId", a->ids[a->next]},
            .n_query = 1,
    };

    a->call.on_done = on_deleted;
    return upload_call_start(&a->call, request, e);
}

static void step(struct upload_abort *a)
{
    const bool is_unknown = a->spec.outcome == S3_OUTCOME_UNKNOWN;
    struct err e;
    int ret = 1;

    if (is_unknown && a->looks == 0)
        ret = look(a, &e);
    else if (a->spec.outcome == S3_OUTCOME_VISIBLE)
        ret = 1;
    else if (a->next < a->n_ids)
        ret = delete_next(a, &e);
    else if (a->spec.is_id_lost && !a->was_listed)
        ret = list(a, &e);
    else if (is_unknown && a->looks == 1)
        ret = look(a, &e);
    if (ret != 0)
        finish(a, ret < 0 ? &e : NULL);
}

struct upload_abort *upload_abort_new(uv_loop_t *loop, struct err *e)
{
    struct upload_abort *a = calloc(1, sizeof(*a));

    if (!a) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload");
        return NULL;
    }
    (void)uv_timer_init(loop, &a->timer);
    return a;
}

void upload_abort_start(struct upload_abort *a, const struct upload_abort_spec *spec)
{
    a->spec = *spec;
    a->call = (struct upload_call){.store = spec->store, .ctx = a};
    if (spec->id)
        a->ids[a->n_ids++] = spec->id;
    (void)uv_timer_start(&a->timer, on_pause_over, 0, 0); /* fails only on a closing handle */
}

const char *upload_abort_left(const struct upload_abort *a, unsigned n)
{
    return n < a->n_ids - a->next ? a->ids[a->next + n] : NULL;
}

void upload_abort_hurry(struct upload_abort *a)
{
    upload_call_hurry(&a->call);
}

static void on_closed(uv_handle_t *handle)
{
    struct upload_abort *a = CONTAINER_OF(handle, struct upload_abort, timer);

    for (unsigned i = 0; i < a->n_ids; i++)
        free(a->ids[i]);
    free(a);
}

void upload_abort_free(struct upload_abort *a)
{
    if (!a)
        return;
    upload_call_cancel(&a->call);
    if (a->listing)
        s3_listing_cancel(TAKE_PTR(a->listing));
    uv_close((uv_handle_t *)&a->timer, on_closed);
}
