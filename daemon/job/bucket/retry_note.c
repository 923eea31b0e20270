#include "job/bucket/retry_note.h"

#include <stdio.h>

#include "base/duration.h"

enum { MS_PER_S = 1000 };

const char *retry_note(const struct s3_retry *retry, char out[RETRY_NOTE_MAX])
{
    char left[DURATION_TEXT_MAX];
    double wait = (double)retry->wait_ms / (double)MS_PER_S;

    if (retry->max_attempts)
        (void)snprintf(out, RETRY_NOTE_MAX, "%s; trying again in %.1f s (attempt %u of %u)", retry->why->text, wait,
                retry->attempts + 1, retry->max_attempts);
    else
        (void)snprintf(out, RETRY_NOTE_MAX, "%s; trying again in %.1f s, and for %s if nothing comes", retry->why->text,
                wait, duration_format(retry->left_ms, left));
    return out;
}
