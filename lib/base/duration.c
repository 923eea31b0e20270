#include "base/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const struct unit {
    const char *name;
    uint64_t ms;
} units[] = {
        {"ms", 1},
        {"s", 1000},
        {"m", 60 * UINT64_C(1000)},
        {"h", 3600 * UINT64_C(1000)},
        {"d", 86400 * UINT64_C(1000)},
        {"w", 7 * 86400 * UINT64_C(1000)},
        {"y", 365 * 86400 * UINT64_C(1000)},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const struct unit *read_unit(const char **p)
{
    const struct unit *best = NULL;

    /* "ms" comes before "m" in the table, so the first match is the longest. */
    for (size_t i = 0; i < ARRAY_LEN(units) && !best; i++)
        if (strncmp(*p, units[i].name, strlen(units[i].name)) == 0)
            best = &units[i];
    if (best)
        *p += strlen(best->name);
    return best;
}

/* One number with its unit. Returns false when the text is not one, or too large. */
static bool read_term(const char **p, uint64_t *ms)
{
    uint64_t whole = 0, fraction = 0, scale = 1;
    const struct unit *unit;
    bool digits = false;

    for (; is_digit(**p); (*p)++, digits = true)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, (uint64_t)(**p - '0'), &whole))
            return false;
    if (**p == '.')
        for ((*p)++; is_digit(**p); (*p)++, digits = true)
            if (scale < 1000000) { /* finer than a millionth of a unit does not matter */
                fraction = fraction * 10 + (uint64_t)(**p - '0');
                scale *= 10;
            }
    unit = read_unit(p);
    if (!digits || !unit || __builtin_mul_overflow(whole, unit->ms, ms))
        return false;
    return !__builtin_add_overflow(*ms, fraction * unit->ms / scale, ms);
}

int duration_parse(const char *text, uint64_t *ms, struct err *e)
{
    const char *p = text;
    uint64_t total = 0, term;

    if (strcmp(text, "0") == 0) {
        *ms = 0;
        return 0;
    }
    do {
        if (!read_term(&p, &term) || __builtin_add_overflow(total, term, &total) || total > INT64_MAX)
            return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                    "'%.40s' is not a duration (examples: 90s, 1m, 1h30m, 15d, 10w, 1y)", text);
    } while (*p);
    *ms = total;
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
