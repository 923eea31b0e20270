/*
 * compress.h: pieces of plaintext in, a compressed stream in zstd's seekable format out.
 *
 *     stream = frame || frame || ... || padding || seek table (seek_table.h)
 *
 * Each piece becomes a frame of its own, which says how large it becomes and carries zstd's checksum (where nothing is
 * encrypted that is all that tells which megabyte is damaged; it costs 0.1 ns a byte). Frames need nothing of each
 * other: a reader begins at any of them.
 *
 * The padding is a skippable frame that makes the stream's size 32 more than a multiple of 4096, which is what a
 * snapshot's always is: bbolt's pages and etcd's SHA-256. Who goes by the sizes of dumps alone (catalog/list.h; also
 * that of versions which know nothing of this) need not know whether one is compressed; and a size tells a little less.
 *
 * For one stream, from one thread at a time. Memory: about 4 MiB at level 3, 10 at level 9, and 16 bytes a frame.
 */
#pragma once

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

enum {
    COMPRESS_FRAME = 1 << 20, /* bytes of plaintext */
    COMPRESS_LEVEL_MIN = 1,
    COMPRESS_LEVEL_MAX = 9,
    COMPRESS_LEVEL_DEFAULT = 3,
    COMPRESS_UNIT = 4096, /* the stream's size is a multiple of it, and COMPRESS_REST */
    COMPRESS_REST = 32,
};

struct compress;

/* `level` is COMPRESS_LEVEL_MIN to COMPRESS_LEVEL_MAX. The caller frees. Errors: ERR_RESOURCE. */
struct compress *compress_new(int level, struct err *e);

/*
 * The next frame of the stream into *out, valid until the next call. plain.len is 1 to COMPRESS_FRAME, and only the
 * last may be shorter than that. Errors: ERR_RESOURCE, also of a stream of more than SEEK_TABLE_FRAMES_MAX frames;
 * ERR_INTEGRITY (a frame behind one that had to be the last).
 */
int compress_frame(struct compress *c, struct bytes plain, struct bytes *out, struct err *e);

/* After the last frame, once: what remains of the stream, into *out, valid until compress_free. Errors: ERR_RESOURCE.
 */
int compress_finish(struct compress *c, struct bytes *out, struct err *e);

/* Bytes of the stream of `plain` bytes of plaintext at most, whatever these are; UINT64_MAX when that overflows. */
uint64_t compress_bound(uint64_t plain);

/* NULL is fine. */
void compress_free(struct compress *c);
CLEANUP_FUNC(struct compress *, compress_free)
