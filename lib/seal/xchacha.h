/*
 * xchacha.h: XChaCha20-Poly1305 (IETF construction, no additional data) for chunks whose nonces begin alike. Private to
 * lib/seal.
 *
 * XChaCha20 is two steps (draft-irtf-cfrg-xchacha, 2.3): HChaCha20 makes a subkey of the key and the nonce's first 16
 * bytes, then ChaCha20-Poly1305 (RFC 8439) takes that key and the last 8 bytes behind four zeros. The first step is
 * libsodium's, and done once, since all chunks of a backup have the same base. The second is what costs: libcrypto does
 * it in 40 % of libsodium's time. A libcrypto that may not (FIPS 140) leaves it to libsodium, with the same bytes.
 *
 * Secrets: key and subkey are in locked memory. While a chunk is at work libcrypto has the subkey, what it makes of it,
 * and Poly1305's state in its own heap, as libsodium has them on the stack: neither is locked, both are overwritten
 * when the chunk is done (EVP_CIPHER_CTX_reset clears what a cipher holds). Between chunks nothing of it is anywhere
 * else. No core dump is written (daemon/main.c). Time does not depend on key or plaintext: ChaCha20 and Poly1305 have
 * no tables and no branches, and the tag is compared by CRYPTO_memcmp.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "seal/nonce.h"

enum { XCHACHA_TAG_LEN = 16 };

struct xchacha;

/* Takes a copy of the key (KEY_LEN bytes). The caller frees. Errors: ERR_RESOURCE. */
struct xchacha *xchacha_new(const struct secret *key, struct err *e);

/* Ciphertext and tag into `out`, plain.len + XCHACHA_TAG_LEN bytes that do not overlap. plain.len <= INT_MAX. Errors:
 * ERR_RESOURCE; then `out` says nothing. */
int xchacha_seal(struct xchacha *x, const uint8_t nonce[NONCE_LEN], struct bytes plain, uint8_t *out, struct err *e);

/* The reverse, of at least XCHACHA_TAG_LEN bytes. `out` holds plaintext only if *is_authentic, else zeros. Errors:
 * ERR_RESOURCE. */
int xchacha_open(struct xchacha *x, const uint8_t nonce[NONCE_LEN], struct bytes sealed, uint8_t *out,
        bool *is_authentic, struct err *e);

/* Wipes the keys; NULL is fine. */
void xchacha_free(struct xchacha *x);
CLEANUP_FUNC(struct xchacha *, xchacha_free)
