#include "base/backoff.h"

uint64_t backoff_next(struct backoff *b, uint32_t random)
{
    uint64_t wait = b->initial_ms;

    for (unsigned i = 0; i < b->attempt && wait < b->max_ms; i++)
        wait = wait > b->max_ms / 2 ? b->max_ms : wait * 2;
    if (wait > b->max_ms)
        wait = b->max_ms;
    b->attempt++;
    return wait / 2 + (uint64_t)((double)(wait - wait / 2) * ((double)random / 4294967295.0));
}
