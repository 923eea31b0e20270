#include "fixed_random.h"

#include <sodium.h>

static const uint8_t *fixed;
static size_t fixed_len;

static const char *name(void)
{
    return "fixed";
}

static void fill(void *buf, size_t len)
{
    uint8_t *out = buf;

    if (!fixed) {
        randombytes_sysrandom_implementation.buf(buf, len);
        return;
    }
    for (size_t i = 0; i < len; i++)
        out[i] = fixed[i % fixed_len];
}

static uint32_t number(void)
{
    uint32_t n;

    fill(&n, sizeof(n));
    return n;
}

static void stir(void)
{
    randombytes_sysrandom_implementation.stir();
}

static int stop(void)
{
    return randombytes_sysrandom_implementation.close();
}

void fixed_random_install(void)
{
    static randombytes_implementation implementation = {
            .implementation_name = name, .random = number, .stir = stir, .buf = fill, .close = stop};

    (void)randombytes_set_implementation(&implementation);
}

void fixed_random_set(const uint8_t *data, size_t len)
{
    fixed = data;
    fixed_len = len;
}
