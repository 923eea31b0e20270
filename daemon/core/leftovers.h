/*
 * leftovers.h: uploads that could not be aborted, because the store was away: they are aborted later.
 *
 * What a backup cannot take back is remembered here, longer than the job lives, and swept behind the next one that
 * succeeds (job/backup/sweep.h). A crash forgets them, and so does a reload to another bucket: prune finds such uploads
 * after a day. Bounded: of more than LEFTOVERS_MAX the rest is left to prune.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct leftovers;

enum { LEFTOVERS_MAX = 64 };

/* The caller frees. NULL when out of memory. */
struct leftovers *leftovers_new(void);

/* Copies both. Returns whether it is remembered. */
bool leftovers_add(struct leftovers *l, const char *key, const char *upload_id);

/* The first, if there is one; both valid until it is dropped. */
bool leftovers_first(const struct leftovers *l, const char **key, const char **upload_id);
void leftovers_drop_first(struct leftovers *l);

/* It belongs to another bucket. */
void leftovers_forget(struct leftovers *l);

/* NULL is fine. */
void leftovers_free(struct leftovers *l);
