/*
 * failing.h: makes one allocation fail, to test each in turn:
 *
 *     size_t n = 0;
 *     bool reached;
 *     do {
 *         failing_arm(++n);
 *         made = thing_new(&e);
 *         reached = failing_disarm();
 *         ... made must be NULL and e say why exactly when `reached`; free what was made ...
 *     } while (reached);
 *
 * Together with the address sanitizer this proves that whatever was half built is released. The linker redirects the
 * calls (--wrap) of the test and of our static libraries, and not those within shared libraries; what locks memory,
 * which can be forbidden, counts as an allocation too. Link with `failing`, or with `failing_crypto` which knows
 * libsodium's and libcrypto's allocations as well. Not for threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails, n >= 1, and no other. */
void failing_arm(size_t n);

/* Allocations work again. Returns whether one failed. */
bool failing_disarm(void);

/* Bytes of the largest allocation since failing_arm, which 0 arms for none. */
size_t failing_largest(void);

/* Whether this allocation is the one. For the wrappers. */
bool failing_now(void);
