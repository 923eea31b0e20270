/*
 * changes.h: the changes that a database keeps, one after the other, as they happened; and what becomes of one key.
 *
 * Each is checked before it is handed out: its key must be a revision, its value a KeyValue of that same revision. The
 * name that a restore with a bumped revision leaves behind is the empty one (facts.h), which etcd takes from nobody:
 * whoever shows keys to people leaves it out.
 */
#pragma once

#include "bolt/file.h"
#include "keyspace/facts.h"
#include "keyspace/key_value.h"
#include "keyspace/revision.h"

struct keyspace_change {
    struct revision revision;
    struct key_value kv; /* within the file */
};

/* Whether an entry of the bucket `key` is one: 0 and *change is set, or -1 with ERR_INTEGRITY that names the page. */
int keyspace_change_read(const struct bolt_entry *entry, struct keyspace_change *change, struct err *e);

struct keyspace_changes {
    struct keyspace_facts facts;
    struct bolt_bucket keys;
    struct bolt_cursor cursor;
};

/* In front of the first change. The file is borrowed. Errors: ERR_INTEGRITY, ERR_NOT_FOUND (no database of etcd). */
int keyspace_changes_open(struct keyspace_changes *c, const struct bolt_file *file, struct err *e);

/* Again in front of the first. Errors: ERR_INTEGRITY. */
int keyspace_changes_rewind(struct keyspace_changes *c, struct err *e);

/* The next one: 1, or 0 behind the last, or -1 with ERR_INTEGRITY; then only a rewind goes on. */
int keyspace_changes_next(struct keyspace_changes *c, struct keyspace_change *change, struct err *e);

/* Which revision is meant: 0 is the current one. Errors: ERR_CONFIG: it is not there yet, or not any more. */
int keyspace_revision_choose(const struct keyspace_facts *facts, int64_t asked, int64_t *revision, struct err *e);

/* What is known of one key at a revision. */
struct keyspace_found {
    bool is_live;
    struct key_value kv;   /* then; within the file */
    int64_t deleted;       /* else, if its deletion is still known: when; 0: not */
    int64_t last_revision; /* then: of the last value before that, if it is still there; 0: not */
};

/* Reads all changes up to the revision. Errors: ERR_INTEGRITY. */
int keyspace_find(
        struct keyspace_changes *c, struct bytes key, int64_t revision, struct keyspace_found *found, struct err *e);
