/*
 * database.h: a snapshot in a file, mapped to be looked at. Nothing of it is copied.
 *
 * A file that shrinks meanwhile, or cannot be read at some place, ends the program with a line that says so, and
 * CTL_INTEGRITY: a mapping has no other way to fail.
 *
 * The SHA-256 of a snapshot takes as long as an index of its keys: it is computed by a thread beside that. So what is
 * read in a database is told to nobody before database_prove has said that it is what etcd sent.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "keyspace/changes.h"

struct database {
    char *name; /* what it is called in messages; owned */
    void *mapped;
    size_t mapped_len;
    struct bolt_file file;
    struct keyspace_changes changes;
    int64_t revision; /* that is looked at */

    pthread_t hasher;
    bool is_hashing;     /* it is at work, or has not been waited for */
    atomic_bool is_over; /* nobody wants to know any more */
    struct err hash_err; /* what it found; kind ERR_NONE: nothing */
};

#define DATABASE_INIT ((struct database){.name = NULL})

/*
 * A snapshot on disk, to stay where it is until it is closed. The check of its SHA-256 begins, unless that is to be
 * skipped; then it may also be without, as a copy of a member's database is, and not the one that its etcd has open.
 * `revision` 0 is the current one. The caller closes, also after an error. Errors, with the path: ERR_NOT_FOUND,
 * ERR_CONFIG, ERR_INTEGRITY, ERR_RESOURCE.
 */
int database_open(struct database *d, const char *path, bool skip_hash_check, int64_t revision, struct err *e);

/* Waits for the check. Where it fails, that is the reason for whatever else was found. Errors: ERR_INTEGRITY. */
int database_prove(struct database *d, struct err *e);

/* The same as database_open of an open file that has been checked; `fd` stays the caller's. */
int database_map(struct database *d, int fd, const char *name, int64_t revision, struct err *e);

/* A closed one can be closed. */
void database_close(struct database *d);

#define _cleanup_database_ _cleanup_(database_close)
