/*
 * index.h: the newest change of each key.
 *
 * 32 bytes a key, and as much again while it grows: of names only a keyed hash of 128 bits is kept, whose key is drawn
 * for each index, so that nobody can make two names meet. At most three quarters of the places are taken: 43 to 86
 * bytes a key.
 */
#pragma once

#include "base/bytes.h"
#include "keyspace/revision.h"

struct key_index;

/* Takes no more than `memory_max` bytes. The caller frees. Errors: ERR_RESOURCE. */
struct key_index *key_index_new(uint64_t memory_max, struct err *e);

/* The newest change of that key so far. Errors: ERR_RESOURCE: more keys than there is memory for. */
int key_index_put(struct key_index *x, struct bytes key, const struct revision *r, struct err *e);

/* Whether the newest change of the key is this one, and no deletion. */
bool key_index_is_live(const struct key_index *x, struct bytes key, const struct revision *r);

/* Whether the newest change of the key is no deletion. */
bool key_index_has_live(const struct key_index *x, struct bytes key);

/* Keys whose newest change is no deletion. */
uint64_t key_index_n_live(const struct key_index *x);

/* Bytes of memory that it takes. */
uint64_t key_index_memory(const struct key_index *x);

/* NULL is fine. */
void key_index_free(struct key_index *x);
CLEANUP_FUNC(struct key_index *, key_index_free)
