/*
 * streams.h: compressed streams, ours and others', whole and spoilt, and reading them.
 */
#pragma once

#include "expect.h"

#include "base/bytes.h"
#include "zstd/decompress.h"

struct stream {
    struct buf bytes;
    struct buf plain; /* what it was made from */
};

void stream_free(struct stream *s);
#define _cleanup_stream_ _cleanup_(stream_free)

/* Bytes that compress by about four, and `noise` of every 256 that do not compress at all. */
void stream_fill(struct buf *plain, size_t len, unsigned noise);

/* As compress.h writes it. */
struct stream stream_make(size_t len, unsigned noise, int level);

/* As others may write it: frames that are appended one after the other, then the table. */
struct foreign {
    struct stream stream;
    struct buf entries;
    uint32_t count;
    bool has_checksums;
};
struct foreign_frame {
    size_t len;            /* of plaintext */
    int level, window_log; /* 0: zstd's own */
    bool no_size, no_checksum;
};
void foreign_add(struct foreign *f, const struct foreign_frame *frame);
/* Any bytes as a frame, of which `plain_len` come out as the table says. */
void foreign_add_raw(struct foreign *f, const void *data, size_t len, uint32_t plain_len);
struct stream foreign_finish(struct foreign *f);

/* The parsed table at its end. NULL and *e. */
struct seek_table *stream_table(struct bytes stream, struct err *e);

/* Reads it in pieces of `step` bytes from frame `first` on. 0, and what came out in *plain (reset before); -1 and *e.
 */
int stream_read(struct bytes stream, size_t step, size_t first, struct buf *plain, struct err *e);

/* Fails the test unless it can be read, and is what it was made from. */
void stream_expect_whole(const struct stream *s, size_t step);
