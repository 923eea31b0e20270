#include "streams.h"

#include <string.h>
#include <zstd.h>

#include "zstd/compress.h"

enum { LIMIT = 256 << 20 };

void stream_free(struct stream *s)
{
    buf_reset(&s->bytes);
    buf_reset(&s->plain);
}

static void append(struct buf *b, const void *data, size_t len)
{
    struct err e = ERR_INIT;

    expect_success(buf_append(b, data, len, &e) == 0, &e);
}

static void append_le32(struct buf *b, uint32_t v)
{
    uint8_t bytes[] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};

    append(b, bytes, sizeof(bytes));
}

void stream_fill(struct buf *plain, size_t len, unsigned noise)
{
    static const char words[] = "/registry/pods/kube-system/etcd-node-1 apiVersion v1 kind Pod metadata labels uid ";
    uint32_t x = 12345;
    struct err e = ERR_INIT;
    size_t from = plain->len;

    expect_success(buf_reserve(plain, len, &e) == 0, &e);
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        plain->data[from + i] = (x >> 24) < noise ? (uint8_t)(x >> 16) : (uint8_t)words[i % (sizeof(words) - 1)];
    }
    plain->len += len;
}

struct stream stream_make(size_t len, unsigned noise, int level)
{
    struct stream s = {.bytes = BUF_INIT(LIMIT), .plain = BUF_INIT(LIMIT)};
    struct err e = ERR_INIT;
    _cleanup_(cleanup_compress_free) struct compress *c = compress_new(level, &e);
    struct bytes out;

    expect_success(c, &e);
    stream_fill(&s.plain, len, noise);
    for (size_t at = 0; at < len; at += COMPRESS_FRAME) {
        size_t n = len - at < COMPRESS_FRAME ? len - at : COMPRESS_FRAME;

        expect_success(compress_frame(c, (struct bytes){s.plain.data + at, n}, &out, &e) == 0, &e);
        append(&s.bytes, out.data, out.len);
    }
    expect_success(compress_finish(c, &out, &e) == 0, &e);
    append(&s.bytes, out.data, out.len);
    return s;
}

static void begin(struct foreign *f)
{
    if (f->stream.bytes.limit)
        return;
    f->stream = (struct stream){.bytes = BUF_INIT(LIMIT), .plain = BUF_INIT(LIMIT)};
    f->entries = BUF_INIT(LIMIT);
}

void foreign_add_raw(struct foreign *f, const void *data, size_t len, uint32_t plain_len)
{
    begin(f);
    append(&f->stream.bytes, data, len);
    append_le32(&f->entries, (uint32_t)len);
    append_le32(&f->entries, plain_len);
    if (f->has_checksums)
        append_le32(&f->entries, 0xDEADBEEF); /* nobody has to look at it */
    f->count++;
}

void foreign_add(struct foreign *f, const struct foreign_frame *frame)
{
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(frame->len) + 64, from, left;
    uint8_t *out = malloc(room);
    ZSTD_inBuffer in;
    ZSTD_outBuffer target = {.dst = out, .size = room};

    assert_non_null(out);
    begin(f);
    from = f->stream.plain.len;
    stream_fill(&f->stream.plain, frame->len, 20);
    in = (ZSTD_inBuffer){.src = f->stream.plain.data + from, .size = frame->len};
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, frame->level);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, frame->window_log);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, !frame->no_checksum);
    if (!frame->no_size)
        ZSTD_CCtx_setPledgedSrcSize(zstd, frame->len);
    do { /* not in one go: then the size would be known all the same */
        left = ZSTD_compressStream2(zstd, &target, &in, ZSTD_e_flush);
        assert_false(ZSTD_isError(left));
    } while (in.pos < in.size || left);
    left = ZSTD_compressStream2(zstd, &target, &in, ZSTD_e_end);
    assert_int_equal(left, 0);
    foreign_add_raw(f, out, target.pos, (uint32_t)frame->len);
    ZSTD_freeCCtx(zstd);
    free(out);
}

struct stream foreign_finish(struct foreign *f)
{
    const uint8_t descriptor = f->has_checksums ? 0x83 : 0x03; /* the last two bits say nothing */

    begin(f);
    append_le32(&f->stream.bytes, 0x184D2A5E);
    append_le32(&f->stream.bytes, (uint32_t)f->entries.len + 9);
    append(&f->stream.bytes, f->entries.data, f->entries.len);
    append_le32(&f->stream.bytes, f->count);
    append(&f->stream.bytes, &descriptor, 1);
    append_le32(&f->stream.bytes, 0x8F92EAB1);
    buf_reset(&f->entries);
    return f->stream;
}

struct seek_table *stream_table(struct bytes stream, struct err *e)
{
    size_t size;

    assert_true(stream.len >= SEEK_TABLE_FOOTER);
    if (seek_table_size_by_footer((struct bytes){stream.data + stream.len - SEEK_TABLE_FOOTER, SEEK_TABLE_FOOTER},
                stream.len, &size, e) < 0)
        return NULL;
    return seek_table_parse((struct bytes){stream.data + stream.len - size, size}, stream.len, e);
}

/* A piece of exactly its length, so that a sanitizer notices the first byte read past the end. */
static int feed(struct decompress *d, struct bytes piece, struct buf *plain, struct err *e)
{
    _cleanup_free_ uint8_t *copy = malloc(piece.len ? piece.len : 1);
    struct bytes in = {copy, piece.len}, out;

    assert_non_null(copy);
    memcpy(copy, piece.data, piece.len);
    do {
        if (decompress_next(d, &in, &out, e) < 0)
            return -1;
        assert_true(out.len <= DECOMPRESS_PIECE);
        append(plain, out.data, out.len);
    } while (in.len || out.len);
    return 0;
}

int stream_read(struct bytes stream, size_t step, size_t first, struct buf *plain, struct err *e)
{
    _cleanup_(cleanup_seek_table_free) struct seek_table *table = stream_table(stream, e);
    _cleanup_(cleanup_decompress_free) struct decompress *d = table ? decompress_new(table, e) : NULL;
    size_t at;

    buf_reset(plain);
    *plain = BUF_INIT(LIMIT);
    if (!d)
        return -1;
    decompress_seek(d, first);
    at = first < seek_table_count(table) ? (size_t)seek_table_at(table, first).start : (size_t)seek_table_start(table);
    for (; at < stream.len; at += step) {
        size_t n = stream.len - at < step ? stream.len - at : step;

        if (feed(d, (struct bytes){stream.data + at, n}, plain, e) < 0)
            return -1;
    }
    return decompress_end(d, e);
}

void stream_expect_whole(const struct stream *s, size_t step)
{
    _cleanup_buf_ struct buf plain = BUF_INIT(0);
    struct err e = ERR_INIT;

    expect_success(stream_read(buf_bytes(&s->bytes), step, 0, &plain, &e) == 0, &e);
    assert_int_equal(plain.len, s->plain.len);
    if (plain.len)
        assert_memory_equal(plain.data, s->plain.data, plain.len);
}
