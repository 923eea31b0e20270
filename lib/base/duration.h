/*
 * duration.h: spans of time as people write them.
 *
 * The grammar is that of the Go tool's configuration (Go's time.ParseDuration) with days, weeks and years added: a
 * sign, then one or more numbers, each with its unit: `90s`, `1m`, `1h30m`, `1.5h`, `300ms`, `500us`, `15d`, `10w`,
 * `1y`. A day is 24 h, a week 7 d, a year 365 d. A bare `0` is zero. No spaces. What is less than nothing is refused:
 * there is no use for it here.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Milliseconds into *ms, rounded down, but what is not nothing is at least one. Errors: ERR_CONFIG, quoting `text`,
 * also when it does not fit into 63 bits of milliseconds. */
int duration_parse(const char *text, uint64_t *ms, struct err *e);

enum { DURATION_TEXT_MAX = 32 };

/* The largest unit that is not zero and the one below it: "1h30m", "15d" (weeks are shown as days), "4.2s" below a
 * minute, "250ms" below a second. Rounds down. Returns out. */
char *duration_format(uint64_t ms, char out[DURATION_TEXT_MAX]);
