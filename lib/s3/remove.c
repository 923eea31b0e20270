/*
 * All keys go through the batches first, in their order; what has to go by itself is noted and follows when no batch is
 * left. A turn of the loop begins it, so that also what fails at once is told from the loop.
 */
#include "s3/remove.h"

#include <stdlib.h>
#include <string.h>

#include "base/lanes.h"
#include "s3/dialect.h"
#include "s3/remove_batch.h"
#include "s3/request.h"
#include "s3/right.h"

/* Keys that go by themselves at a time, and how many in succession the store may fail for. */
enum { AT_A_TIME = 4, FAILURES_MAX = 8 };

struct s3_remove {
    struct s3_client *client;
    struct s3_remove_spec spec;
    uv_timer_t timer;
    bool ended; /* the owner wants to hear no more, or has heard all */

    size_t next;   /* the first key that no batch has had */
    bool no_batch; /* the store lacks the call */
    struct remove_batch batch;
    struct s3_request *request;

    bool *single; /* for each key: it goes by itself */
    struct lanes singles;
    unsigned failures; /* in succession */
};

static void on_closed(uv_handle_t *handle)
{
    struct s3_remove *r = CONTAINER_OF(handle, struct s3_remove, timer);

    remove_batch_reset(&r->batch);
    free(r->single);
    free(r);
}

/* Nothing calls back any more. It stays in memory until the loop's next turn, so whoever is on the stack can see that
 * it has ended. */
