/*
 * age.h: how long ago something was, as lists say it.
 */
#pragma once

#include <stdint.h>

#include "base/duration.h"

enum { AGE_TEXT_MAX = DURATION_TEXT_MAX + 4 };

/* "3d4h", or "in 5m" for what lies in the future. Both are seconds since the epoch. Returns out. */
const char *age_format(int64_t instant, int64_t now, char out[AGE_TEXT_MAX]);
