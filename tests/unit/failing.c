#include "failing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t countdown; /* 0: not armed */
static bool failed;
static size_t largest;

void failing_arm(size_t n)
{
    countdown = n;
    failed = false;
    largest = 0;
}

size_t failing_largest(void)
{
    return largest;
}

static void note(size_t len)
{
    if (len > largest)
        largest = len;
}

bool failing_disarm(void)
{
    countdown = 0;
    return failed;
}

bool failing_now(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

/* What the linker's --wrap calls the function and its replacement. */
#define WRAP(type, name, parameters, arguments, asked)                                                                 \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        note(asked);                                                                                                   \
        return failing_now() ? NULL : __real_##name arguments;                                                         \
    }

WRAP(void *, malloc, (size_t len), (len), len)
WRAP(void *, calloc, (size_t n, size_t len), (n, len), n *len)
WRAP(void *, realloc, (void *p, size_t len), (p, len), len)
WRAP(void *, reallocarray, (void *p, size_t n, size_t len), (p, n, len), n *len)
WRAP(char *, strdup, (const char *s), (s), strlen(s) + 1)
