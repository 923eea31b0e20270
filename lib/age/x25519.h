/*
 * x25519.h: what a stanza "X25519" wraps, and how (open.h has the formula). Private to lib/age.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "age/hkdf.h"
#include "age/recipient.h"

enum { X25519_WRAPPED_LEN = 16 + 16 }; /* a file's key, and a tag */

struct x25519_stanza {
    uint8_t share[AGE_KEY_LEN];
    uint8_t wrapped[X25519_WRAPPED_LEN];
};

/* The key between two who each have one of the pairs: `scalar` is one's secret, `point` the other's public key. `out`
 * is the caller's to wipe. -1: the point is of low order, and the key would be known to all. */
int x25519_wrap_key(const uint8_t scalar[AGE_KEY_LEN], const uint8_t point[AGE_KEY_LEN],
        const uint8_t share[AGE_KEY_LEN], const struct age_recipient *recipient, uint8_t out[HKDF_LEN]);

void x25519_wrap(const uint8_t file_key[16], const uint8_t wrap_key[HKDF_LEN], struct x25519_stanza *s);

/* Whether that key opens it. */
bool x25519_unwrap(const struct x25519_stanza *s, const uint8_t wrap_key[HKDF_LEN], uint8_t file_key[16]);
