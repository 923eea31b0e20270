/*
 * inventory.h: the backups in the bucket with what their objects' metadata says of them.
 *
 * A listing, then a GET of the key (or a HEAD of a plain dump) for each of the newest INVENTORY_DETAILED backups,
 * several at a time: of a bucket with thousands nobody waits for all. The key says which master key opens it; a dump
 * without one, whether it should have one, where the size alone leaves that open. What is
 * missing or cannot be read is only unknown. Whose cluster a backup is of is asked of both, and of what is known
 * already; those of others are in doubt (catalog/clusters.h).
 */
#pragma once

#include "catalog/list.h"
#include "core/core.h"
#include "job/bucket/dump_metadata.h"

struct inventory;

enum { INVENTORY_DETAILED = 100 };

struct inventory_entry {
    const struct catalog_backup *backup;
    uint64_t snapshot_size;      /* bytes, of a compressed one as its metadata say; 0 if not known */
    const char *etcd_version;    /* "" if not known */
    const char *storage_version; /* "" if not known; etcd has one since 3.6 */
    int64_t revision_before;     /* the snapshot lies between the two; 0 if not known */
    int64_t revision_after;
    int64_t revision;         /* of the database's last change, by the key's metadata as the next three; 0: not known */
    int64_t compact_revision; /* -1: never compacted; 0 if not known */
    uint64_t revisions;       /* changes that are kept */
    struct dump_hashkv hashkv;
    bool has_keys; /* how many there were is recorded; then: */
    uint64_t keys;
    const char *key; /* fingerprint of the master key that opens it; "none": none configured does; "": not looked at */
    const char *sealed_to; /* to whom, as it says itself (seal/sealed_key.h); `key` then vouches; "": it is not, or not
                              known */
    bool key_is_missing;   /* by the dump's own metadata where they say it, else by the listing */
};

struct inventory_spec {
    void *ctx;
    void (*on_note)(void *ctx, const char *text);      /* one line: S3 is asked again, and why */
    void (*on_done)(void *ctx, const struct err *err); /* once unless freed; err NULL: all is there */
};

/* Starts. The core must be acquired. The caller frees. Errors: those of listing_start. */
struct inventory *inventory_start(struct core *core, const struct inventory_spec *spec, struct err *e);

/* After on_done: the i-th, newest first, lone keys left out; false past the last. Valid until inventory_free. */
bool inventory_next(struct inventory *v, struct inventory_entry *out);

/* Cancels if it still runs. NULL is fine. */
void inventory_free(struct inventory *v);
