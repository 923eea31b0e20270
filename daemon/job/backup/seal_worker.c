#include "job/backup/seal_worker.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "seal/digest.h"
#include "seal/seal.h"

struct seal_worker {
    uv_loop_t *loop;
    struct digest *digest;
    struct seal *seal; /* NULL: not encrypted */
    uint8_t *sealed;   /* room for one sealed chunk */

    uv_work_t work;
    bool busy;
    struct bytes chunk;
    bool last;
    struct err err; /* of the chunk under way; kind ERR_NONE if it went well */
    void *ctx;
    void (*ready)(void *ctx, struct bytes out, const struct err *err);
};

CLEANUP_FUNC(struct seal_worker *, seal_worker_free)

struct seal_worker *seal_worker_new(uv_loop_t *loop, const struct secret *data_key, struct err *e)
{
    _cleanup_(cleanup_seal_worker_free) struct seal_worker *s = calloc(1, sizeof(*s));

    if (!s) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    s->loop = loop;
    s->digest = digest_new(e);
    if (!s->digest)
        return NULL;
    if (!data_key)
        return TAKE_PTR(s);
    s->seal = seal_new(data_key, SEAL_SNAPSHOT, e);
    if (!s->seal)
        return NULL;
    s->sealed = malloc(SEAL_SEALED_CHUNK);
    if (!s->sealed) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a chunk");
        return NULL;
    }
    return TAKE_PTR(s);
}

uint64_t seal_worker_output_size(const struct seal_worker *s, uint64_t plain)
{
    return s->seal ? seal_sealed_size(plain) : plain;
}

/* On a thread of the pool; the loop touches nothing of the stage but `busy` meanwhile. */
static void work_on_chunk(uv_work_t *work)
{
    struct seal_worker *s = CONTAINER_OF(work, struct seal_worker, work);

    if (digest_update(s->digest, s->chunk, &s->err) == 0 && s->seal)
        (void)seal_chunk(s->seal, s->chunk, s->last, s->sealed, &s->err);
}

static void after_chunk(uv_work_t *work, int status)
{
    struct seal_worker *s = CONTAINER_OF(work, struct seal_worker, work);
    struct bytes out = s->chunk;

    (void)status; /* never cancelled */
    s->busy = false;
    if (s->seal)
        out = (struct bytes){.data = s->sealed, .len = s->chunk.len + SEAL_OVERHEAD};
    s->ready(s->ctx, out, s->err.kind ? &s->err : NULL);
}

void seal_worker_run(struct seal_worker *s, struct bytes chunk, bool last, void *ctx,
        void (*ready)(void *ctx, struct bytes out, const struct err *err))
{
    s->busy = true;
    s->chunk = chunk;
    s->last = last;
    s->err = ERR_INIT;
    s->ctx = ctx;
    s->ready = ready;
    (void)uv_queue_work(s->loop, &s->work, work_on_chunk, after_chunk); /* fails for a NULL callback alone */
}

bool seal_worker_is_busy(const struct seal_worker *s)
{
    return s->busy;
}

int seal_worker_verdict(struct seal_worker *s, struct err *e)
{
    return digest_verdict(s->digest, e);
}

void seal_worker_free(struct seal_worker *s)
{
    if (!s)
        return;
    digest_free(s->digest);
    seal_free(s->seal);
    free(s->sealed);
    free(s);
}
