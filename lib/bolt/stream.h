/*
 * stream.h: a bbolt file is looked at while it goes by, once and in order, as a snapshot comes from etcd.
 *
 * Pages come in the order of the file, and which of them are in use is known only when all are there: the trees are
 * walked at the end, over what was remembered (book.h). A page that no tree reaches may hold anything, also what looks
 * like a page, and counts for nothing.
 *
 * What is found is what bbolt's own check finds (tx_check.go), and some more: both metas with their checksums, each
 * page's own number, type, bounds, and order of keys; that each page is reached once, keys are in order from page to
 * page and a parent's are those that its children begin with; the file's size; and a stored freelist. What it cannot
 * know:
 *
 *   - what is in keys and values: they are compared and skipped, and so is the length of a page's last value, which
 * nothing else contradicts while it ends in the page where it should;
 *   - whether a tree that is whole is the latest one: a reference to what it was some transactions ago looks as good;
 *   - the order of keys that are alike in their first 64 bytes, in pages that follow each other.
 *
 * A pass over the file (file.h, lib/keyspace) tells the first two. What is not damaged and not known either is "not
 * inspected": pages of more than 64 KiB, branches of more than one page, buckets in buckets, and more candidates than
 * there is memory for; etcd makes none of the first three.
 *
 * Memory: that of the book, about 5 MiB for each GiB, and half a MiB; of a stored freelist, which etcd on Linux does
 * not have, a byte or two for each free page, and never more than 16 MiB. No bytes are kept, but what lies across
 * pieces.
 */
#pragma once

#include "base/bytes.h"
#include "bolt/book.h"
#include "bolt/meta.h"

enum bolt_structure { BOLT_SOUND, BOLT_DAMAGED, BOLT_NOT_INSPECTED };

/* "sound", "damaged", "not inspected": as people and programs see it. */
const char *bolt_structure_name(enum bolt_structure structure);

enum { BOLT_BUCKETS_MAX = 32, BOLT_BUCKET_NAME_MAX = 32, BOLT_WHY_MAX = 160 };

/* A bucket of the root bucket. */
struct bolt_bucket_seen {
    char name[BOLT_BUCKET_NAME_MAX]; /* with its 0; a longer one is cut */
    uint64_t n;                      /* entries */
    struct bolt_short last;          /* the last key; n > 0 */
    struct bytes content;            /* an inline bucket's value; valid as long as the stream; else NULL */
};

struct bolt_report {
    enum bolt_structure structure;
    enum bolt_fault fault;  /* the first one; BOLT_FINE if sound */
    uint64_t page;          /* where */
    char why[BOLT_WHY_MAX]; /* both in words: "page 17: its keys are not in order"; "" if sound */
    struct bolt_meta meta;  /* all zeros if it could not be read */
    uint64_t n_used;        /* pages that are in use, metas and freelist included; 0 unless sound */
    uint64_t memory;        /* bytes that the book took */
    size_t n_buckets;       /* if sound */
    struct bolt_bucket_seen buckets[BOLT_BUCKETS_MAX];
};

struct bolt_stream;

/* The caller frees. Errors: ERR_RESOURCE. */
struct bolt_stream *bolt_stream_new(struct err *e);

/* The next bytes, in pieces of any size; etcd's SHA-256 behind the pages may come along. What is wrong is told at the
 * end. */
void bolt_stream_update(struct bolt_stream *s, struct bytes piece);

/* After the last byte, once. What it points to lives as long as the stream. */
const struct bolt_report *bolt_stream_finish(struct bolt_stream *s);

/* NULL is fine. */
void bolt_stream_free(struct bolt_stream *s);
CLEANUP_FUNC(struct bolt_stream *, bolt_stream_free)
