#include "zstd/decompress.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/secret.h"
#include "zstd/frame.h"
#include "zstd/little_endian.h"

struct decompress {
    const struct seek_table *table;
    ZSTD_DCtx *zstd;
    size_t number;            /* of the frame that is read; seek_table_count: the table */
    struct frame_place frame; /* where it lies */
    uint64_t in_left;         /* bytes of the frame, or of the table, that have not come yet */
    uint32_t out_left;        /* bytes that have not come out of it yet */
    uint8_t magic[FRAME_MAGIC_LEN];
    size_t magic_len;  /* bytes of it that have come */
    size_t magic_used; /* bytes of it that libzstd has taken */
    uint8_t *out;      /* DECOMPRESS_PIECE bytes */
    size_t out_len;    /* bytes in it, of one frame */
    bool was_given;    /* to the caller, who has no use for it any more */
};

bool decompress_recognizes(struct bytes first)
{
    return first.len >= FRAME_MAGIC_LEN && frame_is_known(le32_load(first.data));
}

struct decompress *decompress_new(const struct seek_table *table, struct err *e)
{
    _cleanup_(cleanup_decompress_free) struct decompress *d = calloc(1, sizeof(*d));

    if (d) {
        d->zstd = ZSTD_createDCtx();
        d->out = malloc(DECOMPRESS_PIECE);
    }
    if (!d || !d->zstd || !d->out ||
            ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, DECOMPRESS_WINDOW_LOG_MAX))) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for decompressing");
        return NULL;
    }
    d->table = table;
    decompress_seek(d, 0);
    return TAKE_PTR(d);
}

static void begin_frame(struct decompress *d, size_t number)
{
    size_t count = seek_table_count(d->table);

    (void)ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_only); /* cannot fail for a session */
    d->number = number;
    d->magic_len = d->magic_used = 0;
    if (number < count) {
        d->frame = seek_table_at(d->table, number);
        d->in_left = d->frame.len;
        d->out_left = d->frame.plain_len;
    } else {
        d->frame = (struct frame_place){.start = seek_table_start(d->table)};
        d->in_left = seek_table_size(d->table);
        d->out_left = 0;
    }
}

void decompress_seek(struct decompress *d, size_t number)
{
    assert(number <= seek_table_count(d->table));
    d->out_len = 0;
    d->was_given = false;
    begin_frame(d, number);
}

__attribute__((format(printf, 3, 4))) static int fault(const struct decompress *d, struct err *e, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, (int64_t)d->frame.start, "%s", what);
    return err_prepend(e, "compressed frame %zu at byte %" PRIu64 ": ", d->number, d->frame.start);
}

