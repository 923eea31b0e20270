/*
 * unseal.h: sealed chunk in, plaintext chunk out, or the name of the first fault.
 *
 * Reads what seal.h writes and what the Go tool wrote (format.md, "Reading"). The first chunk's nonce tells which:
 *
 *     our magic, 02 or 03 behind   same base throughout, counters 0, 1, 2, ..., bit 63 on the last chunk exactly
 *     EB and something else        "written by a newer version"
 *     anything else (Go tool)      same base throughout, counters 0, 1, 2, ...; no end mark: the caller must insist on
 *                                  etcd's SHA-256 trailer (digest.h)
 *
 * The size of the sealed object is known before its first byte (Content-Length), so that each chunk's length is: the
 * caller asks unseal_next_len, collects so many bytes, and hands them over. Nothing is released before it
 * authenticates.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"
#include "seal/seal.h"

struct unseal;

/*
 * For a sealed object of `sealed_size` bytes; takes a copy of the data key. The caller frees. Errors: ERR_INTEGRITY
 * when no object of the format has that size (0, or a last chunk of 40 bytes or fewer), ERR_RESOURCE.
 */
struct unseal *unseal_new(const struct secret *data_key, uint64_t sealed_size, struct err *e);

/* The same from chunk number `first` on, which the object must have: what stands before it is not looked at. */
struct unseal *unseal_new_from(const struct secret *data_key, uint64_t sealed_size, uint64_t first, struct err *e);

/* Sealed bytes of the next chunk, 41 to SEAL_SEALED_CHUNK; 0 when all chunks have been read. */
size_t unseal_next_len(const struct unseal *u);

/*
 * Opens the next chunk: `sealed` is exactly unseal_next_len bytes; `out` has room for sealed.len - SEAL_OVERHEAD and
 * does not overlap. Errors: ERR_INTEGRITY, naming the chunk and its byte offset in the object (also in e->code) and
 * what is wrong: does not authenticate; another base; counter out of order; end mark missing or early; newer version.
 * ERR_RESOURCE (libcrypto).
 * After an error the struct is of no use but to be freed.
 */
int unseal_chunk(struct unseal *u, struct bytes sealed, uint8_t *out, struct err *e);

/* What is sealed. After the first chunk. */
enum seal_content unseal_content(const struct unseal *u);

/* The same by the first UNSEAL_HINT bytes of an object, or of any of its chunks, before anything vouches for it: good
 * for what to read next. */
enum { UNSEAL_HINT = 8 };
enum seal_content unseal_hint(const uint8_t first[UNSEAL_HINT]);

/* Whether the Go tool wrote it, so that nothing but the SHA-256 trailer proves the end. After the first chunk. */
bool unseal_lacks_end_mark(const struct unseal *u);

/* The plaintext's size for a sealed object's, or UINT64_MAX when no object of the format has that size. */
uint64_t unseal_plain_size(uint64_t sealed);

/* Wipes the key; NULL is fine. */
void unseal_free(struct unseal *u);
CLEANUP_FUNC(struct unseal *, unseal_free)
