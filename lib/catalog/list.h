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
    CATALOG_ORPHAN_MARK, /* a mark that a dump is bad (name.h), without that dump or a key */
    CATALOG_CLAIM,       /* of a name (job/bucket/claim.h): a backup is on its way, or a crash has left it */
    CATALOG_CHECK,       /* what a check tries (name.h): it is on its way, or a crash has left it */
};

/* What speaks against a backup. Of what is in doubt none counts as a backup (catalog_backup_counts): it stays as long
 * as it would if it did, takes no other's place, and is not the newest. */
enum catalog_doubt {
    CATALOG_SURE,
    /* By what is listed: */
    CATALOG_WRONG_SIZE,   /* complete, but no sealed dump, or no wrapped key, has that size */
    CATALOG_MAY_BE_PLAIN, /* its key is missing, or it is plain: both have that size */
    CATALOG_PLAIN,        /* complete, but not encrypted, though backups are: nobody knows who made it */
    CATALOG_BAD,          /* it was read, and is bad: a mark says so, or who remembers it (catalog_list_doubt) */
    /* Which somebody has found out (catalog_list_doubt): */
    CATALOG_UNOPENED,      /* complete, but no key that we have opens its key */
    CATALOG_KEY_UNKNOWN,   /* complete, but its key cannot be read: archived, or forbidden */
    CATALOG_KEY_GONE,      /* complete as it was listed, but the store has no such key, or no such dump */
    CATALOG_OTHER_CLUSTER, /* complete, but of another etcd cluster */
    CATALOG_FUTURE,        /* its time has not come yet: a clock was wrong, or is */
};

struct catalog_backup {
    int64_t instant;       /* seconds since the epoch; 0 when the name is unreadable, or of a check */
    char *name;            /* the object as listed: the dump, or the key or mark of an orphan; owned by the list */
    const char *etag;      /* of the object `name`, without quotes; "" if the store told none; owned by the list */
    bool has_key;          /* the key's name is name_key_of_dump(name) */
    bool is_marked;        /* as bad, by a mark of this very dump: its name is name_bad_of_dump(name, ...) */
    uint64_t key_tag;      /* name_object_tag of the key's object */
    uint64_t size;         /* bytes of the object `name` */
    int64_t last_modified; /* by the server's clock, seconds since the epoch */
    enum catalog_state state;
    enum catalog_doubt doubt;
};

/* Whether it is one to rely on: complete, and nothing is known against it. Others are shown and can be asked for, but
 * keep no older one from being needed. */
bool catalog_backup_counts(const struct catalog_backup *b);

/* Whether it is no backup, but what is left of one: a lone key, a lone mark, a claim; or of a check. */
bool catalog_backup_is_orphan(const struct catalog_backup *b);

struct catalog_list;

/* `prefix` is copied. The caller frees. Errors: ERR_RESOURCE. */
struct catalog_list *catalog_list_new(const char *prefix, struct err *e);

/* One object of the listing. The strings are copied. */
struct catalog_object {
    const char *name;
    const char *etag;      /* as listed, or NULL */
    uint64_t size;         /* bytes */
    int64_t last_modified; /* by the server's clock, seconds since the epoch */
};

/* Foreign ones are passed over. Errors: ERR_RESOURCE, also past CATALOG_MAX objects. */
enum { CATALOG_MAX = 2000000 };
int catalog_list_add(struct catalog_list *l, const struct catalog_object *object, struct err *e);

/* A bbolt file is a multiple of it: pages are those of the system that made the file, and none has smaller ones. */
enum { CATALOG_PAGE = 4096 };

/*
 * Backups are encrypted here: a dump that has no key counts never, since whoever can write to the bucket can have made
 * it. One that may be plain or not, by its size, is taken for one whose key is missing (CATALOG_MAY_BE_PLAIN). To be
 * said before catalog_list_finish.
 */
void catalog_list_expect_keys(struct catalog_list *l);

/*
 * After the last object: pairs, judges and sorts (newest first; equal instants by name, so that the order of the
 * listing changes nothing). A dump without a key is plain when its size is that of a bbolt file and its SHA-256, 32
 * more than a multiple of CATALOG_PAGE, and otherwise an encrypted one whose key is missing. A sealed dump has a plain
 * one's size when its chunks, which are 40 bytes longer each, are a multiple of 512: databases of 511 to 512 MiB, ...
 */
void catalog_list_finish(struct catalog_list *l);

size_t catalog_list_count(const struct catalog_list *l);

/* The i-th, newest first; valid until catalog_list_free. */
const struct catalog_backup *catalog_list_at(const struct catalog_list *l, size_t i);

/* Somebody has found out what speaks against the i-th. One in doubt, or not complete, stays as it is, unless it is of
 * another cluster or cannot be looked at: those are nobody's here to judge. */
void catalog_list_doubt(struct catalog_list *l, size_t i, enum catalog_doubt doubt);

/* What lies after `latest` (seconds since the epoch) is CATALOG_FUTURE. */
void catalog_list_doubt_future(struct catalog_list *l, int64_t latest);

/* The newest backup that counts, or NULL. */
const struct catalog_backup *catalog_list_newest(const struct catalog_list *l);

/* The newest complete backup, also one in doubt: who asks for the latest is not given an older one. Or NULL. */
const struct catalog_backup *catalog_list_latest(const struct catalog_list *l);

/* The complete backup of an instant, also one in doubt (UTC spelling first when there are several), or NULL. */
const struct catalog_backup *catalog_list_find(const struct catalog_list *l, int64_t instant);

/* The backup that counts nearest in time to an instant, for "no such backup; the nearest is ...", or NULL. */
const struct catalog_backup *catalog_list_nearest(const struct catalog_list *l, int64_t instant);

/* NULL is fine. */
void catalog_list_free(struct catalog_list *l);
CLEANUP_FUNC(struct catalog_list *, catalog_list_free)
