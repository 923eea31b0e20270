/*
 * seal_worker.h: one chunk of a snapshot through digest and seal, on libuv's thread pool.
 *
 * Hashing and sealing cost 1.4 ns a byte, as much as all that the loop does beside TLS: on another core they cost no
 * time. One chunk at a time: the order of chunks is the order of calls. Without a data key the chunk passes unsealed
 * and is only hashed.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

struct seal_worker;

/* `data_key` is copied; NULL: not encrypted. The caller frees. Errors: ERR_RESOURCE. */
struct seal_worker *seal_worker_new(uv_loop_t *loop, const struct secret *data_key, struct err *e);

/* Bytes that a chunk of `plain` bytes becomes. */
uint64_t seal_worker_output_size(const struct seal_worker *s, uint64_t plain);

/*
 * Takes the next chunk through, then calls `ready` on the loop with what came out (valid until the next
 * seal_worker_run) or the error. The chunk must stay where it is until then. Not while another is under way.
 */
void seal_worker_run(struct seal_worker *s, struct bytes chunk, bool last, void *ctx,
        void (*ready)(void *ctx, struct bytes out, const struct err *err));

/* Whether a chunk is under way: then the stage and the chunk's owner must not be freed. */
bool seal_worker_is_busy(const struct seal_worker *s);

/* After the last chunk: whether the stream ended in its SHA-256 (digest_verdict). */
int seal_worker_verdict(struct seal_worker *s, struct err *e);

/* Not while busy. NULL is fine. */
void seal_worker_free(struct seal_worker *s);
