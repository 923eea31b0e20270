/*
 * spool.h: parts that S3 has not taken yet wait here, on disk, in a bounded file without a name.
 *
 * The file is made with the first part that comes, by O_TMPFILE (or mkostemp and unlink where the file system lacks
 * that), mode 0600: nothing is left behind whatever ends the process. Parts lie in slots of equal size; a part takes
 * the first free slot and gives its blocks back when it has been read, so the file never holds more than what waits.
 *
 * It is a guest on the disk, which may be etcd's own: it takes no part that would leave the file system with less than
 * keep_free bytes or keep_free_percent of its size. A part that is refused, or that cannot be written (disk full,
 * I/O error), ends the taking for good, and spool_why says why; what is in it can still be read.
 *
 * All of it is done on libuv's thread pool, one operation at a time, and cannot be cancelled: the owner keeps the
 * buffer, and the spool, until the operation has called back. What is read is checked against a hash (BLAKE2b) of what
 * was written.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"

struct spool_spec {
    uv_loop_t *loop;
    const char *dir;    /* copied */
    size_t slot_size;   /* bytes; no part is longer */
    uint32_t max_parts; /* how many may ever wait at the same time */
    uint64_t limit;     /* bytes waiting at the same time */
    uint64_t keep_free; /* bytes */
    unsigned keep_free_percent;
};

struct spool;

/* Nothing is opened yet. The owner frees. Errors: ERR_RESOURCE. */
struct spool *spool_new(const struct spool_spec *spec, struct err *e);

/* No operation may be running. NULL is fine. */
void spool_free(struct spool *s);

bool spool_is_busy(const struct spool *s);

/* Whether it may be given `len` bytes now: not busy, below its limit, and not at the end of its taking. */
bool spool_takes(const struct spool *s, size_t len);

/* How an operation ended; err is NULL when it succeeded. The spool may be freed from inside. */
typedef void spool_done(void *ctx, const struct err *err);

/* Writes a part that spool_takes; `part` is borrowed until `done`. Fails only through `done`, and the part is then not
 * in the spool. */
void spool_write(struct spool *s, uint32_t number, struct bytes part, spool_done *done, void *ctx);

/* The lowest number that waits, and its length; 0 when the spool is empty. */
uint32_t spool_first(const struct spool *s, size_t *len);

/* Reads part `number`, which waits here, into `into`, borrowed until `done`. After that it waits no more. Errors,
 * through `done`: ERR_RESOURCE (the disk), ERR_INTEGRITY (these are not the bytes that were written). */
void spool_read(struct spool *s, uint32_t number, uint8_t *into, spool_done *done, void *ctx);

/* Bytes that wait. */
uint64_t spool_waiting(const struct spool *s);

/* Bytes that were ever written. */
uint64_t spool_total(const struct spool *s);

/* Why it takes no more, or NULL. */
const struct err *spool_why(const struct spool *s);
