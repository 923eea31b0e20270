#include "job/restore/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct slot {
    struct fetch *owner;
    struct s3_request *request; /* NULL: arrived, or not asked for */
    uint8_t *data;
    size_t len; /* bytes asked for; 0: nothing was left to ask for */
    bool arrived;
};

struct fetch {
    struct s3_client *s3;
    struct fetch_spec spec;
    char *key;
    char *etag;
    uint64_t asked; /* bytes of the object that GETs have been started for */
    unsigned head;  /* the slot with the oldest piece; slots are a ring */
    struct slot *slots;
    bool failed; /* and said */
    bool has_told;
    uint64_t told_ms; /* when on_retry was called last */
};

CLEANUP_FUNC(struct fetch *, fetch_free)

static void on_piece(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct slot *slot = ctx;
    struct fetch *f = slot->owner;

    (void)res;
    slot->request = NULL;
    if (f->failed)
        return;
    if (err) {
        f->failed = true;
        f->spec.on_failed(f->spec.ctx, err);
        return;
    }
    slot->arrived = true;
    if (slot == &f->slots[f->head])
        f->spec.on_readable(f->spec.ctx);
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    struct slot *slot = ctx;
    struct fetch *f = slot->owner;
    uint64_t now = uv_now(s3_client_loop(f->s3));

    if (f->failed || (f->has_told && now - f->told_ms < FETCH_RETRY_TOLD_MS))
        return;
    f->has_told = true;
    f->told_ms = now;
    f->spec.on_retry(f->spec.ctx, retry);
}

/* Asks for the next range into a free slot, if there is any left. */
static int ask(struct fetch *f, struct slot *slot, struct err *e)
{
    uint64_t left = f->spec.size - f->asked;
    struct s3_request_spec spec = {
            .method = S3_GET,
            .key = f->key,
            .into = slot->data,
            .range_start = f->asked,
            .if_match = f->etag[0] ? f->etag : NULL,
            .patience_ms = FETCH_PATIENCE_MS,
            .ctx = slot,
            .on_retry = on_retry,
            .on_done = on_piece,
    };

    slot->arrived = false;
    slot->len = left < f->spec.piece ? (size_t)left : f->spec.piece;
    if (slot->len == 0)
        return 0;
    spec.into_len = slot->len;
    slot->request = s3_request_start(f->s3, &spec, e);
    if (!slot->request)
        return -1;
    f->asked += slot->len;
    return 0;
}

struct fetch *fetch_start(struct s3_client *s3, const struct fetch_spec *spec, struct err *e)
{
    _cleanup_(cleanup_fetch_free) struct fetch *f = calloc(1, sizeof(*f));

    if (f) {
        f->s3 = s3;
        f->spec = *spec;
        f->key = strdup(spec->key);
        f->etag = strdup(spec->etag);
        f->slots = calloc(spec->in_flight, sizeof(*f->slots));
    }
    if (!f || !f->key || !f->etag || !f->slots) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    for (unsigned i = 0; i < spec->in_flight && f->asked < spec->size; i++) {
        f->slots[i].owner = f;
        f->slots[i].data = malloc(spec->piece);
        if (!f->slots[i].data) {
            err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for %zu bytes of an object", spec->piece);
            return NULL;
        }
        if (ask(f, &f->slots[i], e) < 0)
            return NULL;
    }
    return TAKE_PTR(f);
}

struct bytes fetch_peek(const struct fetch *f)
{
    const struct slot *slot = &f->slots[f->head];

    if (!slot->arrived)
        return (struct bytes){0};
    return (struct bytes){.data = slot->data, .len = slot->len};
}

int fetch_consume(struct fetch *f, struct err *e)
{
    struct slot *slot = &f->slots[f->head];

    f->head = (f->head + 1) % f->spec.in_flight;
    return ask(f, slot, e);
}

bool fetch_is_done(const struct fetch *f)
{
    return f->asked == f->spec.size && f->slots[f->head].len == 0;
}

void fetch_free(struct fetch *f)
{
    if (!f)
        return;
    for (unsigned i = 0; f->slots && i < f->spec.in_flight; i++) {
        if (f->slots[i].request)
            s3_request_cancel(f->slots[i].request);
        free(f->slots[i].data);
    }
    free(f->slots);
    free(f->etag);
    free(f->key);
    free(f);
}
