/*
 * live.h: the keys that there are at a revision, in the order of their names.
 *
 * One pass over all changes fills a table of each key's newest one; those that are no deletions are then sorted where
 * they stand. Names and values stay in the file. Memory: 43 to 86 bytes for each key that the database knows, deleted
 * ones too if they are not compacted, and for the moments when it grows half as much again; so ten million keys take
 * 0.5 GiB, 0.75 for a moment. Who asks for the keys below a prefix pays for those alone.
 *
 * Places in the table come from a keyed hash whose key is drawn each time, so nobody can choose names that meet; two
 * names are the same when their bytes are.
 */
#pragma once

#include "keyspace/changes.h"

struct keyspace_live;

struct keyspace_live_spec {
    int64_t revision;    /* that keyspace_revision_choose chose */
    struct bytes prefix; /* of the names that are wanted; empty: all */
    uint64_t memory_max; /* bytes */
};

/* From the first change on. The file behind `changes` stays the caller's, who frees this first. Errors: ERR_INTEGRITY,
 * ERR_RESOURCE (more keys than fit into memory_max, or than there is memory for). */
struct keyspace_live *keyspace_live_new(
        struct keyspace_changes *changes, const struct keyspace_live_spec *spec, struct err *e);

size_t keyspace_live_count(const struct keyspace_live *l);

/* That of index i < count. */
struct key_value keyspace_live_at(const struct keyspace_live *l, size_t i);

/* Bytes that it took at most. */
uint64_t keyspace_live_memory(const struct keyspace_live *l);

/* NULL is fine. */
void keyspace_live_free(struct keyspace_live *l);
CLEANUP_FUNC(struct keyspace_live *, keyspace_live_free)
