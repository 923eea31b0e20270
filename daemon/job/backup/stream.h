/*
 * stream.h: the bytes of a snapshot, from etcd through digest, survey, compression and seal into the upload.
 *
 *     etcd => seal_worker (digest, survey, compress, seal) => upload
 *
 * One chunk at a time, whenever the upload has room for what it becomes: what is not taken closes etcd's window. What
 * is to look at the bytes as they pass, or to change them, stands here.
 *
 * etcd holds a read transaction open from the start to the end, or until it is stopped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/secret.h"
#include "etcd/client.h"
#include "keyspace/facts.h"
#include "s3/upload.h"

struct stream;

struct stream_spec {
    uv_loop_t *loop;
    const struct secret *data_key; /* copied; NULL: not encrypted */
    int compression_level;         /* 0: not compressed */
    void *ctx;
    /* The first message: how large the snapshot is, and the object; of what is compressed at most. The callee gives it
     * the upload (stream_into), or stops it. */
    void (*on_begin)(void *ctx, uint64_t snapshot_size, uint64_t object_size);
    void (*on_written)(void *ctx); /* all is in the upload, which has been ended; before or after on_end; once */
    void (*on_end)(void *ctx);     /* etcd says that this was all (snapshot.h); once */
    /* Once; nothing but on_stopped comes after it. */
    void (*on_failed)(void *ctx, const struct err *err, bool is_of_etcd);
    void (*on_stopped)(void *ctx); /* after a stream_stop that had to wait */
};

/* Begins nothing yet. The caller frees. Errors: ERR_RESOURCE. */
struct stream *stream_new(const struct stream_spec *spec, struct err *e);

/* Asks for a snapshot; the session is ready and outlives the stream, or its stop. Errors of etcd_snapshot_start; they
 * are of etcd. */
int stream_start(struct stream *s, struct etcd_session *session, struct err *e);

/* The version of the storage's format, after on_begin: as etcd_snapshot_storage_version. */
const char *stream_storage_version(const struct stream *s);

/* The upload of the object; borrowed, until it is stopped or all is written. */
void stream_into(struct stream *s, struct s3_upload *upload);

/* The upload has room (its on_room). */
void stream_go_on(struct stream *s);

/* Bytes of the snapshot that have gone through into the upload. */
uint64_t stream_taken(const struct stream *s);

/* For how long etcd's read transaction was open, or has been, ms. */
uint64_t stream_read_ms(const struct stream *s);

/* After on_written and on_end: whether the SHA-256 that etcd sent is that of the bytes. Errors: ERR_INTEGRITY. */
int stream_verdict(struct stream *s, struct err *e);

/* After that: what the database that went by is, and holds. */
struct keyspace_facts stream_facts(const struct stream *s);

/* Ends it, and etcd's transaction, as soon as no thread works on a chunk. True: it has ended; false: on_stopped
 * follows. Nothing else comes. */
bool stream_stop(struct stream *s);

/* Not while a stop has to wait; it is stopped, or has been written. NULL is fine. */
void stream_free(struct stream *s);
