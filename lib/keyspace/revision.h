/*
 * revision.h: the keys of etcd's bucket `key`: one for each change of a key.
 *
 * Source: etcd, server/storage/mvcc/revision.go. 17 bytes: the revision of the transaction, '_', and the number of the
 * change within it, both big-endian; an 18th, 't', says that the change is a deletion. So they are in the order in
 * which things happened.
 */
#pragma once

#include "base/bytes.h"

#define KEYSPACE_BUCKET "key"

struct revision {
    uint64_t main, sub; /* below 2^63 */
    bool is_tombstone;
};

/* Whether the key is one; then *r is set. */
bool revision_load(struct bytes key, struct revision *r);
