/*
 * timestamp.h: instants, as the objects in the bucket are named by them.
 *
 * An instant is a number of seconds since the epoch (int64_t). Its text is RFC 3339 to the second: we write UTC with
 * `Z` alone, and read numeric offsets too, because the Go tool may have written them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { TIMESTAMP_TEXT_LEN = 20, TIMESTAMP_TEXT_MAX = 21 };

/*
 * Reads exactly `len` characters "YYYY-MM-DDTHH:MM:SS" and then "Z" or "+HH:MM" or "-HH:MM" (RFC 3339, section 5.6,
 * without fractions and without the leap second, which Go refuses as well). Years 0001 to 9999, real days of the
 * calendar. Pure. Errors: ERR_CONFIG, quoting the text.
 */
int timestamp_parse(const char *text, size_t len, int64_t *instant, struct err *e);

/*
 * What people bring along from other tools: as above, and with a lower-case t and z, a blank for the T (`date
 * --rfc-3339=seconds`), an offset without its colon, and fractions that are nothing. Another fraction is refused:
 * objects are named to the second.
 */
int timestamp_read(const char *text, int64_t *instant, struct err *e);

/* "2024-12-06T21:22:25Z". For years outside 0001 to 9999 the nearest end of the range. Returns out. */
char *timestamp_format(int64_t instant, char out[TIMESTAMP_TEXT_MAX]);

/* The wall clock now. */
int64_t timestamp_now(void);
