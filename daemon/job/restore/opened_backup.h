/*
 * opened_backup.h: a backup in the bucket, opened: how large its dump is, which version of it, the data key that opens
 * it, and what is to come out of it.
 *
 * HEAD of the dump, GET of its key, unwrapping, GETs of its first bytes and, if it is compressed, of its last
 * (frames.h). The name is that of a listing; after on_done the facts stay until opened_backup_free, which wipes the
 * key.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "catalog/list.h"
#include "core/core.h"
#include "job/bucket/dump_metadata.h"
#include "job/keys/brought_keys.h"
#include "s3/request.h"
#include "zstd/seek_table.h"

struct opened_backup;

struct opened_backup_spec {
    const struct catalog_backup *backup; /* complete, or it may be a plain one; copied */
    bool allow_renamed;                  /* its key may be bound to another instant */
    bool allow_plain;                    /* it may be plain though a master key is configured */
    const struct brought_keys *brought;  /* what opens one that is sealed, or NULL; borrowed until on_done */
    void *ctx;
    void (*on_note)(void *ctx, const char *text); /* one line: S3 is asked again, and why */
    /* Once unless freed, never inside opened_backup_open; err NULL when it is open. Errors begin with the dump's name:
     * ERR_INTEGRITY with KEY_FAULT_SEALED: it is sealed, vouched for, and nothing was brought that opens it; else
     * ERR_INTEGRITY (not encrypted though it should be, without its key, empty, cut off, key of another backup or
     * damaged, compressed and its end is wrong), ERR_CONFIG (master key), ERR_NOT_FOUND, those of requests. */
    void (*on_done)(void *ctx, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. Errors: those of core_s3, ERR_RESOURCE; with the name. */
struct opened_backup *opened_backup_open(struct core *core, const struct opened_backup_spec *spec, struct err *e);

const char *opened_backup_name(const struct opened_backup *s);
uint64_t opened_backup_size(const struct opened_backup *s); /* bytes of the dump */
const char *opened_backup_etag(const struct opened_backup *s);

/* The release of the member that it was made from, as its metadata say; "" if they do not. */
const char *opened_backup_etcd_version(const struct opened_backup *s);

/* Of etcd's storage format, "3.6.0", as their metadata say; "" if they do not, as before 3.6. */
const char *opened_backup_storage_version(const struct opened_backup *s);

/* HashKV of its contents, as its key's metadata say. */
const struct dump_hashkv *opened_backup_hashkv(const struct opened_backup *s);

/* The id of the etcd cluster that it is of, as its metadata say; 0 if they do not. */
uint64_t opened_backup_cluster(const struct opened_backup *s);

/* KEY_LEN bytes, borrowed; NULL for a plain dump. */
const struct secret *opened_backup_data_key(const struct opened_backup *s);

/* Where its frames lie; borrowed. NULL: it is not compressed. */
const struct seek_table *opened_backup_frames(const struct opened_backup *s);

/* Bytes of the snapshot that comes out of it. */
uint64_t opened_backup_snapshot_size(const struct opened_backup *s);

/* NULL is fine. */
void opened_backup_free(struct opened_backup *s);
