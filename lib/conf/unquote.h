/*
 * unquote.h: what a quoted YAML word says. Pure, and in place.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Writes the `*len` bytes at `text`, which stood between two `quote`s, over themselves without their escapes: '' in
 * single quotes, \" \\ \/ \xNN \uNNNN in double ones; without quotes (0) there are none. *len becomes what is left of
 * it. The bytes are whole escapes: each ' has its twin, and no \ is the last. Returns -1 for any other escape, and for
 * half of a surrogate pair; the text is then partly rewritten.
 */
int conf_unquote(uint8_t *text, size_t *len, uint8_t quote);
