/*
 * objects.h: encrypted dumps for tests, made and mistreated chunk by chunk.
 *
 * All are under one data key, object_key, which object_make_key makes and object_free_key frees (a cmocka group's
 * set-up and tear-down). Byte i of every plaintext is a function of i, so that what is read can be compared.
 * Chunk 1 of a dump begins at byte 1,048,616, chunk 2 at byte 2,097,232, chunk 3 at byte 3,145,848.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

struct object {
    uint8_t *data;
    size_t len;
};

extern struct secret *object_key;

int object_make_key(void **state);
int object_free_key(void **state);

/* Bases of nonces: ours, ours of another backup, a newer version's, the Go tool's. */
extern const uint8_t object_base_ours[16], object_base_other[16], object_base_newer[16], object_base_go[16];

/* The end mark in a counter. */
#define OBJECT_LAST (UINT64_C(1) << 63)

/* What is said of a chunk that does not authenticate. */
#define OBJECT_DAMAGED "does not authenticate: damaged, cut off, or sealed with another key"

/* What seal.h makes of `len` bytes, as a snapshot and as what is compressed; what the Go tool makes of them. */
struct object object_seal(size_t len);
struct object object_seal_compressed(size_t len);
struct object object_go(size_t len);

/* Appends a chunk that is authentic: `len` bytes of the plaintext from byte `from` on, with any nonce. */
void object_add_chunk(struct object *o, const uint8_t base[16], uint64_t counter, size_t from, size_t len);

uint8_t *object_chunk(const struct object *o, size_t i);
void object_swap(const struct object *o, size_t i, size_t j);
void object_drop(struct object *o, size_t i);
void object_repeat(struct object *o, size_t i);

/*
 * Reads all of it under `with`; fails the test if a byte is released that is not the plaintext's, or any of a chunk
 * that is refused. Returns as unseal_chunk.
 */
int object_read(const struct object *o, const struct secret *with, bool *lacks_end_mark, struct err *e);

void object_expect_whole(const struct object *o, bool expect_end_mark);

/* Fails the test unless reading ends at this chunk and says exactly that. */
void object_expect_fault(const struct object *o, unsigned chunk, const char *what);

void object_free(struct object *o);

#define _cleanup_object_ _cleanup_(object_free)
