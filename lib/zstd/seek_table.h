/*
 * seek_table.h: where each frame of a compressed stream lies, and how much comes out of it. Pure.
 *
 * Zstandard's seekable format (zstd, contrib/seekable_format/zstd_seekable_compression_format.md, version 0.1.0):
 * frames that need nothing of each other, one behind the other, and at the end their sizes in a skippable frame, which
 * whoever reads zstd and knows no seek tables passes over. All numbers are little-endian:
 *
 *     table = 5E 2A 4D 18 || length of what follows (4) || entries || footer
 *     entry = length of the frame (4) || length of what comes out of it (4) [|| checksum (4): bit 7 of the descriptor]
 *     footer = number of entries (4) || descriptor (1) || B1 EA 92 8F
 *
 * A skippable frame, of which nothing comes out, has an entry, too. So the sizes in the table add up to where it
 * begins.
 *
 * The end of a stream is all that it takes to know how large the whole becomes and where a byte of it lies: the last
 * SEEK_TABLE_FOOTER bytes say how long the table is (seek_table_size_by_footer), and these are parsed
 * (seek_table_parse).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

enum {
    SEEK_TABLE_FOOTER = 9,           /* bytes */
    SEEK_TABLE_FRAMES_MAX = 1 << 20, /* 1 TiB in frames of 1 MiB; 16 MiB of memory */
    SEEK_TABLE_SIZE_MAX = 8 + SEEK_TABLE_FRAMES_MAX * 12 + SEEK_TABLE_FOOTER, /* bytes of the longest table */
};

struct seek_table;

/* Where a frame lies in the stream, and what comes out of it in the plaintext; all in bytes. */
struct frame_place {
    uint64_t start;
    uint64_t plain_start;
    uint32_t len; /* at least 8 */
    uint32_t plain_len;
};

/* An empty one, for a writer. The caller frees. Errors: ERR_RESOURCE. */
struct seek_table *seek_table_new(struct err *e);

/* The next frame. Errors: ERR_RESOURCE, also past SEEK_TABLE_FRAMES_MAX. */
int seek_table_add(struct seek_table *t, uint32_t len, uint32_t plain_len, struct err *e);

/* Bytes of the table when it is written, without checksums, for so many frames. */
uint64_t seek_table_size_for(uint64_t frames);

/* Writes it into `out`, which has room for seek_table_size_for(seek_table_count) bytes. */
void seek_table_write(const struct seek_table *t, uint8_t *out);

/* How many bytes the table has, itself included, of a stream of `stream_size` bytes whose last SEEK_TABLE_FOOTER bytes
 * are `footer`; at most SEEK_TABLE_SIZE_MAX. Errors: ERR_INTEGRITY (there is no table, or none that we read). */
int seek_table_size_by_footer(struct bytes footer, uint64_t stream_size, size_t *size, struct err *e);

/*
 * The table of a stream of `stream_size` bytes that ends in `table`, as long as its footer says. The caller frees.
 * Errors: ERR_INTEGRITY: its parts contradict each other or the stream's size, or it claims more than so many bytes can
 * hold; ERR_RESOURCE. Whether the frames are what it says only the reader finds out (decompress.h).
 */
struct seek_table *seek_table_parse(struct bytes table, uint64_t stream_size, struct err *e);

size_t seek_table_count(const struct seek_table *t);

/* Frame number i, from 0, i < count. */
struct frame_place seek_table_at(const struct seek_table *t, size_t i);

/* The number of the frame that the byte at `offset` of the plaintext comes out of; offset < seek_table_plain_size. */
size_t seek_table_find(const struct seek_table *t, uint64_t offset);

/* Bytes that come out of all frames. */
uint64_t seek_table_plain_size(const struct seek_table *t);

/* Bytes of the table in the stream that it was parsed from. */
uint64_t seek_table_size(const struct seek_table *t);

/* Bytes of all frames: where the table begins. */
uint64_t seek_table_start(const struct seek_table *t);

/* NULL is fine. */
void seek_table_free(struct seek_table *t);
CLEANUP_FUNC(struct seek_table *, seek_table_free)
