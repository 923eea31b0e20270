/*
 * book.h: what is remembered of the pages of a file that goes by.
 *
 * Of each page that could be of a tree: its span, its first and last key, and of a branch a hash over its keys and the
 * numbers of its children; of every other why it cannot be. It is written as short as it can be, since a database has
 * hundreds of thousands: 4 bytes for each page, about 10 for a leaf, 20 and 1 to 3 a child for a branch.
 *
 * Memory is bounded by what has gone by and never by what a page claims: BOLT_BOOK_BASE, and 5 MiB for each GiB. What
 * has no place any more is noted as BOLT_NOT_KEPT.
 */
#pragma once

#include "bolt/fault.h"
#include "bolt/key.h"
#include "bolt/page.h"

enum { BOLT_BOOK_BASE = 512 * 1024, BOLT_BOOK_SHARE = 200 }; /* bytes; one byte for each so many of the file */

struct bolt_book;

/* The caller frees. NULL: out of memory. */
struct bolt_book *bolt_book_new(void);

/* The next page, in order from 0, has this many bytes and is, until something else is said, at fault. BOLT_NO_MEMORY if
 * it cannot be noted; then no more pages may be added. */
enum bolt_fault bolt_book_next(struct bolt_book *b, uint32_t page_size, enum bolt_fault fault);

/* Of a page that has been added. */
void bolt_book_fault(struct bolt_book *b, uint64_t page, enum bolt_fault fault);

/* Whether what a leaf says of buckets is remembered, too, and not only that it has some. */
enum bolt_buckets { BOLT_BUCKETS_NOT, BOLT_BUCKETS_IF_ROOM, BOLT_BUCKETS_ALWAYS };

/* A sound branch, all of whose keys are there. */
void bolt_book_branch(struct bolt_book *b, uint64_t number, const struct bolt_page *p);

/* Where a leaf begins and ends. */
struct bolt_ends {
    struct bolt_short first, last;
    uint64_t first_hash; /* of the whole key */
};

/* A sound leaf. `ends` is NULL if it has no elements. Its bytes need only be there if its buckets are to be remembered.
 */
void bolt_book_leaf(struct bolt_book *b, uint64_t number, const struct bolt_page *p, const struct bolt_ends *ends,
        enum bolt_buckets buckets);

/* The number of pages that were added. */
uint64_t bolt_book_pages(const struct bolt_book *b);

/* Bytes of memory that it takes, but for some that it has in reserve. */
uint64_t bolt_book_size(const struct bolt_book *b);

/* What was noted of a page. */
struct bolt_note {
    bool is_branch;
    bool has_buckets;   /* a leaf that has some */
    bool buckets_known; /* and what they are is noted */
    uint32_t overflow;
    uint32_t n;            /* elements, of a branch children */
    uint64_t keys_hash;    /* branch: of all its keys, joined in order */
    struct bolt_ends ends; /* leaf with n > 0 */

    /* What comes next, for bolt_note_child and bolt_note_bucket. */
    const uint8_t *next;
    uint32_t left;
    uint64_t child_before;
};

/* BOLT_FINE, and *n is set, with what points into the book; or why the page cannot be used. */
enum bolt_fault bolt_book_look(const struct bolt_book *b, uint64_t page, struct bolt_note *n);

/* The next child of a branch; false behind the last. */
bool bolt_note_child(struct bolt_note *n, uint64_t *child);

struct bolt_note_bucket {
    struct bytes name;
    uint64_t root;        /* 0: inline */
    struct bytes content; /* the value of an inline bucket, checked */
};

/* The next bucket of a leaf whose buckets are known; false behind the last. */
bool bolt_note_bucket(struct bolt_note *n, struct bolt_note_bucket *bucket);

/* NULL is fine. */
void bolt_book_free(struct bolt_book *b);
CLEANUP_FUNC(struct bolt_book *, bolt_book_free)
