/*
 * arena.h: memory for one message of a client, which may hold a master key: locked, left out of core dumps, and wiped.
 *
 * protobuf-c takes its memory from an allocator; this one hands out pieces of one secret (base/secret.h) and takes them
 * all back at once. What does not fit is refused, and with it the message: that bounds what a client can make us take.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/cleanup.h"
#include "base/err.h"

struct arena;

/* For a message of `len` bytes as it is on the wire: several times as much. The caller frees. Errors: ERR_RESOURCE. */
struct arena *arena_new(size_t len, struct err *e);

/* For protobuf-c. Valid as long as the arena. */
ProtobufCAllocator *arena_allocator(struct arena *a);

/* Wipes and frees all that was allocated from it. NULL is fine. */
void arena_free(struct arena *a);
CLEANUP_FUNC(struct arena *, arena_free)