static void end(struct s3_remove *r)
{
    if (r->ended)
        return;
    r->ended = true;
    if (r->request)
        s3_request_cancel(TAKE_PTR(r->request));
    lanes_cancel(&r->singles);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

static void finish(struct s3_remove *r, const struct err *err)
{
    end(r);
    r->spec.on_done(r->spec.ctx, err);
}

/* False when the owner has cancelled in the call. */
static bool tell(struct s3_remove *r, size_t index, const struct err *err)
{
    r->spec.on_each(r->spec.ctx, index, err);
    return !r->ended;
}

static void pump(struct s3_remove *r);

/* What became of one key of a batch. False when the owner has cancelled. */
static bool settle(struct s3_remove *r, const struct remove_batch_key *k)
{
    const struct s3_right right = s3_right_of(S3_DELETE, false, NULL, 0);
    struct err silent = ERR_INIT;

    switch (k->answer) {
    case REMOVE_BATCH_GONE:
        return tell(r, k->index, NULL);
    case REMOVE_BATCH_REFUSED:
        if (k->err->kind == ERR_AUTH)
            s3_right_tell(&right, k->key, k->err);
        return tell(r, k->index, k->err);
    case REMOVE_BATCH_AGAIN:
        r->single[k->index] = true;
        return true;
    case REMOVE_BATCH_SILENT:
        break;
    }
    (void)err_set(&silent, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "the store does not say whether it is deleted");
    return tell(r, k->index, &silent);
}

static void on_batch(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_remove *r = ctx;
    struct err e = ERR_INIT;

    r->request = NULL;
    if (err && s3_dialect_hears(s3_client_dialect(r->client), S3_DELETE_OBJECTS, err)) {
        r->no_batch = true;
        for (size_t i = 0; i < r->batch.n; i++)
            r->single[r->batch.keys[i].index] = true;
        pump(r);
        return;
    }
    if (err || remove_batch_read(&r->batch, res->body, &e) < 0) {
        finish(r, err ? err : &e);
        return;
    }
    for (size_t i = 0; i < r->batch.n; i++)
        if (!settle(r, &r->batch.keys[i]))
            return;
    pump(r);
}

static int send_batch(struct s3_remove *r, struct err *e)
{
    const struct s3_param query = {.name = "delete", .value = ""};
    struct s3_param headers[] = {{.name = "content-type", .value = "application/xml"}, {.name = NULL}};
    struct s3_request_spec spec = {
            .method = S3_POST,
            .query = &query,
            .n_query = 1,
            .headers = headers,
            .n_headers = ARRAY_LEN(headers),
            .ctx = r,
            .on_done = on_batch,
    };
    char digest[BODY_DIGEST_MAX];

    if (remove_batch_close(&r->batch, e) < 0 || remove_batch_digest(&r->batch, &headers[1].name, digest, e) < 0)
        return -1;
    headers[1].value = digest;
    spec.body = buf_bytes(&r->batch.body);
    r->request = s3_request_start(r->client, &spec, e);
    return r->request ? 0 : -1;
}

/* Fills and sends the next batch, if there are keys left for one. */
static int next_batch(struct s3_remove *r, struct err *e)
{
    enum remove_batch_fit fit = REMOVE_BATCH_TAKEN;

    remove_batch_reset(&r->batch);
    while (r->next < r->spec.n) {
        if (r->no_batch)
            fit = REMOVE_BATCH_UNFIT;
        else if (remove_batch_add(&r->batch, r->spec.keys[r->next], r->next, &fit, e) < 0)
            return -1;
        if (fit == REMOVE_BATCH_FULL)
            break;
        r->single[r->next++] = fit == REMOVE_BATCH_UNFIT;
    }
    return r->batch.n > 0 ? send_batch(r, e) : 0;
}

/* Whether that is about all keys and not about one. A store that fails for one after the other will go on so. */
static bool ends_all(struct s3_remove *r, const struct err *err)
{
    if (err->domain == ERR_DOMAIN_HTTP && err->kind == ERR_AUTH)
        return false;
    return ++r->failures == FAILURES_MAX || err->kind == ERR_RESOURCE || err->domain == ERR_DOMAIN_NONE;
}

static void on_single(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct lane *lane = ctx;
    struct s3_remove *r = lane->owner;

    (void)lane_end(lane);
    (void)res;
    if (!err)
        r->failures = 0;
    if (err && ends_all(r, err))
        finish(r, err);
    else if (tell(r, lane->index, err))
        pump(r);
}

/* Errors: what is wrong with the call and not with the key; the owner may also have cancelled. */
static int start_single(struct lane *lane, struct err *e)
{
    struct s3_remove *r = lane->owner;
    /* Some stores say 404 where S3 says 204. */
    const struct s3_request_spec spec = {.method = S3_DELETE,
            .key = r->spec.keys[lane->index],
            .fine_code = "NoSuchKey",
            .ctx = lane,
            .on_done = on_single};

    if (!r->single[lane->index])
        return 0;
    lane->work = s3_request_start(r->client, &spec, e);
    if (lane->work)
        return 0;
    return e->kind == ERR_CONFIG && tell(r, lane->index, e) ? 0 : -1;
}

static void pump_singles(struct s3_remove *r)
{
    struct err e = ERR_INIT;
    const int at_work = lanes_go_on(&r->singles, &e);

    if (!r->ended && at_work <= 0)
        finish(r, at_work < 0 ? &e : NULL);
}

static void pump(struct s3_remove *r)
{
    struct err e = ERR_INIT;

    if (r->next < r->spec.n && next_batch(r, &e) < 0)
        finish(r, &e);
    else if (!r->request)
        pump_singles(r);
}

static void on_turn(uv_timer_t *timer)
{
    pump(CONTAINER_OF(timer, struct s3_remove, timer));
}

struct s3_remove *s3_remove_start(struct s3_client *c, const struct s3_remove_spec *spec, struct err *e)
{
    struct s3_remove *r = calloc(1, sizeof(*r));

    if (r)
        r->single = calloc(spec->n + 1, sizeof(r->single[0]));
    if (!r || !r->single) {
        free(r);
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    r->client = c;
    r->spec = *spec;
    r->no_batch = s3_dialect_lacks(s3_client_dialect(c), S3_DELETE_OBJECTS);
    r->singles =
            (struct lanes){.owner = r, .width = AT_A_TIME, .start = start_single, .cancel = s3_request_cancel_work};
    lanes_begin(&r->singles, spec->n);
    (void)uv_timer_init(s3_client_loop(c), &r->timer);
    (void)uv_timer_start(&r->timer, on_turn, 0, 0);
    return r;
}

void s3_remove_cancel(struct s3_remove *r)
{
    end(r);
}
