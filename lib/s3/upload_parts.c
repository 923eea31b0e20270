#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "s3/upload_state.h"
#include "s3/xml.h"

/* The end of this upload but for the abort. Nothing may be touched after it. */
static void fail(struct s3_upload *u, const struct err *err)
{
    upload_enter(u, UPLOAD_FAILED);
    upload_cancel_parts(u);
    upload_release_buffers(u);
    u->spec.on_failed(u->spec.ctx, err);
}

void upload_cancel_parts(struct s3_upload *u)
{
    for (unsigned i = 0; i < u->spec.parts_in_flight + 2; i++) {
        struct upload_buffer *b = &u->buffers[i];

        if (b->place != BUFFER_SENDING)
            continue;
        s3_request_cancel(TAKE_PTR(b->request));
        b->place = BUFFER_FREE;
        u->part_may_arrive = true;
    }
    u->blocked_ms = upload_blocked_ms(u);
    u->want = 0;
    (void)uv_timer_stop(&u->timer);
    (void)uv_timer_stop(&u->kick);
}

/* CreateMultipartUpload. */

static void on_created(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_upload *u = ctx;
    char id[XML_UPLOAD_ID_MAX];
    struct err e = ERR_INIT;
    char *copy = NULL;

    u->create = NULL;
    (void)uv_timer_stop(&u->timer); /* an abort may have set it to wait for us no longer than so */
    if (err)
        e = *err;
    else
        upload_answered(u, res);
    if (!err && xml_parse_upload_id(res->body, id, &e) == 0) {
        copy = strdup(id);
        if (!copy)
            err_set(&e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload id");
    }
    if (copy)
        u->ids[u->n_ids++] = copy;
    /* An answer that says no made nothing; one that got lost on its way may have. */
    u->id_lost = err ? err->kind == ERR_TRANSIENT || err->kind == ERR_PROTOCOL : !copy || res->attempts > 1;
    if (u->state == UPLOAD_CREATING && !copy) {
        err_prepend(&e, "creating the upload: ");
        fail(u, &e);
        return;
    }
    if (u->state == UPLOAD_CREATING)
        upload_enter(u, UPLOAD_SENDING);
    upload_pump(u);
}

static void free_headers(struct s3_param *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)headers[i].name);
    free(headers);
}

/* x-amz-meta-NAME for each; NULL when out of memory. The values stay the owner's. */
static struct s3_param *make_headers(const struct s3_upload_spec *spec)
{
    struct s3_param *headers = calloc(spec->n_metadata + 1, sizeof(*headers));

    if (!headers)
        return NULL;
    for (size_t i = 0; i < spec->n_metadata; i++) {
        char *name = NULL;

        if (asprintf(&name, "x-amz-meta-%s", spec->metadata[i].name) < 0) {
            free_headers(headers, i);
            return NULL;
        }
        headers[i] = (struct s3_param){.name = name, .value = spec->metadata[i].value};
    }
    return headers;
}

int upload_create(struct s3_upload *u, const struct s3_upload_spec *spec, struct err *e)
{
    struct s3_param *headers = make_headers(spec);

    if (!headers)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload");
    u->create = s3_request_start(u->client,
            &(struct s3_request_spec){
                    .method = S3_POST,
                    .key = u->spec.key,
                    .query = &(struct s3_param){"uploads", ""},
                    .n_query = 1,
                    .headers = headers,
                    .n_headers = spec->n_metadata,
                    .ctx = u,
                    .on_retry = upload_on_retry,
                    .on_done = on_created,
            },
            e);
    free_headers(headers, spec->n_metadata);
    return u->create ? 0 : err_prepend(e, "creating the upload: ");
}

/* UploadPart. */

static void on_part_stored(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_buffer *b = ctx;
    struct s3_upload *u = b->upload;
    struct err e;

    b->request = NULL;
    b->place = BUFFER_FREE;
    if (err)
        e = *err;
    else
        upload_answered(u, res);
    /* An attempt that got no answer may be stored yet, whatever became of those after it. */
    if (err || res->attempts > 1)
        u->part_may_arrive = true;
    if (err || parts_set_stored(u->parts, b->number, res->etag, &e) < 0) {
        err_prepend(&e, "uploading part %" PRIu32 ": ", b->number);
        fail(u, &e);
        return;
    }
    upload_pump(u);
}

static void on_part_retry(void *ctx, const struct s3_retry *retry)
{
    struct upload_buffer *b = ctx;

    upload_on_retry(b->upload, retry);
}

static int send_part(struct s3_upload *u, struct upload_buffer *b, struct err *e)
{
    char number[16];

    (void)snprintf(number, sizeof(number), "%" PRIu32, b->number);
    b->request = s3_request_start(u->client,
            &(struct s3_request_spec){
                    .method = S3_PUT,
                    .key = u->spec.key,
                    .query = (struct s3_param[]){{"partNumber", number}, {"uploadId", upload_id(u)}},
                    .n_query = 2,
                    .body = {b->data, b->len},
                    .patience_ms = upload_patience(u),
                    .ctx = b,
                    .on_retry = on_part_retry,
                    .on_done = on_part_stored,
            },
            e);
    if (!b->request)
        return err_prepend(e, "uploading part %" PRIu32 ": ", b->number);
    b->place = BUFFER_SENDING;
    return 0;
}

