/*
 * nonce.h: how a chunk's nonce is laid out. Private to lib/seal: seal.c writes it, unseal.c checks it.
 *
 *     EB 'E' 'T' 'C' 'D' 'B' 'K' content (1) || 8 random bytes || counter (8 bytes, big-endian, bit 63 on the last
 * chunk)
 *     '------------------- base, 16 bytes: the same in all chunks -------------------'
 *
 * content: what is sealed (enum seal_content): 02 a snapshot as it is, 03 a compressed one. All else is of a newer
 * version, as 03 is to those before it.
 *
 * The Go tool's bases begin with a nanosecond clock whose first byte stays below 0x80 until the year 2262, so a first
 * byte of EB is ours, of this version or of a newer one. The wrapped key's nonce begins with the same byte (key.c).
 */
#pragma once

#include <stdint.h>

enum {
    NONCE_LEN = 24,
    NONCE_BASE_LEN = 16,
    NONCE_MAGIC_LEN = 7,
    NONCE_FIRST_BYTE = 0xEB,
};

#define NONCE_MAGIC ((const uint8_t[NONCE_MAGIC_LEN]){NONCE_FIRST_BYTE, 'E', 'T', 'C', 'D', 'B', 'K'})

#define NONCE_LAST (UINT64_C(1) << 63)