static int zstd_fault(const struct decompress *d, size_t ret, struct err *e)
{
    switch (ZSTD_getErrorCode(ret)) {
    case ZSTD_error_memory_allocation:
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for decompressing");
    case ZSTD_error_frameParameter_windowTooLarge:
        return fault(d, e, "wants a window of more than %d MiB", 1 << (DECOMPRESS_WINDOW_LOG_MAX - 20));
    default:
        return fault(d, e, "%s", ZSTD_getErrorName(ret));
    }
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct bytes take(struct bytes *in, size_t len)
{
    struct bytes taken = {in->data, len};

    in->data += len;
    in->len -= len;
    return taken;
}

/* What libzstd reads beside frames of today's format (those of ten years ago) is none of our business. Returns whether
 * the beginning is there, and good. */
static int take_magic(struct decompress *d, struct bytes *in, struct err *e)
{
    struct bytes part = take(in, min(in->len, FRAME_MAGIC_LEN - d->magic_len));

    if (part.len)
        memcpy(d->magic + d->magic_len, part.data, part.len);
    d->magic_len += part.len;
    d->in_left -= part.len;
    if (d->magic_len == FRAME_MAGIC_LEN && !frame_is_known(le32_load(d->magic)))
        return fault(d, e, "is none: it begins with %02x %02x %02x %02x", d->magic[0], d->magic[1], d->magic[2],
                d->magic[3]);
    return 0;
}

/* One step of libzstd's, of what there is; *progress says whether anything went in or came out. */
static int step(struct decompress *d, struct bytes *in, bool *ended, bool *progress, struct err *e)
{
    bool is_magic = d->magic_used < FRAME_MAGIC_LEN;
    ZSTD_inBuffer source = {.src = in->data, .size = min(in->len, d->in_left)};
    ZSTD_outBuffer target = {
            .dst = d->out, .size = d->out_len + min(DECOMPRESS_PIECE - d->out_len, d->out_left), .pos = d->out_len};
    size_t ret;

    if (is_magic)
        source = (ZSTD_inBuffer){.src = d->magic + d->magic_used, .size = FRAME_MAGIC_LEN - d->magic_used};
    ret = ZSTD_decompressStream(d->zstd, &target, &source);
    if (ZSTD_isError(ret))
        return zstd_fault(d, ret, e);
    if (is_magic) {
        d->magic_used += source.pos;
    } else {
        (void)take(in, source.pos);
        d->in_left -= source.pos;
    }
    *progress = source.pos > 0 || target.pos > d->out_len;
    *ended = ret == 0;
    d->out_left -= (uint32_t)(target.pos - d->out_len);
    d->out_len = target.pos;
    return 0;
}

/* It must be where the table says that it is. */
static int check_end(const struct decompress *d, struct err *e)
{
    if (d->in_left)
        return fault(d, e, "ends %" PRIu64 " bytes before the seek table says", d->in_left);
    if (d->out_left)
        return fault(d, e, "%" PRIu32 " bytes come out of it, and the seek table says %" PRIu32,
                d->frame.plain_len - d->out_left, d->frame.plain_len);
    return 0;
}

/* Nothing went in and nothing came out of a frame that has not ended: more is needed, or it is not what the table says.
 */
static int check_standstill(const struct decompress *d, struct bytes in, struct err *e)
{
    if (d->in_left == 0)
        return fault(d, e, "does not end where the seek table says");
    if (in.len > 0)
        return fault(
                d, e, "more comes out of it than the %" PRIu32 " bytes that the seek table says", d->frame.plain_len);
    return 0;
}

/* Reads on in the frame until there is a piece, the frame has ended, or more is needed. */
static int read_frame(struct decompress *d, struct bytes *in, bool *ended, struct err *e)
{
    bool progress = true;

    if (d->magic_len < FRAME_MAGIC_LEN && take_magic(d, in, e) < 0)
        return -1;
    if (d->magic_len < FRAME_MAGIC_LEN)
        return 0;
    while (!*ended && progress && d->out_len < DECOMPRESS_PIECE)
        if (step(d, in, ended, &progress, e) < 0)
            return -1;
    if (*ended)
        return check_end(d, e);
    return progress ? 0 : check_standstill(d, *in, e);
}

/* Behind the last frame. Its table is known already. */
static int pass_table(struct decompress *d, struct bytes *in, struct err *e)
{
    if (in->len > d->in_left)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, (int64_t)d->frame.start,
                "%" PRIu64 " bytes stand behind the seek table", in->len - d->in_left);
    d->in_left -= in->len;
    (void)take(in, in->len);
    return 0;
}

int decompress_next(struct decompress *d, struct bytes *in, struct bytes *out, struct err *e)
{
    bool ended = true;

    *out = (struct bytes){0};
    if (d->was_given)
        d->out_len = 0;
    d->was_given = false;
    while (ended && d->out_len == 0 && d->number < seek_table_count(d->table)) {
        ended = false;
        if (read_frame(d, in, &ended, e) < 0)
            return -1;
        if (ended)
            begin_frame(d, d->number + 1);
    }
    if (ended && d->out_len == 0)
        return pass_table(d, in, e);
    if (ended || d->out_len == DECOMPRESS_PIECE) {
        *out = (struct bytes){.data = d->out, .len = d->out_len};
        d->was_given = true;
    }
    return 0;
}

int decompress_end(const struct decompress *d, struct err *e)
{
    if (d->number == seek_table_count(d->table) && d->in_left == 0)
        return 0;
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, (int64_t)d->frame.start,
            "the compressed stream was cut off in frame %zu at byte %" PRIu64, d->number, d->frame.start);
}

void decompress_free(struct decompress *d)
{
    if (!d)
        return;
    ZSTD_freeDCtx(d->zstd);
    if (d->out)
        secret_wipe(d->out, DECOMPRESS_PIECE);
    free(d->out);
    free(d);
}
