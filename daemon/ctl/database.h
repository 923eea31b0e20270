/*
 * database.h: a snapshot in a file, mapped to be looked at. Nothing of it is copied.
 *
 * A file that shrinks meanwhile, or cannot be read at some place, ends the program with a line that says so, and
 * CTL_INTEGRITY: a mapping has no other way to fail.
 */
#pragma once

#include "base/cleanup.h"
#include "keyspace/changes.h"

struct database {
    char *name; /* what it is called in messages; owned */
    void *mapped;
    size_t mapped_len;
    struct bolt_file file;
    struct keyspace_changes changes;
    int64_t revision; /* that is looked at */
};

#define DATABASE_INIT ((struct database){.name = NULL})

/*
 * A snapshot on disk. Its SHA-256 is checked first, unless that is to be skipped; then it may also be without, as a
 * copy of a member's database is. `revision` 0 is the current one. The caller closes, also after an error. Errors, with
 * the path: ERR_NOT_FOUND, ERR_CONFIG, ERR_INTEGRITY, ERR_RESOURCE.
 */
int database_open(struct database *d, const char *path, bool skip_hash_check, int64_t revision, struct err *e);

/* The same of an open file that has been checked; `fd` stays the caller's. */
int database_map(struct database *d, int fd, const char *name, int64_t revision, struct err *e);

/* A closed one can be closed. */
void database_close(struct database *d);

#define _cleanup_database_ _cleanup_(database_close)
