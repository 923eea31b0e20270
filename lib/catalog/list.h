/*
 * list.h: from a listing of objects to a list of backups. Pure.
 *
 * The caller feeds every object of a listing in any order (catalog_list_add), ends it (catalog_list_finish), and reads
 * backups, newest first. A backup is a dump; its key is the object of the same spelling with the other suffix. What has
 * no dump is an orphan: left behind by a crash between the two, and for prune to remove.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

enum catalog_state {
    CATALOG_COMPLETE,    /* a dump with its key, or a plain dump */
    CATALOG_KEY_MISSING, /* an encrypted dump without its key: cannot be read */
    CATALOG_UNREADABLE,  /* <prefix>-<something like a date>.dump */
    CATALOG_ORPHAN_KEY,  /* a key without a dump */
};

struct catalog_backup {
    int64_t instant;       /* seconds since the epoch; 0 when the name is unreadable */
    char *name;            /* the object as listed: the dump, or the key of an orphan; owned by the list */
    bool has_key;          /* the key's name is name_key_of_dump(name) */
    uint64_t size;         /* bytes of the object `name` */
    int64_t last_modified; /* by the server's clock, seconds since the epoch */
    enum catalog_state state;
};

struct catalog_list;

/* `prefix` is copied. The caller frees. Errors: ERR_RESOURCE. */
struct catalog_list *catalog_list_new(const char *prefix, struct err *e);

/* One object of the listing; foreign ones are passed over. Errors: ERR_RESOURCE, also past CATALOG_MAX objects. */
enum { CATALOG_MAX = 2000000 };
int catalog_list_add(struct catalog_list *l, const char *object, uint64_t size, int64_t last_modified, struct err *e);

/*
 * After the last object: pairs, judges and sorts (newest first; equal instants by name, so that the order of the
 * listing changes nothing). A dump without a key is plain when its size is that of a bbolt file and its SHA-256, 32
 * more than a multiple of 512 (facts of bbolt: pages), and otherwise an encrypted one whose key is missing.
 */
void catalog_list_finish(struct catalog_list *l);

size_t catalog_list_count(const struct catalog_list *l);

/* The i-th, newest first; valid until catalog_list_free. */
const struct catalog_backup *catalog_list_at(const struct catalog_list *l, size_t i);

/* The newest complete backup, or NULL. */
const struct catalog_backup *catalog_list_latest(const struct catalog_list *l);

/* The complete backup of an instant (UTC spelling first when there are several), or NULL. */
const struct catalog_backup *catalog_list_find(const struct catalog_list *l, int64_t instant);

/* The complete backup nearest in time to an instant, for "no such backup; the nearest is ...", or NULL. */
const struct catalog_backup *catalog_list_nearest(const struct catalog_list *l, int64_t instant);

/* NULL is fine. */
void catalog_list_free(struct catalog_list *l);
CLEANUP_FUNC(struct catalog_list *, catalog_list_free)
