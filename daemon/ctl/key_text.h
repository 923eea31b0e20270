/*
 * key_text.h: keys and values, which may hold any byte, as text. Errors are the stream's (ferror).
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

/* For people, on one line: as it is, but `\\` for a backslash and `\x1b` for each byte that is not to be shown. */
void key_text_put(FILE *out, struct bytes key);

/* The way back. `out` has room for strlen(text) bytes; *len are in it. False: a backslash that begins neither. */
bool key_text_read(const char *text, uint8_t *out, size_t *len);

/* As a string of Go, in double quotes: printable ASCII, and `\x1b` for all else. */
void key_text_quote(FILE *out, struct bytes bytes);

/* RFC 4648, section 4. */
void key_text_base64(FILE *out, struct bytes bytes);

/* `,"name":"base64"`, as json.h writes. */
void key_text_json(FILE *out, bool *first, const char *name, struct bytes bytes);

/* Whether a terminal would show more or other than characters: line breaks and tabs are fine. */
bool key_text_is_binary(struct bytes value);
