/*
 * etcdutl.h: the program that makes a data directory of a snapshot: etcdutl, or etcdctl up to 3.5 with its API 3.
 *
 * Finds it, asks for its version, and reads in its own help what it is able to do, which is surer than what a version
 * promises: the same number may be patched by a distribution.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"

struct etcdutl;

struct etcdutl_spec {
    const char *tool; /* a path, a name to be looked for in PATH; NULL or "": etcdutl, else etcdctl, in PATH. Copied. */
    void *ctx;
    /* Once, never inside etcdutl_find. Errors: ERR_NOT_FOUND, ERR_CONFIG (fails, does not end, cannot restore). */
    void (*on_done)(void *ctx, const struct err *err);
};

/* Starts looking. The caller frees after on_done. Errors: ERR_RESOURCE, ERR_NOT_FOUND, ERR_CONFIG. */
struct etcdutl *etcdutl_find(uv_loop_t *loop, const struct etcdutl_spec *spec, struct err *e);

/* Asks it to end early: on_done follows, with ERR_CANCELLED. Only before on_done. */
void etcdutl_stop(struct etcdutl *u);

const char *etcdutl_path(const struct etcdutl *u);
const char *etcdutl_version(const struct etcdutl *u); /* as it says itself: "etcdutl version: 3.5.16" */

/* Whether it is of an older release (3.4 before 3.5) than etcd `version`; false if one of them is not known. */
bool etcdutl_is_older(const struct etcdutl *u, const char *version);

/*
 * Whether it is not too old for a snapshot of that version of etcd's storage ("3.6.0"; "" fits any). An older one may
 * well unpack it without a word; but the etcd of its release, which is the one to be started then, does not start on
 * such a storage from 3.6 on (server/storage/schema), and before that does not notice what it cannot read. Errors:
 * ERR_CONFIG, saying which it takes.
 */
int etcdutl_check_storage(const struct etcdutl *u, const char *storage_version, struct err *e);

/* Whether it knows --bump-revision and --mark-compacted (from 3.4.27 and 3.5.10 on). */
bool etcdutl_can_bump(const struct etcdutl *u);

/* After on_done. NULL is fine. */
void etcdutl_free(struct etcdutl *u);
