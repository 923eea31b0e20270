/*
 * frames.h: whether a dump is compressed, and where its frames lie, before it is read from its beginning.
 *
 * The first bytes say whether it is: those of the first nonce, or of zstd. They decide only what is read next: of what
 * is encrypted the tags vouch for it later (unseal_content). The seek table stands at the end, as the last bytes of the
 * stream that was sealed: the chunks that hold them are fetched, opened, and asked how long it is, at most three times.
 * All of one version of the object.
 *
 * Memory: the table, twice, and two chunks; for a database of 8 GiB that is 2 MiB.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "s3/request.h"
#include "zstd/seek_table.h"

struct frames;

struct frames_spec {
    const char *key;               /* of the dump; borrowed, as the next two, until the end */
    const char *etag;              /* "" if the store has none */
    const struct secret *data_key; /* NULL: not encrypted */
    uint64_t size;                 /* bytes of the dump, one that is possible */
    void *ctx;
    void (*on_retry)(void *ctx, const struct s3_retry *retry);
    /* Once, never inside the start; it may free it. `table` is the callee's; NULL: the dump is not compressed, or there
     * is an error: ERR_INTEGRITY (what stands at its end is no seek table of it, or not authentic), those of requests.
     */
    void (*on_done)(void *ctx, struct seek_table *table, const struct err *err);
};

/* Starts. The caller frees. Errors: ERR_RESOURCE, ERR_CONFIG. */
struct frames *frames_start(struct s3_client *s3, const struct frames_spec *spec, struct err *e);

/* NULL is fine. */
void frames_free(struct frames *f);
