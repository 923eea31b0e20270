#include "ctl/age.h"

#include <stdio.h>

const char *age_format(int64_t instant, int64_t now, char out[AGE_TEXT_MAX])
{
    char text[DURATION_TEXT_MAX];
    uint64_t distance = (uint64_t)(instant <= now ? now - instant : instant - now) * 1000;

    if (distance < 60000)
        (void)snprintf(text, sizeof(text), "%us", (unsigned)(distance / 1000));
    else
        (void)duration_format(distance, text);
    (void)snprintf(out, AGE_TEXT_MAX, "%s%s", instant <= now ? "" : "in ", text);
    return out;
}
