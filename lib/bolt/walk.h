/*
 * walk.h: from the root bucket through all trees, over what was remembered of the pages.
 */
#pragma once

#include "bolt/book.h"
#include "bolt/stream.h"

struct bolt_walk {
    const struct bolt_book *book;
    struct bytes freelist; /* the free pages, for bolt_freelist_next; only if meta.freelist is a page */
    uint32_t freelist_overflow;
    struct bolt_report *report;
};

/* Fills the report, whose meta is set and says no more pages than the book has. */
void bolt_walk_trees(const struct bolt_walk *w);
