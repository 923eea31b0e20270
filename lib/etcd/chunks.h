/*
 * chunks.h: the queue between the stream and its consumer: bytes come in pieces of any size, chunks of one size go out.
 * No loop, no network.
 *
 * Memory: fixed buffers, made when first needed, used again, freed together. A chunk is readable when it is full, or
 * when the stream's last byte is in it, and what is in it has been found good: bytes come before it is known whether
 * their message is. It does not move until it is consumed.
 *
 * Credit: what the receiver may be told about bytes that no longer take up room. Bytes in full chunks count against
 * the window until they are consumed. Bytes of the chunk being filled do not, while it is alone: the consumer waits for
 * it, so holding it against the sender could only stop the stream (think of a chunk larger than the window). What was
 * credited early is not credited again, so the sum of all credit is the sum of all bytes charged.
 *
 * By that, with W bytes of window and chunks of C bytes there are never more than W / C + 2 chunks.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct etcd_chunks;

/* `chunk` bytes each, at most `max` at a time, both > 0. The caller frees. Errors: ERR_RESOURCE. */
struct etcd_chunks *etcd_chunks_new(size_t chunk, size_t max, struct err *e);

/* Counts bytes against the window that are no data: framing. */
void etcd_chunks_charge(struct etcd_chunks *c, size_t bytes);

/* Appends data, and charges it. Errors: ERR_RESOURCE; ERR_PROTOCOL when `max` chunks are full, which a peer that keeps
 * to the window cannot bring about, and after the end. */
int etcd_chunks_append(struct etcd_chunks *c, struct bytes data, struct err *e);

/* All that has been appended is good. `last`: the stream ends with it (there is then a byte that was not committed). */
void etcd_chunks_commit(struct etcd_chunks *c, bool last);

/* The oldest readable chunk, or an empty one. `last` may be NULL. */
struct bytes etcd_chunks_peek(const struct etcd_chunks *c, bool *last);

/* The oldest readable chunk is done with. */
void etcd_chunks_consume(struct etcd_chunks *c);

/* What can be credited now and has not been: once. */
size_t etcd_chunks_take_credit(struct etcd_chunks *c);

/* Bytes charged and not yet credited. */
uint64_t etcd_chunks_uncredited(const struct etcd_chunks *c);

/* NULL is fine. */
void etcd_chunks_free(struct etcd_chunks *c);
CLEANUP_FUNC(struct etcd_chunks *, etcd_chunks_free)
