/*
 * job.h: what all jobs have in common: where they report to, and what they report.
 *
 * A job is started with a sink, tells it of its progress while it runs, and ends with exactly one call of `done`, never
 * inside the start. Asking it to stop (backup_cancel, ...) only asks: it still ends with `done`, after it has put
 * things in order, with ERR_CANCELLED. Jobs are joined here and nowhere else from etcd, s3, seal and catalog.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/name.h"
#include "core.h"

struct job_progress {
    const char *phase; /* static: "connecting", "streaming", ... */
    uint64_t done;     /* bytes */
    uint64_t total;    /* bytes, 0 while unknown */
};

/* A finished backup. */
struct backup_result {
    char name[NAME_TEXT_MAX]; /* of the dump */
    int64_t instant;          /* seconds since the epoch */
    uint64_t snapshot_size;   /* bytes of plaintext, etcd's SHA-256 included */
    uint64_t stored_size;     /* bytes of the object */
    uint64_t elapsed_ms;
    uint64_t spooled;    /* bytes that waited on disk, sealed */
    uint64_t blocked_ms; /* time that etcd had to wait for S3 */
    bool encrypted;
    unsigned attempts;
    struct etcd_status member; /* that it was taken from, before the snapshot */
    int64_t revision_after;    /* the snapshot lies between member.revision and this; 0 if that could not be asked */
};

/* A finished restore to a file. */
struct restore_result {
    char name[NAME_TEXT_MAX];
    int64_t instant;
    uint64_t snapshot_size; /* bytes written */
    uint64_t elapsed_ms;
    char *output; /* path; owned by the job, valid during `done` */
    bool encrypted;
    bool hash_checked;
};

struct job_result {
    const struct backup_result *backup; /* or NULL */
    const struct restore_result *restore;
};

struct job_sink {
    void *ctx;
    void (*progress)(void *ctx, const struct job_progress *p);
    void (*note)(void *ctx, const char *text); /* one line for a person: a retry, a warning */
    void (*done)(void *ctx, const struct job_result *result, const struct err *err); /* exactly one is not NULL */
};
