/*
 * evidence.h: what prune must have seen before it decides: whether backups open, and which cluster they are of.
 *
 * Each backup that would count has its key tried: the newest KEY_CHECK_MAX each time, the others once in the life of
 * the daemon (core/known.h). Of each dump that would go by what is known so far, and of the newest ORIGIN_MAX, the
 * metadata are asked for, which say whose they are; of all, once one is of another cluster. What speaks against a
 * backup is put into the list (catalog_list_doubt), where it can only keep more from going: who does not count
 * displaces nothing.
 */
#pragma once

#include "catalog/retain.h"
#include "core/core.h"

struct evidence;

enum { ORIGIN_MAX = 100 };

struct evidence_spec {
    struct catalog_list *list; /* borrowed until freed */
    struct retain_policy policy;
    bool allow_other_keys; /* backups that no configured master key opens are no reason to refuse */
    void *ctx;
    void (*on_note)(void *ctx, const char *note);
    /* Once unless freed, not inside the start; it may free. err: nothing may be decided by it. */
    void (*on_done)(void *ctx, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. NULL with e->kind ERR_NONE: there is nothing to look at. Errors:
 * ERR_RESOURCE, and those of key_check_start. */
struct evidence *evidence_start(struct core *core, const struct evidence_spec *spec, struct err *e);

/* Cancels what runs. NULL is fine. */
void evidence_free(struct evidence *v);
