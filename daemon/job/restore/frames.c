#include "job/restore/frames.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "seal/unseal.h"
#include "zstd/decompress.h"

/* Of what is not encrypted so much is fetched at first: the whole table of a database of 8 GiB. */
enum { FIRST_GUESS = 64 << 10 };

struct frames {
    struct s3_client *s3;
    struct frames_spec spec;
    struct s3_request *call;
    uint8_t first[UNSEAL_HINT];
    uint64_t stream_size; /* bytes of what was sealed, or of the dump */
    uint64_t from;        /* where in the stream the end begins that is fetched */
    uint8_t *fetched;     /* of the dump */
    size_t fetched_len;
};

CLEANUP_FUNC(struct frames *, frames_free)

static void end_with(struct frames *f, struct seek_table *table, const struct err *err)
{
    f->spec.on_done(f->spec.ctx, table, err);
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    struct frames *f = ctx;

    f->spec.on_retry(f->spec.ctx, retry);
}

static int get(struct frames *f, uint64_t start, uint8_t *into, size_t len,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    const struct s3_request_spec spec = {
            .method = S3_GET,
            .key = f->spec.key,
            .into = into,
            .into_len = len,
            .range_start = start,
            .if_match = f->spec.etag[0] ? f->spec.etag : NULL,
            .patience_ms = S3_OUTAGE_MS,
            .ctx = f,
            .on_retry = on_retry,
            .on_done = on_done,
    };

    f->call = s3_request_start(f->s3, &spec, e);
    return f->call ? 0 : -1;
}

/* Opens what was fetched, in place of it: chunks get shorter. The bytes of the stream into *out. */
static int open_end(struct frames *f, struct bytes *out, struct err *e)
{
    _cleanup_(cleanup_unseal_free) struct unseal *u = NULL;
    _cleanup_free_ uint8_t *plain = NULL;
    size_t at = 0, len = 0, n;

    *out = (struct bytes){.data = f->fetched, .len = f->fetched_len};
    if (!f->spec.data_key)
        return 0;
    u = unseal_new_from(f->spec.data_key, f->spec.size, f->from / SEAL_CHUNK, e);
    if (!u)
        return -1;
    plain = malloc(SEAL_CHUNK);
    if (!plain)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a chunk");
    for (; (n = unseal_next_len(u)) > 0; at += n, len += n - SEAL_OVERHEAD) {
        if (unseal_chunk(u, (struct bytes){f->fetched + at, n}, plain, e) < 0)
            return -1;
        memcpy(f->fetched + len, plain, n - SEAL_OVERHEAD);
    }
    if (unseal_content(u) != SEAL_COMPRESSED)
        return err_set(
                e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "its beginning says that it is compressed, and its end not");
    out->len = len;
    return 0;
}

static int fetch_end(struct frames *f, uint64_t want, struct err *e);

/* The table into *table once all of it is there; NULL: more had to be asked for. */
static int look(struct frames *f, struct seek_table **table, struct err *e)
{
    struct bytes end;
    size_t size;

    *table = NULL;
    if (open_end(f, &end, e) < 0 ||
            seek_table_size_by_footer((struct bytes){end.data + end.len - SEEK_TABLE_FOOTER, SEEK_TABLE_FOOTER},
                    f->stream_size, &size, e) < 0)
        return -1;
    if (size > end.len)
        return fetch_end(f, size, e);
    *table = seek_table_parse((struct bytes){end.data + end.len - size, size}, f->stream_size, e);
    return *table ? 0 : -1;
}

static void on_end(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct frames *f = ctx;
    struct seek_table *table = NULL;
    struct err e = ERR_INIT;

    (void)res;
    f->call = NULL;
    if (err)
        end_with(f, NULL, err);
    else if (look(f, &table, &e) < 0)
        end_with(f, NULL, &e);
    else if (table)
        end_with(f, table, NULL);
}

/* At least the last `want` bytes of the stream: whole chunks, if it is sealed. */
static int fetch_end(struct frames *f, uint64_t want, struct err *e)
{
    uint64_t start;

    f->from = f->stream_size - want;
    start = f->from;
    if (f->spec.data_key) {
        f->from -= f->from % SEAL_CHUNK;
        start = f->from / SEAL_CHUNK * SEAL_SEALED_CHUNK;
    }
    free(f->fetched);
    f->fetched_len = (size_t)(f->spec.size - start); /* at most SEEK_TABLE_SIZE_MAX, and a chunk */
    f->fetched = malloc(f->fetched_len);
    if (!f->fetched)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for %zu bytes of a dump", f->fetched_len);
    return get(f, start, f->fetched, f->fetched_len, on_end, e);
}

static bool is_compressed(const struct frames *f, size_t len)
{
    if (f->spec.data_key)
        return unseal_hint(f->first) == SEAL_COMPRESSED;
    return decompress_recognizes((struct bytes){f->first, len});
}

static size_t first_len(const struct frames *f)
{
    return f->spec.size < sizeof(f->first) ? (size_t)f->spec.size : sizeof(f->first);
}

static void on_first(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct frames *f = ctx;
    struct err e = ERR_INIT;
    uint64_t want;

    (void)res;
    f->call = NULL;
    if (err) {
        end_with(f, NULL, err);
        return;
    }
    if (!is_compressed(f, first_len(f))) {
        end_with(f, NULL, NULL);
        return;
    }
    f->stream_size = f->spec.data_key ? unseal_plain_size(f->spec.size) : f->spec.size;
    want = f->spec.data_key ? SEEK_TABLE_FOOTER : FIRST_GUESS;
    if (f->stream_size < SEEK_TABLE_FOOTER) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "is compressed, and too short for that");
        end_with(f, NULL, &e);
    } else if (fetch_end(f, want < f->stream_size ? want : f->stream_size, &e) < 0) {
        end_with(f, NULL, &e);
    }
}

struct frames *frames_start(struct s3_client *s3, const struct frames_spec *spec, struct err *e)
{
    _cleanup_(cleanup_frames_free) struct frames *f = calloc(1, sizeof(*f));

    if (!f) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    f->s3 = s3;
    f->spec = *spec;
    return get(f, 0, f->first, first_len(f), on_first, e) == 0 ? TAKE_PTR(f) : NULL;
}

void frames_free(struct frames *f)
{
    if (!f)
        return;
    if (f->call)
        s3_request_cancel(f->call);
    free(f->fetched);
    free(f);
}
