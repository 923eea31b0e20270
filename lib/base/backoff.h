/*
 * backoff.h: how long to wait before the next attempt.
 *
 * Exponential with "equal jitter": attempt n waits between half of and the whole of min(max, initial * 2^n), so that
 * many clients which failed together do not come back together, and none comes back at once. Pure: the caller brings
 * the random number.
 */
#pragma once

#include <stdint.h>

struct backoff {
    uint64_t initial_ms; /* > 0 */
    uint64_t max_ms;     /* >= initial_ms */
    unsigned attempt;    /* attempts that have failed so far */
};

/* The next wait in ms, and counts the attempt. `random` is uniform over 32 bits. */
uint64_t backoff_next(struct backoff *b, uint32_t random);
