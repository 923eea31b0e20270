/*
 * meta.h: the two pages that say where everything else is.
 *
 * In a database that a server uses they are those of the last two transactions. In a snapshot both are written from one
 * (bbolt, tx.go, WriteTo) and differ in the transaction's number and the checksum alone.
 */
#pragma once

#include "bolt/fault.h"
#include "bolt/format.h"

struct bolt_meta {
    uint32_t page_size;
    uint64_t root;     /* the page where the root bucket begins */
    uint64_t sequence; /* of the root bucket; nobody uses it */
    uint64_t freelist; /* its page, or BOLT_NO_FREELIST */
    uint64_t n_pages;  /* bbolt's high-water mark: the file has exactly so many */
    uint64_t txid;
};

/*
 * Reads the meta of page `number` from the first BOLT_META_END bytes of that page. BOLT_FINE, or why it is none:
 * something broken, or (bolt_fault_is_ignorance) something that is only not known here. *m is set when it is fine.
 */
enum bolt_fault bolt_meta_load(const uint8_t *page, uint64_t number, struct bolt_meta *m);

/* Whether the one with the lower number is what WriteTo makes of the other. */
bool bolt_meta_is_twin(const struct bolt_meta *page0, const struct bolt_meta *page1);
