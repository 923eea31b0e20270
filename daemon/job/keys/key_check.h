/*
 * key_check.h: whether the master keys that the configuration names open the backups that are there.
 *
 * Someone who puts another file in the key's place changes nothing that anybody sees: new backups are made and can be
 * read, and the old ones cannot. So before a scheduled backup, and before anything is pruned, the keys of the newest
 * KEY_CHECK_MAX encrypted backups, the oldest of all among them, are tried. What was rotated away is found here, too: a
 * master key whose own mark says that it was replaced (key_mark) must not wrap another backup.
 *
 * A rotation marks every key that it finds, and takes earlier marks along, so the mark is at each backup from before
 * it, and at none of those made since: as long as there is one, the oldest have it. Who only asks that need not look at
 * those in the middle. The oldest are also what a prune may be taking away meanwhile, hence several.
 *
 * Of a backup that is sealed to people no key opens anything: there it counts that one vouches for it.
 *
 * Each key is remembered (core/known.h). One that the store does not hand out says nothing of the others, unless none
 * is handed out: then it could not be found out.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "catalog/list.h"
#include "core/core.h"
#include "seal/key.h"

struct key_check;

enum { KEY_CHECK_MAX = 100, KEY_CHECK_END = 8 };

struct key_check_result {
    struct err trouble; /* a backup that the configured keys do not open; kind ERR_NONE: there is none */
    unsigned unopened;  /* so many of those looked at */
    unsigned other;     /* of them as if wrapped by another master key; the rest is damaged, or was renamed */
    unsigned looked_at;
    unsigned not_looked_at;      /* encrypted backups beyond those */
    size_t which[KEY_CHECK_MAX]; /* the unopened ones, as they are numbered in the list */
    unsigned gone;               /* keys that are listed, and that the store has not: lost, or pruned meanwhile */
    size_t which_gone[KEY_CHECK_MAX];
    unsigned unreadable; /* keys that the store does not hand out: archived, or forbidden; others it does */
    size_t which_unreadable[KEY_CHECK_MAX];
    struct err why_unreadable; /* of the first of them, with its name */
    unsigned current;          /* of those looked at, opened by the key in use */
    bool is_rotated_away; /* the configured key is one that was replaced: `trouble` says so, and no backup may use it */
    char rotated_away[KEY_FINGERPRINT_MAX]; /* its fingerprint; the file may hold another by now */
    bool needs_previous;                    /* a backup is opened by a previous key alone: rotate-key is not done */
};

struct key_check_spec {
    const struct catalog_list *list; /* borrowed until the start returns */
    bool only_ends;                  /* the newest KEY_CHECK_END and the oldest KEY_CHECK_END alone */
    /* Not NULL: one for each of the list; instead, the newest KEY_CHECK_MAX that count and have not been seen, which
     * have after the start. So a check after the other looks at all. */
    bool *seen;
    void *ctx;
    /* Once unless freed, never inside the start. err: it could not be found out; else result. */
    void (*on_done)(void *ctx, const struct key_check_result *result, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. NULL with e->kind ERR_NONE: there is nothing to check. Errors:
 * those of keyring_new and core_s3, ERR_RESOURCE. */
struct key_check *key_check_start(struct core *core, const struct key_check_spec *spec, struct err *e);

/* What speaks against backups of the list that was looked at. */
void key_check_doubt(const struct key_check_result *r, struct catalog_list *list);

/* In which words it is told, whoever tells it: ERR_CONFIG. `fingerprint` is that of the key in use, `name` that of the
 * key's object with the mark, or NULL. */
void key_check_set_rotated_away(struct err *e, const char *fingerprint, const char *name);

/* Whether these are the words. */
bool key_check_is_rotated_away(const struct err *e);

/* Cancels if it still runs. NULL is fine. */
void key_check_free(struct key_check *k);
