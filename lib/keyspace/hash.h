/*
 * hash.h: HashKV, by which etcd's members compare their contents, computed from a file.
 *
 * Source: etcd, server/storage/mvcc/hash.go. A CRC-32C over the bucket's name, and all changes up to a revision that a
 * compaction keeps, as they are stored:
 *
 *     keep = each key's newest change up to the revision, unless it is a deletion
 *     left out are: changes behind the revision; those up to the compaction that are not in `keep`, unless that is
 * empty; a deletion exactly at the compaction, which newer releases keep and older ones do not
 *
 * All releases of etcd from 3.4 on give the same number for the same contents.
 *
 * Two passes over the bucket: the first one fills an index of the keys (index.h says what memory that takes), the
 * second one hashes. Both come in steps, so that it can be done beside other things, and be cancelled between them.
 */
#pragma once

#include "bolt/file.h"
#include "keyspace/facts.h"

struct keyspace_hash {
    uint32_t hash;            /* as etcdctl prints it */
    int64_t revision;         /* up to which */
    int64_t compact_revision; /* that it was computed with; -1: none */
    uint64_t keys;            /* that there are at that revision */
    uint64_t revisions;       /* changes that were read */
    uint64_t memory;          /* bytes that the index took */
};

struct keyspace_hasher;

/* `revision` 0 is the current one. The file stays the caller's, who frees the hasher first. Errors: ERR_RESOURCE,
 * ERR_INTEGRITY, ERR_NOT_FOUND (no keys of an etcd in it), ERR_CONFIG (no such revision, or not any more). */
struct keyspace_hasher *keyspace_hasher_new(
        const struct bolt_file *file, int64_t revision, uint64_t memory_max, struct err *e);

/* Reads on for about so many bytes: 1 if there is more, 0 if all is read. Errors: ERR_INTEGRITY, ERR_RESOURCE (more
 * keys than there is memory for). */
int keyspace_hasher_step(struct keyspace_hasher *h, uint64_t bytes, struct err *e);

/* After the last step. */
const struct keyspace_hash *keyspace_hasher_result(const struct keyspace_hasher *h);

/* NULL is fine. */
void keyspace_hasher_free(struct keyspace_hasher *h);
CLEANUP_FUNC(struct keyspace_hasher *, keyspace_hasher_free)
