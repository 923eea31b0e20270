#include "base/size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
    const char *name;
    uint64_t bytes;
} units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
        {"KB", 1000},
        {"kB", 1000},
        {"MB", 1000 * 1000},
        {"GB", UINT64_C(1000) * 1000 * 1000},
        {"TB", UINT64_C(1000) * 1000 * 1000 * 1000},
};

int size_parse(const char *text, uint64_t *bytes, struct err *e)
{
    const char *p = text;
    uint64_t n = 0, product;
    bool fits = true;

    for (; *p >= '0' && *p <= '9'; p++)
        fits = fits && !__builtin_mul_overflow(n, 10, &n) && !__builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
    for (size_t i = 0; fits && p != text && i < ARRAY_LEN(units); i++)
        if (strcmp(p, units[i].name) == 0 && !__builtin_mul_overflow(n, units[i].bytes, &product)) {
            *bytes = product;
            return 0;
        }
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "'%.40s' is not a size (examples: 8MiB, 512KiB, 1GiB)", text);
}

char *size_format(uint64_t bytes, char out[SIZE_TEXT_MAX])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t i = 0;

    for (; v >= 1023.95 && i < ARRAY_LEN(names) - 1; i++)
        v /= 1024;
    if (i == 0)
        (void)snprintf(out, SIZE_TEXT_MAX, "%" PRIu64 " B", bytes);
    else
        (void)snprintf(out, SIZE_TEXT_MAX, i < 3 ? "%.1f %s" : "%.2f %s", v, names[i]);
    return out;
}
