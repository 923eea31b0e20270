/*
 * unpack.h: etcdutl makes a data directory of a snapshot, in a scratch directory; then it is put into place, or asked
 * what it holds and thrown away.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/cleanup.h"
#include "job/objections.h"
#include "job/restore/data_dir.h"
#include "job/restore/etcdutl.h"
#include "job/restore/output_file.h"

/* What etcdutl is told; its own defaults are not relied on. Strings may be NULL or "": then the option is left out. */
struct unpack_options {
    char *data_dir; /* absolute; of a restore */
    char *wal_dir;
    char *tool; /* as in etcdutl.h */
    char *name;
    char *initial_cluster;
    char *initial_cluster_token;
    char *initial_advertise_peer_urls;
    char *owner;            /* as in data_dir.h */
    uint64_t bump_revision; /* 0: not */
    bool mark_compacted;
    bool skip_hash_check;
};

/* A deep copy into *to. Errors: ERR_RESOURCE. */
int unpack_options_copy(struct unpack_options *to, const struct unpack_options *from, struct err *e);
void unpack_options_clear(struct unpack_options *o);

/* Adds what is wrong with the options themselves. */
void unpack_options_check(const struct unpack_options *o, struct objections *found);

/* Bytes that etcdutl writes into the data directory beside the database, and into the directory of the log: two
 * segments of 64 MiB are allocated at once (etcd, server/wal/wal.go: SegmentSizeBytes; file_pipeline.go). */
#define UNPACK_LOG_BYTES (UINT64_C(128) << 20)

struct unpack;

/* What is in a database: etcdutl snapshot status. */
struct unpack_status {
    int64_t revision;
    bool counts_keys; /* an etcdutl from 3.6 on counts the keys that are there; an older one the entries of all buckets:
                       * each revision and deletion, members and users, and what etcd notes for itself */
    uint64_t count;
};

struct unpack_spec {
    const struct etcdutl *tool;           /* borrowed, like all here */
    const struct output_file *snapshot;   /* transient, written */
    const struct unpack_options *options; /* data_dir and wal_dir are those of the places */
    struct data_dir *data;                /* open */
    struct data_dir *wal;                 /* open, or NULL */
    bool drill;                           /* look into it instead of putting it into place */
    void *ctx;
    void (*on_line)(void *ctx, const char *line); /* what the tool says */
    /* Once, never inside the start; frees itself before. `status` when it was a drill. On an error nothing is in place,
     * unless data_dir_is_in_place says so. */
    void (*on_done)(void *ctx, const struct unpack_status *status, const struct err *err);
};

/* Starts. Errors: those of program_start. */
struct unpack *unpack_start(uv_loop_t *loop, const struct unpack_spec *spec, struct err *e);

/* Asks it to stop: on_done follows with ERR_CANCELLED, or with success if it was too late. */
void unpack_cancel(struct unpack *u);
