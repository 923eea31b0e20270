/*
 * dump_metadata.h: what the metadata of a dump say of how it is stored. Pure.
 *
 * A size alone cannot always tell a plain dump from an encrypted one whose key is missing (catalog/list.h); what we
 * wrote says it. The Go tool writes no metadata. Whoever can write to the bucket can write these, too: they are good
 * for the words of an answer, and accept nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "s3/request.h"

enum dump_encryption { DUMP_UNKNOWN, DUMP_PLAIN, DUMP_ENCRYPTED };

#define DUMP_ENCRYPTION        "encryption" /* the name; its values: */
#define DUMP_ENCRYPTION_NONE   "none"
#define DUMP_ENCRYPTION_STREAM "xchacha20poly1305-stream2"

/* Of a compressed dump alone, and of its key. */
#define DUMP_COMPRESSION      "compression" /* its value: */
#define DUMP_COMPRESSION_ZSTD "zstd"
#define DUMP_SNAPSHOT_SIZE    "snapshot-size" /* bytes, decimal */

/* bolt_structure_name of the database, as it went by; at the key. Not of a damaged one: that, the mark beside the dump
 * says alone, since a verification may find otherwise and take it away. */
#define DUMP_STRUCTURE "structure"

/* Of a sound one, at the key. */
#define DUMP_REVISION  "etcd-snapshot-revision" /* of its last change */
#define DUMP_COMPACT   "etcd-compact-revision"  /* not there: never compacted */
#define DUMP_REVISIONS "etcd-revisions"         /* changes that are kept */

/* HashKV, as the member said that the snapshot is of; at the key, all three or none. */
#define DUMP_HASHKV          "hashkv"                  /* decimal, as etcdctl prints it */
#define DUMP_HASHKV_REVISION "hashkv-revision"         /* up to which */
#define DUMP_HASHKV_COMPACT  "hashkv-compact-revision" /* that it was computed with; -1: never compacted */

/* How many keys there were at DUMP_REVISION, as the same member said; with HashKV or not at all. */
#define DUMP_KEYS "etcd-keys"

#define DUMP_CLUSTER "etcd-cluster-id" /* hexadecimal */
#define DUMP_STORAGE "storage-version" /* of etcd's storage format, "3.6.0"; before 3.6 there is none */

/* Of an answer to HEAD or GET. The value called `name`, valid as long as the answer; "": there is none. */
const char *dump_metadata_text(const struct s3_response *res, const char *name);

/* Of an answer to HEAD or GET. 0: they do not say it. */
uint64_t dump_metadata_cluster(const struct s3_response *res);

/* Bytes of the snapshot in a compressed dump, of an answer to HEAD or GET of it or of its key. 0: it is not compressed,
 * or they do not say it. */
uint64_t dump_metadata_snapshot_size(const struct s3_response *res);

struct dump_hashkv {
    bool is_known;
    uint32_t hash;
    int64_t revision, compact_revision;
};

/* Of an answer to HEAD or GET of the key. What is not all there and well-formed is not known. */
struct dump_hashkv dump_metadata_hashkv(const struct s3_response *res);

/* DUMP_KEYS of an answer to HEAD or GET of the key; whether it is known. */
bool dump_metadata_keys(const struct s3_response *res, uint64_t *keys);

/* Of an answer to HEAD or GET. */
enum dump_encryption dump_metadata_encryption(const struct s3_response *res);
