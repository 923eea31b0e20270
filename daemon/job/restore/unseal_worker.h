/*
 * unseal_worker.h: pieces of a dump through unseal, decompression, digest and survey into a file, on libuv's thread
 * pool: seal_worker.h backwards.
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
#include "job/restore/output_file.h"
#include "keyspace/facts.h"
#include "zstd/seek_table.h"

struct unseal_worker;

struct unseal_worker_spec {
    const struct secret *data_key;   /* copied; NULL: a plain dump */
    uint64_t size;                   /* bytes of the object */
    const struct seek_table *frames; /* borrowed; NULL: not compressed */
    struct output_file *target;      /* borrowed; NULL: nothing is written */
    bool skip_hash_check;            /* do not insist on etcd's SHA-256, nor on a sound structure */
};

/* The caller frees. Errors: ERR_INTEGRITY (no dump has that size), ERR_RESOURCE. */
struct unseal_worker *unseal_worker_new(uv_loop_t *loop, const struct unseal_worker_spec *spec, struct err *e);

/* Bytes to fetch at a time: a whole number of chunks, about 4 MiB. */
size_t unseal_worker_piece(const struct unseal_worker *u);

/* Takes the next piece through; `ready` comes on the loop, err NULL if it went well. The piece stays where it is until
 * then. One at a time. Errors: of unseal_chunk,
 * decompress_next and output_file_write. */
void unseal_worker_run(
        struct unseal_worker *u, struct bytes piece, void *ctx, void (*ready)(void *ctx, const struct err *err));

/* After the last piece: judges the SHA-256 and the database's structure, then commits the target if there is one.
 * `ready` as above. */
void unseal_worker_finish(struct unseal_worker *u, void *ctx, void (*ready)(void *ctx, const struct err *err));

/* Bytes of plaintext that came out. */
uint64_t unseal_worker_written(const struct unseal_worker *u);

bool unseal_worker_is_busy(const struct unseal_worker *u);

/* Not while busy. NULL is fine. */
void unseal_worker_free(struct unseal_worker *u);
