/*
 * bytes.h: a view of bytes, a growing buffer with a limit, and numbers in network order.
 *
 * `struct bytes` owns nothing: it is valid as long as what it points into. `struct buf` owns its memory, grows by
 * doubling and never past the limit that its maker gave it, so that what fills it from the network cannot fill memory.
 * Memory that it gives up, to grow or in the end, is overwritten first: tokens and keys pass through buffers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct bytes {
    const uint8_t *data;
    size_t len;
};

struct buf {
    uint8_t *data; /* NULL while empty */
    size_t len;
    size_t cap;
    size_t limit; /* bytes; appending past it fails */
};

#define BUF_INIT(limit_) ((struct buf){.limit = (limit_)})

/* Appends a copy. Errors: ERR_RESOURCE when out of memory, ERR_PROTOCOL when over the limit; the buffer is as before.
 */
int buf_append(struct buf *b, const void *data, size_t len, struct err *e);

/* Makes room for `len` more bytes at b->data + b->len, for the caller to fill and then add to b->len. Errors as above.
 */
int buf_reserve(struct buf *b, size_t len, struct err *e);

/* Removes the first `len` bytes, len <= b->len. */
void buf_drop_front(struct buf *b, size_t len);

/* Wipes and releases the memory; the buffer is empty and can be used again with the same limit. */
void buf_reset(struct buf *b);

#define _cleanup_buf_ _cleanup_(buf_reset)

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){.data = b->data, .len = b->len};
}

static inline uint32_t be32_load(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline void be32_store(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline uint64_t be64_load(const uint8_t *p)
{
    return (uint64_t)be32_load(p) << 32 | be32_load(p + 4);
}

static inline void be64_store(uint8_t *p, uint64_t v)
{
    be32_store(p, (uint32_t)(v >> 32));
    be32_store(p + 4, (uint32_t)v);
}
