/*
 * hkdf.h: HKDF with SHA-256 (RFC 5869), one block of it, as age derives its keys. libsodium has it from 1.0.19 on, and
 * Debian 12 has the one before. Private to lib/age.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"

enum { HKDF_LEN = 32 };

/* `info` is text. `out` is the caller's to wipe. */
void hkdf_derive(struct bytes key, struct bytes salt, const char *info, uint8_t out[HKDF_LEN]);

/* HMAC-SHA-256 of `data` by a key of HKDF_LEN bytes. */
void hkdf_mac(const uint8_t key[HKDF_LEN], struct bytes data, uint8_t out[HKDF_LEN]);
