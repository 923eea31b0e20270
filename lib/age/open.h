/*
 * open.h: what is in a file of age, for whoever has an identity.
 *
 *     wrap key     =  HKDF(X25519(identity, share), salt = share ‖ recipient, "age-encryption.org/v1/X25519")
 *     file key     =  16 bytes, out of a stanza "X25519 share" by the wrap key (ChaCha20-Poly1305, nonce 0)
 *     MAC          =  HMAC-SHA-256 of the header by HKDF(file key, no salt, "header")
 *     payload      =  nonce (16) ‖ STREAM by HKDF(file key, salt = nonce, "payload"): of what is small, one chunk,
 * whose nonce is eleven zeros and 01
 */
#pragma once

#include "age/header.h"
#include "base/secret.h"

enum {
    AGE_FILE_KEY_LEN = 16,
    AGE_PAYLOAD_NONCE_LEN = 16,
    AGE_PAYLOAD_OVERHEAD = AGE_PAYLOAD_NONCE_LEN + 16,
    AGE_PLAIN_MAX = AGE_FILE_MAX, /* one chunk; those of age have 64 KiB */
};

/* `identities`: n times AGE_KEY_LEN bytes (identity.h). The caller frees. Errors: ERR_INTEGRITY with an enum age_fault,
 * ERR_RESOURCE. */
struct secret *age_open(const struct age_file *f, const struct secret *identities, struct err *e);
