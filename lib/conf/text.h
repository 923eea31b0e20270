/*
 * text.h: the bytes of a configuration file, before YAML looks at them.
 *
 * UTF-8 without control characters, and lines that end where an editor sees them end (YAML 1.1 would also break lines
 * at U+0085, U+2028 and U+2029): so the positions that the YAML parser counts are those that the user sees, and nothing
 * that gets into a message can break the line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * The whole of a regular file of at most `max` bytes, a NUL after it, its length in *len. The caller frees. Errors:
 * ERR_NOT_FOUND, ERR_CONFIG (no regular file, not allowed, too long), ERR_RESOURCE. Not for secrets.
 */
char *conf_text_read(const char *path, size_t max, size_t *len, struct err *e);

/* The text without the byte order mark (U+FEFF) that some editors put in front. It is no character: it has no column.
 */
struct bytes conf_text_without_mark(struct bytes text);

/* Whether all of it is text as above. Errors: ERR_CONFIG with the place of the first byte that is not. */
int conf_text_check(const char *file, struct bytes text, struct err *e);

/* Whether a string that escapes may have put together is text as above, and on one line: no tab, no line break. */
bool conf_text_is_one_line(struct bytes text);
