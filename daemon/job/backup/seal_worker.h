/*
 * seal_worker.h: one chunk of a snapshot through digest, survey, compression and seal, on libuv's thread pool.
 *
 * All that costs a byte as much as what the loop does beside TLS, or twice as much: on another core it costs no time.
 * One chunk at a time: the order of chunks is the order of calls. Without a data key the chunk is not sealed, without a
 * level it is not compressed, without both it is only hashed and passes as it is.
 *
 * The survey (keyspace/survey.h) looks at the database's structure: 0.05 ns a byte.
 *
 * What is compressed comes out as it fills chunks to be sealed: of one that goes in there may come none or two, and
 * behind the last one the end of the compressed stream (zstd/compress.h), as long as there is more.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"
#include "keyspace/facts.h"

struct seal_worker;

struct seal_worker_spec {
    const struct secret *data_key; /* copied; NULL: not encrypted */
    int compression_level;         /* as in zstd/compress.h; 0: not compressed */
};

/* The caller frees. Errors: ERR_RESOURCE. */
struct seal_worker *seal_worker_new(uv_loop_t *loop, const struct seal_worker_spec *spec, struct err *e);

/* Bytes that a snapshot of `plain` bytes becomes; with compression at most. UINT64_MAX when that overflows. */
uint64_t seal_worker_output_size(const struct seal_worker *s, uint64_t plain);

/* Bytes that come out of one run, of a chunk of `plain` bytes or of what there is more, at most. */
uint64_t seal_worker_room(const struct seal_worker *s, size_t plain);

/*
 * Takes the next chunk through, then calls `ready` on the loop with what came out (valid until the next
 * seal_worker_run; it may be empty) or the error. The chunk must stay where it is until then, and so must `into`: room
 * for seal_worker_room, where what is sealed is made; NULL: in memory of the worker's. Not while another is under way.
 */
void seal_worker_run(struct seal_worker *s, struct bytes chunk, bool last, uint8_t *into, void *ctx,
        void (*ready)(void *ctx, struct bytes out, const struct err *err));

/* After the last chunk: whether there is more to come out, by a run with an empty chunk. */
bool seal_worker_has_more(const struct seal_worker *s);

/* Whether a chunk is under way: then the worker and the chunk's owner must not be freed. */
bool seal_worker_is_busy(const struct seal_worker *s);

/* After the last chunk: whether the stream ended in its SHA-256 (digest_verdict). */
int seal_worker_verdict(struct seal_worker *s, struct err *e);

/* After the last chunk: what the database that went by is, and holds. */
struct keyspace_facts seal_worker_facts(const struct seal_worker *s);

/* Not while busy. NULL is fine. */
void seal_worker_free(struct seal_worker *s);
