#include "base/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

__extension__ typedef unsigned __int128 uint128;

#define NS_PER_MS UINT64_C(1000000)

struct unit {
    const char *name;
    uint64_t ms;
};

static const struct unit units[] = {
        {"ms", 1},
        {"s", 1000},
        {"m", 60 * UINT64_C(1000)},
        {"h", 3600 * UINT64_C(1000)},
        {"d", 86400 * UINT64_C(1000)},
        {"w", 7 * 86400 * UINT64_C(1000)},
        {"y", 365 * 86400 * UINT64_C(1000)},
};

/* Go's, too; of micro there are two signs in Unicode. */
static const struct {
    const char *name;
    uint64_t ns;
} fine_units[] = {
        {"ns", 1},
        {"us", 1000},
        {"\xc2\xb5s", 1000},
        {"\xce\xbcs", 1000},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The nanoseconds of the unit at *p, or 0. */
static uint64_t read_unit(const char **p)
{
    size_t len = 0;
    uint64_t ns = 0;

    for (size_t i = 0; i < ARRAY_LEN(fine_units) && !ns; i++)
        if (strncmp(*p, fine_units[i].name, len = strlen(fine_units[i].name)) == 0)
            ns = fine_units[i].ns;
    /* "ms" comes before "m" in the table, so the first match is the longest. */
    for (size_t i = 0; i < ARRAY_LEN(units) && !ns; i++)
        if (strncmp(*p, units[i].name, len = strlen(units[i].name)) == 0)
            ns = units[i].ms * NS_PER_MS;
    *p += ns ? len : 0;
    return ns;
}

/* One number with its unit. Returns false when the text is not one, or too large. */
static bool read_term(const char **p, uint128 *ns)
{
    uint64_t whole = 0, fraction = 0, scale = 1, unit;
    bool digits = false;

    for (; is_digit(**p); (*p)++, digits = true)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, (uint64_t)(**p - '0'), &whole))
            return false;
    if (**p == '.')
        for ((*p)++; is_digit(**p); (*p)++, digits = true)
            if (scale < UINT64_C(1000000000000000000)) { /* finer than that is less than a nanosecond of any unit */
                fraction = fraction * 10 + (uint64_t)(**p - '0');
                scale *= 10;
            }
    unit = read_unit(p);
    *ns = (uint128)whole * unit + (uint128)fraction * unit / scale;
    return digits && unit;
}

/* All of it, at least one term. Returns false when it is none, or does not fit. */
static bool read_terms(const char *p, uint64_t *ms)
{
    uint128 total = 0, term;

    do {
        if (!read_term(&p, &term))
            return false;
        total += term; /* two such terms fit: each is below 2^64 years */
        if (total / NS_PER_MS > INT64_MAX)
            return false;
    } while (*p);
    *ms = (uint64_t)(total / NS_PER_MS);
    if (*ms == 0 && total > 0)
        *ms = 1;
    return true;
}

int duration_parse(const char *text, uint64_t *ms, struct err *e)
{
    const char *p = text + (*text == '-' || *text == '+');
    uint64_t value = 0;

    if (strcmp(p, "0") != 0 && !read_terms(p, &value))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "'%.40s' is not a duration (examples: 90s, 1m, 1h30m, 15d, 10w, 1y)", text);
    if (*text == '-' && value > 0)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "'%.40s' is less than nothing", text);
    *ms = value;
    return 0;
}

char *duration_format(uint64_t ms, char out[DURATION_TEXT_MAX])
{
    size_t shown = 0;

    if (ms < 1000) {
        (void)snprintf(out, DURATION_TEXT_MAX, "%" PRIu64 "ms", ms);
        return out;
    }
    if (ms < 60000) {
        (void)snprintf(out, DURATION_TEXT_MAX, "%" PRIu64 ".%" PRIu64 "s", ms / 1000, ms % 1000 / 100);
        return out;
    }
    out[0] = '\0';
    for (size_t i = ARRAY_LEN(units); i-- > 1 && shown < 2;) {
        uint64_t n = ms / units[i].ms;
        size_t used = strlen(out);

        /* Weeks are easy to write and hard to read: days up to a year. */
        if (units[i].name[0] == 'w' || (n == 0 && shown == 0))
            continue;
        shown++;
        if (n)
            (void)snprintf(out + used, DURATION_TEXT_MAX - used, "%" PRIu64 "%s", n, units[i].name);
        ms -= n * units[i].ms;
    }
    return out;
}