/* The full buffer with the lowest number, or NULL. */
static struct upload_buffer *first_full(const struct s3_upload *u)
{
    struct upload_buffer *first = NULL;

    for (unsigned i = 0; i < u->spec.parts_in_flight + 2; i++) {
        struct upload_buffer *b = &u->buffers[i];

        if (b->place == BUFFER_FULL && (!first || b->number < first->number))
            first = b;
    }
    return first;
}

static bool may_send(const struct s3_upload *u)
{
    return u->state == UPLOAD_SENDING && upload_in_flight(u) < u->spec.parts_in_flight;
}

static int send_full(struct s3_upload *u, struct err *e)
{
    struct upload_buffer *b;

    while (may_send(u) && (b = first_full(u)))
        if (send_part(u, b, e) < 0)
            return -1;
    return 0;
}

/* The spool. */

/* An operation of the spool has ended. False when its upload has come to its end meanwhile, and is not to be touched.
 */
static bool is_wanted_still(struct upload_buffer *b)
{
    struct s3_upload *u = b->upload;

    b->place = BUFFER_FREE;
    if (u->state == UPLOAD_SENDING || u->state == UPLOAD_CREATING)
        return true;
    upload_release_buffers(u);
    if (u->state == UPLOAD_CLOSED)
        upload_free_when_idle(u);
    return false;
}

static void on_spooled(void *ctx, const struct err *err)
{
    struct upload_buffer *b = ctx;

    if (!is_wanted_still(b))
        return;
    /* Refused: it stays in memory, and the owner waits. */
    b->place = err ? BUFFER_FULL : BUFFER_FREE;
    upload_pump(b->upload);
}

static void on_loaded(void *ctx, const struct err *err)
{
    struct upload_buffer *b = ctx;
    struct err e;

    if (!is_wanted_still(b))
        return;
    if (err) {
        e = *err;
        fail(b->upload, &e);
        return;
    }
    b->place = BUFFER_FULL;
    upload_pump(b->upload);
}

/*
 * Takes a part back when S3 can take it, else gives one away when the owner has no buffer left. While a request is free
 * no buffer is full (send_full has seen to that), so a free one for the part taken back always remains: of
 * parts_in_flight + 1 at most parts_in_flight - 1 are sent and one is being filled.
 */
static int spool_step(struct s3_upload *u, struct err *e)
{
    struct upload_buffer *b;
    uint32_t number;
    size_t len;

    if (!u->spool || spool_is_busy(u->spool))
        return 0;
    number = spool_first(u->spool, &len);
    if (number && may_send(u)) {
        if (upload_take_buffer(u, &b, e) < 0)
            return -1;
        assert(b);
        b->place = BUFFER_LOADING;
        b->number = number;
        b->len = len;
        spool_read(u->spool, number, b->data, on_loaded, b);
        return 0;
    }
    b = first_full(u);
    if (u->spooling && u->written < u->spec.size && b && upload_count(u, BUFFER_FREE) == 0 &&
            spool_takes(u->spool, b->len)) {
        b->place = BUFFER_SPOOLING;
        spool_write(u->spool, b->number, (struct bytes){b->data, b->len}, on_spooled, b);
    }
    return 0;
}

/* The owner. */

static bool has_wanted_room(const struct s3_upload *u)
{
    return s3_upload_room(u) >= u->want;
}

static void on_patience_over(uv_timer_t *timer)
{
    upload_pump(CONTAINER_OF(timer, struct s3_upload, timer));
}

/* While the owner waits, and the spool is not in use yet, there is a moment from which it is. */
static void check_patience(struct s3_upload *u)
{
    uint64_t blocked = upload_blocked_ms(u);

    if (!u->spool || u->spooling || !u->want || has_wanted_room(u))
        return;
    if (blocked >= u->spec.patience_ms)
        u->spooling = true;
    else
        (void)uv_timer_start(&u->timer, on_patience_over, u->spec.patience_ms - blocked, 0);
}

static void tell_room(struct s3_upload *u)
{
    u->blocked_ms = upload_blocked_ms(u);
    u->want = 0;
    (void)uv_timer_stop(&u->timer);
    u->spec.on_room(u->spec.ctx);
}

void upload_parts_step(struct s3_upload *u)
{
    struct err e;

    check_patience(u);
    if (send_full(u, &e) < 0 || spool_step(u, &e) < 0) {
        fail(u, &e);
    } else if (u->ended && parts_complete(u->parts)) {
        upload_enter(u, UPLOAD_FLUSHED);
        upload_cancel_parts(u);
        upload_release_buffers(u);
        u->spec.on_flushed(u->spec.ctx);
    } else if (u->want && has_wanted_room(u)) {
        tell_room(u);
    }
}
