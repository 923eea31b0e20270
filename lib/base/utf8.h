/*
 * utf8.h: is this a character? (RFC 3629, section 4.) Pure.
 */
#pragma once

#include <stddef.h>

/* Bytes of the UTF-8 character at the beginning of `s`, which ends with a NUL: 1 to 4; 0 if there is none. */
size_t utf8_len(const char *s);
