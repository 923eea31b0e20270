/*
 * key_object.h: the wrapped data key beside a dump, put without ever touching somebody else's.
 *
 * Two daemons that begin a backup in the same second choose the same names. The key is therefore put only where there
 * is none (If-None-Match: *); an existing one that is not ours to the byte means that the name is taken, and the
 * attempt is transient: the next has another time stamp. A store that does not know the condition (501) is asked first
 * with a HEAD.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "etcd/compare.h"
#include "keyspace/facts.h"
#include "s3/request.h"
#include "seal/sealed_key.h"

struct key_object;

struct key_object_spec {
    const char *dump;            /* name of the dump; the key's name is derived from it; copied */
    struct bytes wrapped;        /* or sealed: at most SEALED_KEY_MAX bytes; copied */
    uint64_t cluster;            /* of etcd; 0: not known */
    uint64_t snapshot_size;      /* bytes, of a compressed dump; else 0 */
    const char *etcd_version;    /* as metadata, like the next three; copied */
    const char *storage_version; /* "": not known */
    int64_t revision_before;     /* 0: unknown */
    int64_t revision_after;
    const struct keyspace_facts *facts;        /* of the database; copied */
    struct s3_lock lock;                       /* or none */
    const struct etcd_compare_result *members; /* read until the start returns */
    void *ctx;
    void (*on_retry)(void *ctx, const struct s3_retry *retry); /* the store is away, and is waited for; or NULL */
    void (*on_stored)(void *ctx, const struct err *err);       /* once, never inside the start */
};

/* Starts storing it. `s3` NULL passes on the error that is in *e. The caller frees. Errors: ERR_RESOURCE. */
struct key_object *key_object_store(struct s3_client *s3, const struct key_object_spec *spec, struct err *e);

/* Looks at it again, after it was stored and the dump is visible. `found` is empty: it is what was stored; else other
 * bytes lie there, valid during the call; or err: what was not seen. Once, never inside the start. Errors: those of
 * s3_get. */
int key_object_check(struct key_object *k, void *ctx,
        void (*on_checked)(void *ctx, struct bytes found, const struct err *err), struct err *e);

/* Somebody waits for the end: what runs has no patience any more. */
void key_object_hurry(struct key_object *k);

/*
 * Takes it back after a failure, if it was stored by us for sure. Only for a caller who knows that the dump is not
 * there and will not be, because no commit was ever sent: a dump without its key must never exist. Best effort;
 * `on_removed` comes once, and `on_stored` no more: a put on its way is waited for, but not its store. Returns false
 * when there is nothing to take back: then there is no callback.
 */
bool key_object_remove(struct key_object *k, void *ctx, void (*on_removed)(void *ctx));

/* Cancels what runs. NULL is fine. */
void key_object_free(struct key_object *k);
