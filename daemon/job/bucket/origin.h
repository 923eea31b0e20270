/*
 * origin.h: which etcd cluster the newest backup is of, beside one that is left out.
 *
 * Two clusters that share prefix and master key by mistake see each other's backups as their own; whoever makes, reads
 * or restores one compares. One HEAD of a dump, none where it is known (core/known.h). It is for words alone: where it
 * cannot be found out there is nothing to say, and that a backup is of another cluster refuses nothing, since after a
 * restore the cluster has another id than before.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "catalog/list.h"
#include "core/core.h"

struct origin;

struct origin_spec {
    const struct catalog_list *list; /* both borrowed until the start returns */
    const char *but;                 /* the dump that is left out, by its name */
    void *ctx;
    /* Once unless freed, not inside the start: the dump that was looked at, and the id of its cluster; 0: not known. */
    void (*on_done)(void *ctx, const char *name, uint64_t cluster);
};

/* Starts. The core must be acquired. The caller frees. NULL when there is no such backup, or it cannot be looked at. */
struct origin *origin_start(struct core *core, const struct origin_spec *spec);

enum { ORIGIN_NOTE_MAX = 1024 };

/* Whose a backup is. */
struct origin_of {
    const char *name;
    uint64_t cluster; /* 0: not known */
};

/* Whether `read` is of another cluster than the backups that this daemon makes, or than `other`, the newest beside it,
 * and then one line for a person. */
bool origin_differs(const struct core *core, const struct origin_of *read, const struct origin_of *other,
        char note[ORIGIN_NOTE_MAX]);

/* Cancels if it still runs. NULL is fine. */
void origin_free(struct origin *o);
