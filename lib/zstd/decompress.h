/*
 * decompress.h: a compressed stream in, plaintext out, or the name of the first fault.
 *
 * Reads zstd's seekable format, whoever wrote it: frames of any size, with checksums or without, skippable ones among
 * them. The seek table comes first, from the stream's end (seek_table.h), and the stream is held to it: each frame ends
 * where the table says, exactly as much comes out of it as the table says, and nothing stands behind the table. So
 * nobody is given a byte more than was announced, whatever the stream holds. Of memory a frame gets a window of 8 MiB
 * (which is what RFC 8878, section 3.1.1.1.2, recommends, and what zstd -19 writes), and not more.
 *
 * It begins at the first frame, or at any other (decompress_seek). For one stream, from one thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "zstd/seek_table.h"

enum {
    DECOMPRESS_PIECE = 1 << 20, /* bytes of plaintext that come out at a time, at most */
    DECOMPRESS_WINDOW_LOG_MAX = 23,
};

struct decompress;

/* Whether a stream of zstd begins so; a bbolt file begins with zeros. */
bool decompress_recognizes(struct bytes first);

/* `table` is borrowed. The caller frees. Errors: ERR_RESOURCE. */
struct decompress *decompress_new(const struct seek_table *table, struct err *e);

/*
 * Takes the front of *in away, and says what came out: *out is valid until the next call. When it is empty, all of *in
 * was taken and more is needed, or the stream has ended. To be called until both are empty. Errors: ERR_INTEGRITY,
 * naming the frame and its byte offset in the stream (also in e->code) and what is wrong; after that it is of no use
 * but to be freed.
 */
int decompress_next(struct decompress *d, struct bytes *in, struct bytes *out, struct err *e);

/* The next bytes are those from frame `number` on, number <= count. What was left of another one is dropped. */
void decompress_seek(struct decompress *d, size_t number);

/* After the last byte: whether that was the whole stream. Errors: ERR_INTEGRITY (cut off). */
int decompress_end(const struct decompress *d, struct err *e);

/* NULL is fine. */
void decompress_free(struct decompress *d);
CLEANUP_FUNC(struct decompress *, decompress_free)
