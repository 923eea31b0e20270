/*
 * seal.h: plaintext chunk in, sealed chunk out.
 *
 * The snapshot is cut into chunks of SEAL_CHUNK bytes (the last may be shorter, never empty), each sealed with
 * XChaCha20-Poly1305 (IETF, no additional data) under the backup's own data key (format.md, ".dump, encrypted"):
 *
 *     chunk i = nonce_i (24) || ciphertext || tag (16)
 *     nonce_i = EB 'E' 'T' 'C' 'D' 'B' 'K' content || 8 random bytes || big-endian counter, bit 63 set on the last
 * chunk alone
 *
 * This is STREAM (Hoang, Reyhanitabar, Rogaway, Vizar 2015) laid into the nonce: order, completeness and end are
 * authenticated. A struct seal is used for one backup, from one thread at a time; it keeps count.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

enum {
    SEAL_CHUNK = 1 << 20,
    SEAL_OVERHEAD = 24 + 16,
    SEAL_SEALED_CHUNK = SEAL_CHUNK + SEAL_OVERHEAD,
};

/* What is sealed; a byte of each nonce says it, and so every tag vouches for it. */
enum seal_content {
    SEAL_SNAPSHOT = 2,   /* the snapshot as etcd sends it */
    SEAL_COMPRESSED = 3, /* the same, compressed before it was cut into chunks (zstd/compress.h) */
};

struct seal;

/* Takes a copy of the data key (KEY_LEN bytes). The caller frees. Errors: ERR_RESOURCE. */
struct seal *seal_new(const struct secret *data_key, enum seal_content content, struct err *e);

/*
 * Seals the next chunk into `out`, which has room for plain.len + SEAL_OVERHEAD bytes and does not overlap. plain.len
 * is 1 to SEAL_CHUNK, and exactly SEAL_CHUNK unless `last`. Calling it after the last chunk, or with another length, is
 * an ERR_INTEGRITY: such a dump could not be read back. Errors beside that: ERR_RESOURCE (libcrypto).
 */
int seal_chunk(struct seal *s, struct bytes plain, bool last, uint8_t *out, struct err *e);

/* Whether the last chunk has been sealed. */
bool seal_is_finished(const struct seal *s);

/* The size of the sealed object for so many bytes of plaintext, plain > 0; UINT64_MAX when that overflows. */
uint64_t seal_sealed_size(uint64_t plain);

/* Wipes the key; NULL is fine. */
void seal_free(struct seal *s);
CLEANUP_FUNC(struct seal *, seal_free)
