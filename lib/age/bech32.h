/*
 * bech32.h: 32 bytes as people copy them: with a name in front, and a checksum that finds what was mistyped (BIP 173,
 * without its limit of 90 characters). Private to lib/age.
 *
 *     text = name ‖ '1' ‖ 52 characters of 5 bits, the last with 4 bits of padding, which are 0 ‖ 6 of checksum
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BECH32_BYTES = 32,
    BECH32_TAIL = 1 + 52 + 6, /* characters behind the name */
};

/* Writes strlen(name) + BECH32_TAIL characters and no 0; in upper case if `name` is. */
void bech32_encode(const char *name, const uint8_t bytes[BECH32_BYTES], char *out);

enum bech32_fault {
    BECH32_GOOD,
    BECH32_NAME, /* it begins with another name, or in another case */
    BECH32_LENGTH,
    BECH32_LETTER,   /* a character that does not occur, or of the other case */
    BECH32_CHECKSUM, /* mistyped */
    BECH32_PADDING,  /* another text for the same bytes: not canonical */
};

/* Reads exactly that: the whole of `text`, in the case of `name`. `out` is wiped unless it is good. */
enum bech32_fault bech32_decode(const char *name, const char *text, size_t len, uint8_t out[BECH32_BYTES]);

/* In words, for an error: "has a wrong checksum: it was mistyped". A static string. */
const char *bech32_fault_text(enum bech32_fault fault);
