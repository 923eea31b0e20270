#include "job/restore/unseal_worker.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "keyspace/survey.h"
#include "seal/digest.h"
#include "seal/unseal.h"
#include "zstd/decompress.h"

enum { CHUNKS_A_PIECE = 4 };

struct unseal_worker {
    uv_loop_t *loop;
    struct digest *digest;
    struct unseal *unseal;         /* NULL: plain */
    uint8_t *plain;                /* room for one chunk */
    struct decompress *decompress; /* NULL: not compressed */
    struct survey *survey;         /* NULL: there was no memory for it */
    struct output_file *target;
    bool skip_hash_check;
    uint64_t written;

    uv_work_t work;
    bool busy;
    struct bytes piece;
    struct err err; /* of the work under way */
    void *ctx;
    void (*ready)(void *ctx, const struct err *err);
};

CLEANUP_FUNC(struct unseal_worker *, unseal_worker_free)

struct unseal_worker *unseal_worker_new(uv_loop_t *loop, const struct unseal_worker_spec *spec, struct err *e)
{
    _cleanup_(cleanup_unseal_worker_free) struct unseal_worker *u = calloc(1, sizeof(*u));

    if (!u) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    u->loop = loop;
    u->target = spec->target;
    u->skip_hash_check = spec->skip_hash_check;
    u->digest = digest_new(e);
    if (!u->digest)
        return NULL;
    u->survey = survey_new();
    if (spec->frames && !(u->decompress = decompress_new(spec->frames, e)))
        return NULL;
    if (!spec->data_key)
        return TAKE_PTR(u);
    u->unseal = unseal_new(spec->data_key, spec->size, e);
    if (!u->unseal)
        return NULL;
    u->plain = malloc(SEAL_CHUNK);
    if (!u->plain) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a chunk");
        return NULL;
    }
    return TAKE_PTR(u);
}

size_t unseal_worker_piece(const struct unseal_worker *u)
{
    return CHUNKS_A_PIECE * (size_t)(u->unseal ? SEAL_SEALED_CHUNK : SEAL_CHUNK);
}

static int take_plain(struct unseal_worker *u, struct bytes plain)
{
    survey_update(u->survey, plain);
    if (digest_update(u->digest, plain, &u->err) < 0)
        return -1;
    if (u->target && output_file_write(u->target, plain, &u->err) < 0)
        return -1;
    u->written += plain.len;
    return 0;
}

/* What was sealed, or would have been. */
static int take_stream(struct unseal_worker *u, struct bytes stream)
{
    struct bytes plain;

    if (!u->decompress)
        return take_plain(u, stream);
    do {
        if (decompress_next(u->decompress, &stream, &plain, &u->err) < 0 || (plain.len && take_plain(u, plain) < 0))
            return -1;
    } while (stream.len || plain.len);
    return 0;
}

/* What the tags vouch for must be what the first look has said. */
static int check_content(struct unseal_worker *u)
{
    if ((unseal_content(u->unseal) == SEAL_COMPRESSED) == (u->decompress != NULL))
        return 0;
    return err_set(&u->err, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0,
            "whether it is compressed is not what its first bytes said before: it changed meanwhile");
}

/* On a thread of the pool. */
static void work_on_piece(uv_work_t *work)
{
    struct unseal_worker *u = CONTAINER_OF(work, struct unseal_worker, work);
    struct bytes left = u->piece;

    if (!u->unseal) {
        (void)take_stream(u, left);
        return;
    }
    while (left.len) {
        struct bytes sealed = {.data = left.data, .len = unseal_next_len(u->unseal)};

        if (sealed.len == 0 || sealed.len > left.len) { /* the piece is not what the object's size promised */
            err_set(&u->err, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "the dump is longer than it was announced");
            return;
        }
        if (unseal_chunk(u->unseal, sealed, u->plain, &u->err) < 0 || check_content(u) < 0 ||
                take_stream(u, (struct bytes){.data = u->plain, .len = sealed.len - SEAL_OVERHEAD}) < 0)
            return;
        left.data += sealed.len;
        left.len -= sealed.len;
    }
}

/* What was not inspected is no worse than before there was a look at it. */
static int judge_structure(const struct unseal_worker *u, struct err *e)
{
    struct keyspace_facts facts = survey_facts(u->survey);

    if (facts.structure != BOLT_DAMAGED)
        return 0;
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "the database in it is damaged: %s", facts.why);
}

static void work_on_end(uv_work_t *work)
{
    struct unseal_worker *u = CONTAINER_OF(work, struct unseal_worker, work);

    if (u->unseal && unseal_next_len(u->unseal) != 0) {
        err_set(&u->err, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "the dump is shorter than it was announced");
        return;
    }
    if (u->decompress && decompress_end(u->decompress, &u->err) < 0)
        return;
    survey_finish(u->survey);
    if (!u->skip_hash_check && (digest_verdict(u->digest, &u->err) < 0 || judge_structure(u, &u->err) < 0))
        return;
    if (u->target)
        (void)output_file_commit(u->target, &u->err);
}

static void after_work(uv_work_t *work, int status)
{
    struct unseal_worker *u = CONTAINER_OF(work, struct unseal_worker, work);

    (void)status; /* never cancelled */
    u->busy = false;
    u->ready(u->ctx, u->err.kind ? &u->err : NULL);
}

static void queue(struct unseal_worker *u, uv_work_cb cb, void *ctx, void (*ready)(void *ctx, const struct err *err))
{
    u->busy = true;
    u->err = ERR_INIT;
    u->ctx = ctx;
    u->ready = ready;
    (void)uv_queue_work(u->loop, &u->work, cb, after_work); /* fails for a NULL callback alone */
}

void unseal_worker_run(
        struct unseal_worker *u, struct bytes piece, void *ctx, void (*ready)(void *ctx, const struct err *err))
{
    u->piece = piece;
    queue(u, work_on_piece, ctx, ready);
}

void unseal_worker_finish(struct unseal_worker *u, void *ctx, void (*ready)(void *ctx, const struct err *err))
{
    queue(u, work_on_end, ctx, ready);
}

uint64_t unseal_worker_written(const struct unseal_worker *u)
{
    return u->written;
}

bool unseal_worker_is_busy(const struct unseal_worker *u)
{
    return u->busy;
}

void unseal_worker_free(struct unseal_worker *u)
{
    if (!u)
        return;
    digest_free(u->digest);
    survey_free(u->survey);
    unseal_free(u->unseal);
    decompress_free(u->decompress);
    if (u->plain)
        secret_wipe(u->plain, SEAL_CHUNK);
    free(u->plain);
    free(u);
}
