/*
 * freelist.h: the list of free pages, where a file has one stored.
 *
 * Its pages hold their numbers in ascending order, behind a count in the header, or in the first eight bytes if there
 * are 65535 or more. It is read as it goes by and remembered as differences: a byte or two for each. What takes more
 * than BOLT_FREELIST_MEMORY is BOLT_NO_MEMORY: how many there are is only what the file claims.
 */
#pragma once

#include "base/bytes.h"
#include "bolt/fault.h"
#include "bolt/meta.h"

struct bolt_freelist {
    enum bolt_fault fault; /* the first one */
    bool begun;
    uint32_t overflow;
    uint64_t left;   /* numbers still to come */
    uint64_t before; /* the last one, 0 at first */
    struct buf ids;  /* see bolt_freelist_next */
};

enum { BOLT_FREELIST_MEMORY = 16 << 20 }; /* bytes: more than eight million free pages, 32 GiB of them at least */

#define BOLT_FREELIST_INIT ((struct bolt_freelist){.ids = {.limit = BOLT_FREELIST_MEMORY}})

/* Its first page, whole, as the meta says. */
void bolt_freelist_begin(struct bolt_freelist *f, const uint8_t *page, const struct bolt_meta *meta);

/* The next page behind it, while `left` is not 0. */
void bolt_freelist_more(struct bolt_freelist *f, const uint8_t *page, const struct bolt_meta *meta);

/* Takes the next free page from the front of `ids`, where *page is the one before or 0; false if there is none. */
bool bolt_freelist_next(struct bytes *ids, uint64_t *page);

void bolt_freelist_free(struct bolt_freelist *f);
