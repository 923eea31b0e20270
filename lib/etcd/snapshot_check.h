/*
 * snapshot_check.h: whether a stream of SnapshotResponse is a whole snapshot. Pure.
 *
 * The server (etcd, server/etcdserver/api/v3rpc/maintenance.go, Snapshot) sends the database in blobs; with each it
 * says how much of the database is still to come, so the first message tells the size of all:
 *
 *     size = len(blob) + remaining_bytes
 *
 * and after the last byte of it comes one more message, a blob of 32 bytes with remaining_bytes 0. That trailer can be
 * told by count alone: the last piece of the database has remaining_bytes 0 as well, and may have 32 bytes. At the end
 * the status must be OK.
 *
 * A server whose own read ends early sends empty messages for ever, with remaining_bytes constant (etcd #22125); a few
 * in a row are bounded here, and the clock of who feeds us does the rest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { ETCD_SNAPSHOT_TRAILER = 32, ETCD_SNAPSHOT_EMPTY_MAX = 100 };

struct etcd_snapshot_check {
    uint64_t total;   /* bytes of the whole stream with its trailer; 0 before the first message */
    uint64_t arrived; /* bytes, likewise */
    unsigned empty;   /* messages without bytes in a row */
};

/* The next message: the length of its blob, and its remaining_bytes. Errors: ERR_PROTOCOL; ERR_INTEGRITY (the trailer
 * is not one). After an error the check is worth nothing. */
int etcd_snapshot_check_message(struct etcd_snapshot_check *c, uint64_t blob_len, uint64_t remaining, struct err *e);

/* Whether all bytes have arrived, the trailer among them. */
bool etcd_snapshot_check_is_whole(const struct etcd_snapshot_check *c);

/* The stream has ended with status OK. Errors: ERR_INTEGRITY, saying what is missing. */
int etcd_snapshot_check_end(const struct etcd_snapshot_check *c, struct err *e);
