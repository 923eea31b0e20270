/*
 * key_list.h: the wrapped keys in the bucket, each once, however often it was listed. Pure.
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

/* The caller frees. Errors: ERR_RESOURCE. */
struct key_list *key_list_new(struct err *e);

/* Takes the keys of a catalog, those of dumps and lone ones, that are not in the list yet: they stand behind the
 * others, whose order changes. Errors: ERR_RESOURCE. */
int key_list_add(struct key_list *l, const struct catalog_list *catalog, struct err *e);

/* The same for keys that are missing: of dumps that look encrypted and have none. */
int key_list_add_missing(struct key_list *l, const struct catalog_list *catalog, struct err *e);

size_t key_list_count(const struct key_list *l);

/* Valid until key_list_add. */
struct key_item *key_list_at(struct key_list *l, size_t i);

/* The key of that name, or NULL. The order changes. */
struct key_item *key_list_find(struct key_list *l, const char *name);

/* NULL is fine. */
void key_list_free(struct key_list *l);
CLEANUP_FUNC(struct key_list *, key_list_free)
