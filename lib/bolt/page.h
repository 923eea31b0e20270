/*
 * page.h: whether a branch or a leaf is sound by itself.
 *
 * Looked at are the header, each element's place and sizes, the order of keys, and the pages that a leaf's inline
 * buckets are: all that bbolt's own check knows of a page alone, and that elements lie as bbolt writes them (format.h).
 * Values are not read.
 *
 * A page may be larger than what is there of it (a value of a megabyte, in a stream): then its elements are looked at,
 * which stand at its beginning, and those keys that are there.
 */
#pragma once

#include "base/bytes.h"
#include "bolt/fault.h"
#include "bolt/format.h"

struct bolt_page {
    const uint8_t *data; /* where it begins */
    size_t have;         /* bytes there: all pages of it, or fewer */
    uint32_t page_size;
    bool is_branch;
    uint16_t n;        /* elements */
    uint16_t n_there;  /* how many of them have their whole key within `have` */
    bool has_buckets;  /* a leaf some of whose values are buckets */
    uint32_t overflow; /* pages behind the first one that belong to it */
    uint64_t used;     /* bytes up to the last value's end */
};

/* Judges what is there of page `number`: `have` bytes, at least one page. *p is set when it is BOLT_FINE. Ignorance is
 * BOLT_UNUSUAL: not all elements, or buckets, are within `have`. */
enum bolt_fault bolt_page_check(
        const uint8_t *data, size_t have, uint32_t page_size, uint64_t number, struct bolt_page *p);

/* Whether the bytes at `number` begin like a page that could be of a tree: most of what else a file has does not. */
static inline bool bolt_page_is_candidate(const uint8_t *data, uint64_t number)
{
    return le64_load(data) == number;
}

/* The inline bucket in the value of a bucket's element: what begins behind the value's first BOLT_BUCKET_LEN bytes. */
enum bolt_fault bolt_inline_check(struct bytes value, struct bolt_page *p);

/* Element i < n_there, of a page that was checked. */
struct bytes bolt_page_key(const struct bolt_page *p, size_t i);

/* The value of a leaf's element; only where the whole page is there. */
struct bytes bolt_page_value(const struct bolt_page *p, size_t i);

/* Where a branch's element leads. */
static inline uint64_t bolt_page_child(const struct bolt_page *p, size_t i)
{
    return bolt_branch_load(bolt_element(p->data, i)).child;
}

static inline bool bolt_page_is_bucket(const struct bolt_page *p, size_t i)
{
    return !p->is_branch && bolt_leaf_load(bolt_element(p->data, i)).flags == BOLT_BUCKET_FLAG;
}

/* Negative, 0, positive: as bytes.Compare of Go. */
int bolt_key_compare(struct bytes a, struct bytes b);
