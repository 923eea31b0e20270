/*
 * fixed_random.h: libsodium's random numbers, made predictable for known answers.
 *
 * fixed_random_install must come before sodium_init. Until fixed_random_set the numbers are real ones.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void fixed_random_install(void);

/* From now on all random bytes are those `len` at `data`, over and over; NULL: real ones again. */
void fixed_random_set(const uint8_t *data, size_t len);
