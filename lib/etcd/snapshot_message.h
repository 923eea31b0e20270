/*
 * snapshot_message.h: a SnapshotResponse whose blob is handed on as it comes in. Pure.
 *
 * A database goes by in such messages, and nearly all of each is the blob: so it is not gathered and not decoded, but
 * told from the rest by the tags in front of it (protobuf.dev, Encoding), wherever the message is cut. The rest, a few
 * bytes, is kept and then decoded as every other message is (messages.h).
 *
 *     etcd_snapshot_message_begin(m, len);
 *     for each piece: while ((rc = etcd_snapshot_message_next(m, &piece, &blob, e)) > 0) use blob
 *     etcd_snapshot_message_end(m, &told, e)
 *
 * Fields may come in any order, also unknown ones. What protobuf-c would not decode is refused here, too; and beside it
 * a second blob, of which it would take the later one, and a rest of more than ETCD_SNAPSHOT_REST_MAX bytes.
 */
#pragma once

#include <stdbool.h>

#include "etcd/messages.h"

enum { ETCD_SNAPSHOT_REST_MAX = 1024 };

struct etcd_snapshot_message {
    uint64_t blob_len; /* of the blob, as far as it has come */
    /* Nobody else's from here on. */
    size_t unread; /* bytes of the message that are still to come */
    uint64_t left; /* bytes of the value that is going by */
    uint64_t number;
    unsigned head_len, number_len;
    bool has_blob, in_blob;
    enum { ETCD_SNAPSHOT_TAG, ETCD_SNAPSHOT_VARINT, ETCD_SNAPSHOT_LENGTH } state;
    size_t rest_len;
    uint8_t head[20]; /* tag, and length or number */
    uint8_t rest[ETCD_SNAPSHOT_REST_MAX];
};

/* A message of `len` bytes begins. */
void etcd_snapshot_message_begin(struct etcd_snapshot_message *m, size_t len);

/*
 * Takes bytes of the message from the front of *piece. Returns 1 with some of the blob, which lie in the piece; 0 when
 * the piece is used up; -1 and ERR_PROTOCOL: then the message is worth nothing.
 */
int etcd_snapshot_message_next(struct etcd_snapshot_message *m, struct bytes *piece, struct bytes *blob, struct err *e);

/* All has been taken: what else it says. Errors: ERR_PROTOCOL, ERR_RESOURCE. */
int etcd_snapshot_message_end(const struct etcd_snapshot_message *m, struct etcd_messages_snapshot *out, struct err *e);
