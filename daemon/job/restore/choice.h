/*
 * choice.h: which backup of the bucket somebody means. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/list.h"

struct choice {
    bool latest;     /* or that of `instant` */
    int64_t instant; /* seconds since the epoch */
    /* A dump without a key whose size is that of a database without etcd's SHA-256 may be meant, too: whoever asks does
     * not insist on that. */
    bool unhashed_too;
    bool plain_too; /* of the latest: nor on encryption, so one that may be plain, by its size, may be meant */
};

/* The complete backup that is meant, also one in doubt, valid as long as the list; the latest is none that was verified
 * bad or lies in the future. Errors, for a person: ERR_NOT_FOUND
 * naming the nearest one, or that there is none in `bucket` (how to call the place); ERR_INTEGRITY when it is there
 * without its key, and of the latest, when all that are there lack theirs. */
const struct catalog_backup *choice_find(
        const struct choice *c, const struct catalog_list *list, const char *bucket, struct err *e);

/* What else there is beside a backup that turns out to be of no use: others that count, by their instant (seconds since
 * the epoch; 0: none). */
struct choice_others {
    int64_t nearest; /* in time */
    int64_t newest;  /* the least likely to be in an archive */
};

struct choice_others choice_others(const struct catalog_list *list, const struct catalog_backup *than);

/* Says at the end of an error that is of that one backup (it is damaged, gone, or in an archive) which other to ask for
 * and how. Leaves all other errors alone. */
void choice_advise(const struct choice_others *o, struct err *e);

/* A key without its dump that is newer than `than` (or that is NULL), or NULL: somebody has deleted the dump, or hidden
 * it (a delete marker, in a bucket with versions). That of a backup which is on its way is none. */
const struct catalog_backup *choice_newer_lone_key(const struct catalog_list *list, const struct catalog_backup *than);

/* That as one line, where `chosen` is read instead. */
void choice_tell_lone_key(
        const struct catalog_backup *lone, const struct catalog_backup *chosen, char *note, size_t size);

/* What is wrong with a backup whose key is missing, as far as its size says: "its key is missing", ...; or with one
 * that is passed over. */
const char *choice_fault(const struct catalog_backup *b);

/* The newest backup that cannot be read, because its key is missing, or that is passed over, if it is newer than `than`
 * or that is NULL; or NULL. */
const struct catalog_backup *choice_newer_unreadable(
        const struct catalog_list *list, const struct catalog_backup *than);
