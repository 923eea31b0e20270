/*
 * fetch.h: an object as pieces in order, read by several ranged GETs at a time.
 *
 * Each of `in_flight` buffers is filled by one GET; the consumer looks at the oldest, uses it, and gives it back for
 * the next range. All GETs insist on one ETag, so two versions of an object are never spliced; a broken one goes on at
 * the byte where it broke (request.h). A store that is away is waited for: what is there already may be hours of work,
 * and a restart of the store takes longer than five attempts. Memory: in_flight pieces.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "s3/request.h"

struct fetch;

/* So long a piece is tried for without another byte of it; and so long nothing more is told after something was, since
 * several pieces meet the same trouble. */
enum { FETCH_PATIENCE_MS = S3_OUTAGE_MS, FETCH_RETRY_TOLD_MS = 30 * 1000 };

struct fetch_spec {
    const char *key;  /* copied */
    const char *etag; /* copied; "" if the store has none: then nothing proves that the pieces are of one object */
    uint64_t size;    /* bytes of the object, > 0 */
    size_t piece;     /* bytes; the last may be shorter */
    unsigned in_flight;
    void *ctx;
    void (*on_readable)(void *ctx); /* the oldest piece has arrived; never inside a call of fetch */
    void (*on_retry)(void *ctx, const struct s3_retry *retry); /* it may free the fetch */
    void (*on_failed)(void *ctx, const struct err *err);       /* once */
};

/* Starts. The caller frees. Errors: ERR_RESOURCE. */
struct fetch *fetch_start(struct s3_client *s3, const struct fetch_spec *spec, struct err *e);

/* The oldest piece if it has arrived, else an empty one. Stays where it is until fetch_consume. */
struct bytes fetch_peek(const struct fetch *f);

/* Done with the oldest; its buffer takes the next range. Errors: ERR_RESOURCE. */
int fetch_consume(struct fetch *f, struct err *e);

/* Whether all pieces have been consumed. */
bool fetch_is_done(const struct fetch *f);

/* NULL is fine. */
void fetch_free(struct fetch *f);
