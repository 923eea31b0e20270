/*
 * cron.h: a schedule of five fields, in UTC. Pure.
 *
 *     minute (0-59)  hour (0-23)  day of month (1-31)  month (1-12 or JAN-DEC)  day of week (0-7 or SUN-SAT; 0 and 7:
 * Sunday)
 *
 * Each field is a list of *, N, N-M, and any of these with a step (/S); names in any case. N/S goes on to the end of
 * the field, and FRI-SUN is a range. As in cron(8) (Vixie): when both days are restricted, either of them is enough; a
 * day that begins with a star, also one with a step, restricts nothing by itself, and both must fit. @hourly, @daily
 * (@midnight), @weekly, @monthly, @yearly (@annually) stand for what they say.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct cron {
    uint64_t minutes; /* bit N: at minute N */
    uint32_t hours, days, months;
    uint8_t weekdays;          /* bit 0: Sunday */
    bool any_day, any_weekday; /* the field begins with a star */
};

/* Errors: ERR_CONFIG, naming the field and what is wrong; a date that never comes (30 February) is one, too. *out is
 * set on success alone. */
int cron_parse(const char *text, struct cron *out, struct err *e);

/* The first instant after `after`, seconds since the epoch, at second 0. INT64_MAX when there is none up to the year
 * 9999; before the year 1 nothing happens. */
int64_t cron_next(const struct cron *c, int64_t after);
