#include "job/backup/seal_worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "keyspace/survey.h"
#include "seal/digest.h"
#include "seal/seal.h"
#include "zstd/compress.h"

/* Sealed chunks that come out of one run at most: what was left of the one before, and a frame that did not get
 * smaller, are less than three. */
enum { RUN_CHUNKS = 2 };

struct seal_worker {
    uv_loop_t *loop;
    struct digest *digest;
    struct survey *survey;     /* NULL: there was no memory for it */
    struct compress *compress; /* NULL: not compressed */
    struct seal *seal;         /* NULL: not encrypted */
    uint8_t *sealed;           /* room for what comes out of one run, where nobody brings it */
    uint8_t *cut;              /* room for one chunk of the compressed stream, to be sealed */
    size_t cut_len;
    struct bytes rest; /* of the compressed stream, not cut yet; the compressor's */
    bool has_end;      /* and no more comes behind it */
    bool is_done;      /* all has come out */

    uv_work_t work;
    bool busy;
    struct bytes chunk;
    bool last;
    uint8_t *into;    /* what is sealed is made there */
    struct bytes out; /* of the run that is, or was, under way */
    struct err err;   /* kind ERR_NONE if it went well */
    void *ctx;
    void (*ready)(void *ctx, struct bytes out, const struct err *err);
};

CLEANUP_FUNC(struct seal_worker *, seal_worker_free)

static int set_up_sealing(struct seal_worker *s, const struct seal_worker_spec *spec, struct err *e)
{
    s->seal = seal_new(spec->data_key, s->compress ? SEAL_COMPRESSED : SEAL_SNAPSHOT, e);
    if (!s->seal)
        return -1;
    s->sealed = malloc((s->compress ? RUN_CHUNKS : 1) * (size_t)SEAL_SEALED_CHUNK);
    if (s->compress)
        s->cut = malloc(SEAL_CHUNK);
    if (!s->sealed || (s->compress && !s->cut))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a chunk");
    return 0;
}

struct seal_worker *seal_worker_new(uv_loop_t *loop, const struct seal_worker_spec *spec, struct err *e)
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
    s->survey = survey_new();
    if (spec->compression_level && !(s->compress = compress_new(spec->compression_level, e)))
        return NULL;
    if (spec->data_key && set_up_sealing(s, spec, e) < 0)
        return NULL;
    return TAKE_PTR(s);
}

uint64_t seal_worker_output_size(const struct seal_worker *s, uint64_t plain)
{
    uint64_t stream = s->compress ? compress_bound(plain) : plain;

    return s->seal ? seal_sealed_size(stream) : stream;
}

uint64_t seal_worker_room(const struct seal_worker *s, size_t plain)
{
    return s->compress ? RUN_CHUNKS * (uint64_t)SEAL_SEALED_CHUNK : seal_worker_output_size(s, plain);
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct bytes take(struct bytes *from, size_t len)
{
    struct bytes taken = {.data = from->data, .len = len};

    from->data += len;
    from->len -= len;
    return taken;
}

/* Fills chunks from what is left of the stream and seals them, as many as there is room for. What does not fill one
 * waits for more, unless nothing comes behind it. */
static int cut_and_seal(struct seal_worker *s)
{
    while (!s->is_done) {
        struct bytes part = take(&s->rest, min(s->rest.len, SEAL_CHUNK - s->cut_len));
        bool last;

        if (part.len)
            memcpy(s->cut + s->cut_len, part.data, part.len);
        s->cut_len += part.len;
        last = s->has_end && s->rest.len == 0;
        if ((s->cut_len < SEAL_CHUNK && !last) || s->out.len == RUN_CHUNKS * (size_t)SEAL_SEALED_CHUNK)
            return 0;
        if (seal_chunk(s->seal, (struct bytes){s->cut, s->cut_len}, last, s->into + s->out.len, &s->err) < 0)
            return -1;
        s->out.len += s->cut_len + SEAL_OVERHEAD;
        s->cut_len = 0;
        s->is_done = last;
    }
    return 0;
}

/* Passes on what is left of the stream, a piece of it. */
static void pass_on(struct seal_worker *s)
{
    s->out = take(&s->rest, min(s->rest.len, RUN_CHUNKS * (size_t)SEAL_CHUNK));
    s->is_done = s->has_end && s->rest.len == 0;
}

static int let_out(struct seal_worker *s)
{
    if (s->seal)
        return cut_and_seal(s);
    pass_on(s);
    return 0;
}

static int compress_chunk(struct seal_worker *s)
{
    if (s->seal)
        s->out = (struct bytes){.data = s->into};
    if (s->chunk.len && (compress_frame(s->compress, s->chunk, &s->rest, &s->err) < 0 || let_out(s) < 0))
        return -1;
    if (s->last && !s->has_end) {
        if (compress_finish(s->compress, &s->rest, &s->err) < 0)
            return -1;
        s->has_end = true;
        if (!s->seal) /* what is out is still to be fetched */
            return 0;
    }
    return s->has_end ? let_out(s) : 0;
}

/* On a thread of the pool; the loop touches nothing of the worker but `busy` meanwhile. */
static void work_on_chunk(uv_work_t *work)
{
    struct seal_worker *s = CONTAINER_OF(work, struct seal_worker, work);

    s->out = s->chunk;
    survey_update(s->survey, s->chunk);
    if (s->last)
        survey_finish(s->survey);
    if (digest_update(s->digest, s->chunk, &s->err) < 0)
        return;
    if (s->compress) {
        (void)compress_chunk(s);
    } else if (s->seal) {
        (void)seal_chunk(s->seal, s->chunk, s->last, s->into, &s->err);
        s->out = (struct bytes){.data = s->into, .len = s->chunk.len + SEAL_OVERHEAD};
    }
}

static void after_chunk(uv_work_t *work, int status)
{
    struct seal_worker *s = CONTAINER_OF(work, struct seal_worker, work);

    (void)status; /* never cancelled */
    s->busy = false;
    s->ready(s->ctx, s->out, s->err.kind ? &s->err : NULL);
}

void seal_worker_run(struct seal_worker *s, struct bytes chunk, bool last, uint8_t *into, void *ctx,
        void (*ready)(void *ctx, struct bytes out, const struct err *err))
{
    s->busy = true;
    s->chunk = chunk;
    s->last = last;
    s->into = into ? into : s->sealed;
    s->err = ERR_INIT;
    s->ctx = ctx;
    s->ready = ready;
    (void)uv_queue_work(s->loop, &s->work, work_on_chunk, after_chunk); /* fails for a NULL callback alone */
}

bool seal_worker_has_more(const struct seal_worker *s)
{
    return s->has_end && !s->is_done;
}

bool seal_worker_is_busy(const struct seal_worker *s)
{
    return s->busy;
}

int seal_worker_verdict(struct seal_worker *s, struct err *e)
{
    return digest_verdict(s->digest, e);
}

struct keyspace_facts seal_worker_facts(const struct seal_worker *s)
{
    return survey_facts(s->survey);
}

void seal_worker_free(struct seal_worker *s)
{
    if (!s)
        return;
    digest_free(s->digest);
    survey_free(s->survey);
    compress_free(s->compress);
    seal_free(s->seal);
    free(s->sealed);
    if (s->cut)
        secret_wipe(s->cut, SEAL_CHUNK);
    free(s->cut);
    free(s);
}
