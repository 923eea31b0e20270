/*
 * utf8.h: is this a character (RFC 3629, section 4), and where may a text be cut. Pure.
 */
#pragma once

#include <stddef.h>

/* Bytes of the UTF-8 character at the beginning of `s`, which ends with a NUL: 1 to 4; 0 if there is none. */
size_t utf8_len(const char *s);

/* How many of the first `max` bytes of a text are whole characters. */
size_t utf8_cut(const char *text, size_t max);

enum { UTF8_QUOTE_MAX = 80 };

/* `text` in quotes, for a message; what is long is cut between two characters. Returns out. */
char *utf8_quote(const char *text, char out[UTF8_QUOTE_MAX]);

/* The same, but 0 also for what breaks a line or drives a terminal: control characters, C1 (U+0080 to U+009F) too, and
 * the separators of lines and paragraphs. */
size_t utf8_shown_len(const char *s);

/* Makes one clean line of it, in place: each byte of what is not to be shown becomes '?'. */
void utf8_clean(char *s);
