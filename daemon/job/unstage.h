/*
 * unstage.h: pieces of a dump through unseal and digest into a file, on libuv's thread pool: stage.h backwards.
 *
 * A piece is a whole number of sealed chunks, the last piece excepted; of a plain dump it is any number of bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"
#include "target.h"

struct unstage;

struct unstage_spec {
    const struct secret *data_key; /* copied; NULL: a plain dump */
    uint64_t size;                 /* bytes of the object */
    struct target *target;         /* borrowed; NULL: nothing is written */
    bool skip_hash_check;          /* do not insist on etcd's SHA-256 */
};

/* The caller frees. Errors: ERR_INTEGRITY (no dump has that size), ERR_RESOURCE. */
struct unstage *unstage_new(uv_loop_t *loop, const struct unstage_spec *spec, struct err *e);

/* Bytes to fetch at a time: a whole number of chunks, about 4 MiB. */
size_t unstage_piece(const struct unstage *u);

/* Takes the next piece through; `ready` comes on the loop, err NULL if it went well. The piece stays where it is until
 * then. One at a time. Errors: of unseal_chunk and target_write. */
void unstage_run(struct unstage *u, struct bytes piece, void *ctx, void (*ready)(void *ctx, const struct err *err));

/* After the last piece: judges the SHA-256, then commits the target if there is one. `ready` as above. */
void unstage_finish(struct unstage *u, void *ctx, void (*ready)(void *ctx, const struct err *err));

/* Bytes of plaintext that came out. */
uint64_t unstage_written(const struct unstage *u);

bool unstage_is_busy(const struct unstage *u);

/* Not while busy. NULL is fine. */
void unstage_free(struct unstage *u);
