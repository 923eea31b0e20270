#include "zstd/compress.h"

#include <assert.h>
#include <string.h>
#include <zstd.h>

#include "base/secret.h"
#include "zstd/frame.h"
#include "zstd/little_endian.h"
#include "zstd/seek_table.h"

enum { PADDING_MAX = FRAME_SKIPPABLE_HEADER + COMPRESS_UNIT - 1 };

struct compress {
    ZSTD_CCtx *zstd;
    struct seek_table *table;
    uint8_t *frame; /* room for the largest */
    uint8_t *end;   /* padding and table, after compress_finish */
    bool is_last;   /* the frame before was shorter */
};

static size_t frame_bound(void)
{
    return ZSTD_compressBound(COMPRESS_FRAME);
}

static int set_up(ZSTD_CCtx *zstd, int level, struct err *e)
{
    size_t ret = ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level);

    if (!ZSTD_isError(ret))
        ret = ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
    if (ZSTD_isError(ret))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libzstd: %s", ZSTD_getErrorName(ret));
    return 0;
}

struct compress *compress_new(int level, struct err *e)
{
    _cleanup_(cleanup_compress_free) struct compress *c = calloc(1, sizeof(*c));

    assert(level >= COMPRESS_LEVEL_MIN && level <= COMPRESS_LEVEL_MAX);
    if (c) {
        c->zstd = ZSTD_createCCtx();
        c->frame = malloc(frame_bound());
    }
    if (!c || !c->zstd || !c->frame) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for compressing");
        return NULL;
    }
    c->table = seek_table_new(e);
    if (!c->table || set_up(c->zstd, level, e) < 0)
        return NULL;
    return TAKE_PTR(c);
}

int compress_frame(struct compress *c, struct bytes plain, struct bytes *out, struct err *e)
{
    size_t len;

    assert(plain.len > 0 && plain.len <= COMPRESS_FRAME && !c->end);
    if (c->is_last)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "a frame to compress behind one that was shorter");
    len = ZSTD_compress2(c->zstd, c->frame, frame_bound(), plain.data, plain.len);
    if (ZSTD_isError(len))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "compressing: %s", ZSTD_getErrorName(len));
    if (seek_table_add(c->table, (uint32_t)len, (uint32_t)plain.len, e) < 0)
        return -1;
    c->is_last = plain.len < COMPRESS_FRAME;
    *out = (struct bytes){.data = c->frame, .len = len};
    return 0;
}

/* Bytes of zeros in the padding, so that a stream of `frames` bytes gets the size that it is to have. */
static size_t padding_for(uint64_t frames, size_t count)
{
    uint64_t size = frames + FRAME_SKIPPABLE_HEADER + seek_table_size_for(count + 1);

    return (COMPRESS_UNIT + COMPRESS_REST - size % COMPRESS_UNIT) % COMPRESS_UNIT;
}

int compress_finish(struct compress *c, struct bytes *out, struct err *e)
{
    size_t zeros = padding_for(seek_table_start(c->table), seek_table_count(c->table));
    size_t padding = FRAME_SKIPPABLE_HEADER + zeros, len;

    assert(!c->end);
    if (seek_table_add(c->table, (uint32_t)padding, 0, e) < 0)
        return -1;
    len = padding + (size_t)seek_table_size_for(seek_table_count(c->table));
    c->end = calloc(1, len);
    if (!c->end)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a seek table of %zu bytes", len);
    le32_store(c->end, FRAME_MAGIC_PADDING);
    le32_store(c->end + 4, (uint32_t)zeros);
    seek_table_write(c->table, c->end + padding);
    *out = (struct bytes){.data = c->end, .len = len};
    return 0;
}

uint64_t compress_bound(uint64_t plain)
{
    uint64_t frames = plain / COMPRESS_FRAME + (plain % COMPRESS_FRAME != 0), size;

    if (__builtin_mul_overflow(frames, frame_bound(), &size) ||
            __builtin_add_overflow(size, PADDING_MAX + seek_table_size_for(frames + 1), &size))
        return UINT64_MAX;
    return size;
}

void compress_free(struct compress *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->zstd);
    seek_table_free(c->table);
    if (c->frame)
        secret_wipe(c->frame, frame_bound());
    free(c->frame);
    free(c->end);
    free(c);
}
