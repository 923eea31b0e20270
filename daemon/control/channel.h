/*
 * channel.h: the socket of one connection: frames come out of it one by one, and what is put into it is written as fast
 * as the other end reads, within bounds. What the frames say is peer.c's.
 *
 * The other end may send nonsense, send more than a request, stop reading, or be gone. It never blocks the loop, and
 * keeps no more memory than a frame to read and CHANNEL_OUT_MAX to write.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"

enum { CHANNEL_OUT_MAX = 16 << 20 }; /* bytes waiting to be written: the plan of a prune of 100,000 backups */

struct channel;

/* How long it may read nothing of what it was sent. */
enum channel_patience {
    CHANNEL_FOR_EVER, /* what it waits for must not be lost with it */
    CHANNEL_STALL,    /* CHANNEL_STALL_MS without a byte */
    CHANNEL_LAST,     /* CHANNEL_LAST_MS for all of it */
};
enum { CHANNEL_STALL_MS = 60000, CHANNEL_LAST_MS = 5000 };

struct channel_spec {
    void *ctx;
    /* A frame, valid during the call and wiped after it; false: no more are wanted. */
    bool (*on_frame)(void *ctx, struct bytes frame);
    /* What came is no frame. No more are read. */
    void (*on_nonsense)(void *ctx, const struct err *err);
    void (*on_written)(void *ctx); /* what was flushed before is on its way */
    /* The other end has left or does not read: whoever is told closes. */
    void (*on_gone)(void *ctx);
    void (*on_closed)(void *ctx); /* after channel_close; it is freed after this */
};

/* An unconnected pipe to accept or open into. Errors: ERR_RESOURCE. */
struct channel *channel_new(uv_loop_t *loop, const struct channel_spec *spec, struct err *e);

/* For uv_accept and uv_pipe_open. */
uv_stream_t *channel_stream(struct channel *c);

/* Begins to read. -1 if that fails. */
int channel_start(struct channel *c);

/* What waits to be written: frames are appended, then flushed. Its size is what the other end has not taken. */
struct buf *channel_out(struct channel *c);

/* A copy of the descriptor goes with the first byte that is written from now on, and belongs to the other end then
 * (SCM_RIGHTS; unix(7)). Once. Errors: ERR_RESOURCE. */
int channel_pass(struct channel *c, int fd, struct err *e);

/* Whether something is on its way. */
bool channel_is_writing(const struct channel *c);

/* Writes what waits, after what is on its way; `patience` holds from now on. May call on_gone. */
void channel_flush(struct channel *c, enum channel_patience patience);

/* Only what is on its way counts any more, with CHANNEL_LAST from now on. */
void channel_hurry(struct channel *c);

/* No callback but on_closed follows, from the loop. Once. */
void channel_close(struct channel *c);
