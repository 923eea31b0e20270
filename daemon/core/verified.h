/*
 * verified.h: which backups this daemon has verified, when, and what came of it. Kept in memory, for `list`; bounded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct verified;

enum { VERIFIED_MAX = 50000 };

/* The caller frees. NULL when out of memory. */
struct verified *verified_new(void);

/* The latest verdict on the dump of that name, at `when` (seconds since the epoch). Forgotten when there is no memory
 * for it. */
void verified_add(struct verified *v, const char *name, int64_t when, bool is_good);

/* When it was last verified, seconds since the epoch; 0 if it was not. Sets *is_good. `v` may be NULL. */
int64_t verified_find(const struct verified *v, const char *name, bool *is_good);

/* NULL is fine. */
void verified_free(struct verified *v);
