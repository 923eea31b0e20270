/*
 * key_list.h: the wrapped keys that a listing of the bucket shows. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "catalog/list.h"

struct key_item {
    char *name;         /* of the object; owned by the list */
    int64_t instant;    /* of its backup, seconds since the epoch */
    bool is_unreadable; /* its name has no instant */
    bool is_rotated;    /* for the owner of the list: the new key opens it */
};

struct key_list;

/* The keys of a catalog: those of dumps, and lone ones; in its order. The caller frees. Errors: ERR_RESOURCE. */
struct key_list *key_list_new(const struct catalog_list *catalog, struct err *e);

/* The same of keys that are missing: of dumps that look encrypted and have none. */
struct key_list *key_list_new_missing(const struct catalog_list *catalog, struct err *e);

size_t key_list_count(const struct key_list *l);

/* Valid until key_list_find. */
struct key_item *key_list_at(struct key_list *l, size_t i);

/* The key of that name, or NULL. The order changes with the first. */
struct key_item *key_list_find(struct key_list *l, const char *name);

/* NULL is fine. */
void key_list_free(struct key_list *l);
CLEANUP_FUNC(struct key_list *, key_list_free)
