/*
 * source.h: a backup in the bucket, opened: how large its dump is, which version of it, and the data key that opens it.
 *
 * HEAD of the dump, GET of its key, unwrapping. The name is that of a listing; after on_done the facts stay until
 * source_free, which wipes the key.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "catalog/list.h"
#include "core.h"
#include "s3/request.h"

struct source;

struct source_spec {
    const struct catalog_backup *backup; /* complete, or it may be a plain one; copied */
    bool allow_renamed;                  /* its key may be bound to another instant */
    bool allow_plain;                    /* it may be plain though a master key is configured */
    void *ctx;
    void (*on_note)(void *ctx, const char *text); /* one line: S3 is asked again, and why */
    /* Once unless freed, never inside source_open; err NULL when it is open. Errors begin with the dump's name:
     * ERR_INTEGRITY (not encrypted though it should be, without its key, empty, cut off, key of another backup or
     * damaged), ERR_CONFIG (master
     * key), ERR_NOT_FOUND, those of requests. */
    void (*on_done)(void *ctx, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. Errors: those of core_s3, ERR_RESOURCE; with the name. */
struct source *source_open(struct core *core, const struct source_spec *spec, struct err *e);

const char *source_name(const struct source *s);
uint64_t source_size(const struct source *s); /* bytes of the dump */
const char *source_etag(const struct source *s);

/* KEY_LEN bytes, borrowed; NULL for a plain dump. */
const struct secret *source_data_key(const struct source *s);

/* Bytes of the snapshot that comes out of it. */
uint64_t source_snapshot_size(const struct source *s);

/* NULL is fine. */
void source_free(struct source *s);
