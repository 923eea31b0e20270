/*
 * facts.h: what a database says of itself, without a look at each key.
 *
 * Source: etcd, server/storage/schema/{meta,cindex,confstate}.go and server/storage/mvcc/kvstore.go (restore).
 */
#pragma once

#include "bolt/file.h"
#include "bolt/stream.h"

enum { STORAGE_VERSION_MAX = 32 };

struct keyspace_facts {
    /* Of one that went by; of a file BOLT_NOT_INSPECTED: */
    enum bolt_structure structure;
    char why[BOLT_WHY_MAX]; /* it is not sound: "page 17: its keys are not in order"; else "" */
    uint64_t free_bytes;    /* that a defragmentation would give back; of a sound one */

    bool has_keys;                     /* it is etcd's: the bucket of keys is there */
    uint64_t revisions;                /* changes that are kept: entries of that bucket */
    int64_t current;                   /* the revision of the last transaction; 1 in an empty etcd */
    int64_t compacted;                 /* up to which changes were forgotten, or are about to be; -1: never */
    char storage[STORAGE_VERSION_MAX]; /* "3.6.0" where it is written down, which 3.6 began; else "3.5" or "3.4" by what
                                          is there, "" if that is not known */
};

/* Of a database that went by; of one that is not sound the rest is nothing. What is in a bucket of its own pages, as
 * `meta` never is in etcd, is not known. */
void keyspace_facts_of_report(struct keyspace_facts *facts, const struct bolt_report *report);

/* Of a file, whose changes are not counted: that takes a pass over all of them. Errors: ERR_INTEGRITY. */
int keyspace_facts_of_file(struct keyspace_facts *facts, const struct bolt_file *file, struct err *e);
