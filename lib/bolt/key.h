/*
 * key.h: as much of a key as is remembered of a page's first and last.
 *
 * Two keys are told apart by their first BOLT_SHORT_LEN bytes, which all of etcd's are but names of users and roles
 * that somebody made long. A hash of the whole key tells whether two are the same.
 */
#pragma once

#include "base/bytes.h"

enum { BOLT_SHORT_LEN = 64, BOLT_REVISION_LEN = 17, BOLT_TOMBSTONE_LEN = 18 };

struct bolt_short {
    uint16_t len; /* of the whole key */
    uint8_t head[BOLT_SHORT_LEN];
};

void bolt_short_set(struct bolt_short *s, struct bytes key);

/* What of the key there is. */
static inline struct bytes bolt_short_head(const struct bolt_short *s)
{
    return (struct bytes){.data = s->head, .len = s->len < BOLT_SHORT_LEN ? s->len : BOLT_SHORT_LEN};
}

enum bolt_order { BOLT_BEFORE, BOLT_NOT_BEFORE, BOLT_ORDER_UNKNOWN };

/* Whether a is before b. */
enum bolt_order bolt_short_order(const struct bolt_short *a, const struct bolt_short *b);

/* Whether the key is a revision of etcd: two numbers with '_' between, and perhaps a 't' behind. */
bool bolt_key_is_revision(struct bytes key);

/* A hash of all of the key; not for those who choose keys to make hashes equal. */
uint64_t bolt_key_hash(struct bytes key);

/* The hash of a row of keys: that of those before, 0 at first, and the next one's. */
static inline uint64_t bolt_hash_join(uint64_t before, uint64_t next)
{
    uint64_t h = (before ^ next) * UINT64_C(0x9E3779B97F4A7C15);

    return h ^ h >> 29;
}
