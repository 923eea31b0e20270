/*
 * format.h: how bbolt lays out a file, as numbers and loads; nothing is judged here.
 *
 * Source: bbolt, internal/common/{page,meta,bucket,inode}.go. A file is pages of one size, numbered from 0. A page
 * begins with 16 bytes (its own number, type, number of elements, and how many pages follow that belong to it). Pages 0
 * and 1 are metas, then come branches and leaves of B+ trees, and freelists. A bucket is a tree; the root bucket's
 * values are where the other buckets' trees begin. Numbers have the byte order of the machine that wrote them, which is
 * little- endian wherever etcd runs but for s390x: a meta's magic tells.
 *
 * An element's data begin behind all elements, in their order and without gaps: bbolt has only ever written whole pages
 * (node.write), so what is laid out otherwise was changed by something else.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BOLT_MAGIC         UINT32_C(0xED0CDAED)
#define BOLT_NO_FREELIST   UINT64_MAX /* the freelist is not stored: etcd's way on Linux */
#define BOLT_VALUE_MAX     UINT32_C(0x7FFFFFFE)
#define BOLT_PAGE_SIZE_MIN UINT32_C(4096)
#define BOLT_PAGE_SIZE_MAX UINT32_C(65536)

enum {
    BOLT_HEADER_LEN = 16,  /* of a page */
    BOLT_ELEMENT_LEN = 16, /* of a branch and of a leaf */
    BOLT_META_LEN = 64,
    BOLT_META_END = BOLT_HEADER_LEN + BOLT_META_LEN,
    BOLT_VERSION = 2,
    BOLT_KEY_MAX = 32768,
    BOLT_BUCKET_LEN = 16, /* root, sequence; an inline bucket's page follows */
    BOLT_DEPTH_MAX = 64,
    BOLT_FIRST_PAGE = 2,   /* behind the metas */
    BOLT_TRAILER_LEN = 32, /* etcd's SHA-256 behind a snapshot */
};

enum {
    BOLT_BRANCH = 0x01,
    BOLT_LEAF = 0x02,
    BOLT_META = 0x04,
    BOLT_FREELIST = 0x10,
    BOLT_BUCKET_FLAG = 0x01, /* of a leaf's element: its value is a bucket */
};

static inline uint16_t le16_load(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static inline uint32_t le32_load(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline uint64_t le64_load(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

struct bolt_header {
    uint64_t id;
    uint16_t flags, count;
    uint32_t overflow; /* pages behind the first one */
};

static inline struct bolt_header bolt_header_load(const uint8_t *page)
{
    return (struct bolt_header){.id = le64_load(page),
            .flags = le16_load(page + 8),
            .count = le16_load(page + 10),
            .overflow = le32_load(page + 12)};
}

/* Element `i` of a page; `pos` counts from where the element itself begins. */
static inline const uint8_t *bolt_element(const uint8_t *page, size_t i)
{
    return page + BOLT_HEADER_LEN + i * BOLT_ELEMENT_LEN;
}

struct bolt_leaf_element {
    uint32_t flags, pos, key_size, value_size;
};

static inline struct bolt_leaf_element bolt_leaf_load(const uint8_t *element)
{
    return (struct bolt_leaf_element){.flags = le32_load(element),
            .pos = le32_load(element + 4),
            .key_size = le32_load(element + 8),
            .value_size = le32_load(element + 12)};
}

struct bolt_branch_element {
    uint32_t pos, key_size;
    uint64_t child;
};

static inline struct bolt_branch_element bolt_branch_load(const uint8_t *element)
{
    return (struct bolt_branch_element){
            .pos = le32_load(element), .key_size = le32_load(element + 4), .child = le64_load(element + 8)};
}
