/*
 * snapshot.h: Maintenance/Snapshot as a stream of whole chunks, pulled by the consumer.
 *
 * The messages' blobs are gathered into chunks of the size that the consumer asked for; the last may be shorter. The
 * 32-byte SHA-256 that etcd sends last belongs to the stream. The consumer pulls:
 *
 *     while there is room further down and etcd_snapshot_peek has a chunk: use it, etcd_snapshot_consume
 *
 * and on_readable says when to look again. Chunks that are not consumed close HTTP/2's window: that is the
 * back-pressure. At most window / chunk + 2 chunks are in memory.
 *
 * Complete means (facts of rpc.proto and the server): all bytes announced by the first message arrived, then a blob of
 * exactly 32 bytes with remaining_bytes 0, and grpc-status 0. Everything else is a failure: more or fewer bytes,
 * remaining_bytes that does not fall as blobs arrive, messages without bytes that never end, a status that is not 0,
 * and `request_timeout_ms` without blob bytes while the window is open, which is also the time for the first of them.
 * The trailer is found by count, not by its looks. Whether the SHA-256 is right is not judged here (seal/digest.h).
 */
#pragma once

#include "base/bytes.h"
#include "etcd/client.h"

struct etcd_snapshot_spec {
    size_t chunk; /* bytes, >= 32 KiB */
    void *ctx;
    /* The first message: bytes that the stream will have in all, the SHA-256 included; > 32. Once, before on_readable.
     */
    void (*on_begin)(void *ctx, uint64_t total);
    /* There is a chunk, where there was none. Not called again until all that were there have been consumed. */
    void (*on_readable)(void *ctx);
    /* The stream ended as it should: after the last chunk has been consumed or while it waits to be. Once. */
    void (*on_end)(void *ctx);
    /* It failed; once; instead of on_end. Chunks not yet consumed are worthless. ERR_TRANSIENT, ERR_AUTH, ERR_PROTOCOL,
     * ERR_INTEGRITY (all bytes and no trailer, or the like), ERR_RESOURCE. */
    void (*on_failed)(void *ctx, const struct err *err);
};

struct etcd_snapshot;

/* Starts one on a session that is ready; one at a time. Errors: ERR_RESOURCE, ERR_TRANSIENT, ERR_BUSY. */
struct etcd_snapshot *etcd_snapshot_start(struct etcd_session *s, const struct etcd_snapshot_spec *spec, struct err *e);

/* The version of the storage's format that the first message named, "3.6.0": a server of an older minor does not open
 * it.
 * "" from servers before 3.6, which do not tell, and before on_begin. */
const char *etcd_snapshot_storage_version(const struct etcd_snapshot *s);

/*
 * The oldest chunk not consumed, or an empty one when there is none yet. `last` (may be NULL): it ends the stream. Its
 * memory stays where it is until etcd_snapshot_consume, also while others arrive, and another thread may read it.
 */
struct bytes etcd_snapshot_peek(const struct etcd_snapshot *s, bool *last);

/* The oldest chunk has been used; its bytes are credited to the server. */
void etcd_snapshot_consume(struct etcd_snapshot *s);

/* Ends it: RST_STREAM(CANCEL) unless the stream has ended, which frees the server's read transaction at once. Never
 * calls back. NULL is fine. No chunk may be in use by another thread. */
void etcd_snapshot_free(struct etcd_snapshot *s);
