/*
 * file.h: a bbolt file that is there, in memory or mapped, is read in the order of keys.
 *
 * Nothing of it is believed: each page is judged (page.h) when a cursor comes to it, must begin with the key that its
 * parent says, and no cursor passes more pages than the file has, those counted that belong to another. So whatever the
 * bytes are, a pass ends, hands out no more bytes than the file has, and gives either all entries of a bucket in
 * ascending order or an error that names the page. What no cursor comes to is not looked at: for that there is
 * stream.h.
 *
 * The bytes must not change or vanish meanwhile: map what has no name any more, or is nobody else's. Nothing is copied:
 * keys and values lie in the file, and there are no allocations.
 */
#pragma once

#include "base/bytes.h"
#include "bolt/meta.h"
#include "bolt/page.h"

struct bolt_file {
    struct bytes bytes;
    struct bolt_meta meta; /* that of the latest transaction */
};

/*
 * Reads the metas. `bytes` is the file, with etcd's SHA-256 behind it or without, and must stay as long as *f is used.
 * A file may be longer than its meta says, as a server's is. Errors: ERR_INTEGRITY (no sound meta, or cut), ERR_CONFIG
 * (a page size or a version that this reader does not know).
 */
int bolt_file_open(struct bolt_file *f, struct bytes bytes, struct err *e);

/* A tree, or the page of an inline bucket. */
struct bolt_bucket {
    const struct bolt_file *file;
    uint64_t root;        /* 0: inline */
    struct bytes content; /* then the value that it is in */
};

/* The bucket of buckets. */
struct bolt_bucket bolt_file_root(const struct bolt_file *f);

/* The bucket of that name within another. Whether it is there: 1, 0, or -1 with ERR_INTEGRITY. */
int bolt_bucket_find(const struct bolt_bucket *in, const char *name, struct bolt_bucket *found, struct err *e);

/* A place in a bucket. Made by bolt_cursor_start; owns nothing. */
struct bolt_cursor {
    const struct bolt_file *file;
    uint64_t pages_left; /* that may still be entered */
    size_t depth;
    struct {
        uint64_t number;
        size_t i; /* the element that is next */
        struct bolt_page page;
    } levels[BOLT_DEPTH_MAX];
    struct bytes before; /* the key before */
};

struct bolt_entry {
    struct bytes key, value;
    bool is_bucket;
    uint64_t page; /* for messages; 0 in an inline bucket */
};

/* In front of the first entry. Errors: ERR_INTEGRITY. */
int bolt_cursor_start(struct bolt_cursor *c, const struct bolt_bucket *bucket, struct err *e);

/* The last key of a bucket: 1, or 0 if it is empty, or -1 with ERR_INTEGRITY. */
int bolt_bucket_last(const struct bolt_bucket *bucket, struct bytes *key, struct err *e);

/* The next entry: 1, or 0 behind the last, or -1 with ERR_INTEGRITY, whose code is the byte where the page begins; then
 * the cursor must not be used any more. */
int bolt_cursor_next(struct bolt_cursor *c, struct bolt_entry *entry, struct err *e);

/* The bucket that is an entry's value. Errors: ERR_INTEGRITY: the entry is none. */
int bolt_entry_bucket(
        const struct bolt_cursor *c, const struct bolt_entry *entry, struct bolt_bucket *b, struct err *e);
