/*
 * made_up.h: a small bbolt file, made up from a seed: the same one for the same seed.
 *
 * Buckets with random keys and values, inline ones, trees of several levels, values of several pages, pages in any
 * order, and between them free ones that hold old pages or noise; with a stored freelist or without; pages of 4 to 64
 * KiB, mostly the smallest. It shares no code with lib/bolt.
 */
#pragma once

#include "base/bytes.h"
#include "history.h"

enum { MADE_UP_BUCKETS_MAX = 8 };

struct made_up_bucket {
    char name[24];
    uint64_t n;      /* entries */
    uint64_t digest; /* made_up_join over them all, from 0 */
};

struct made_up {
    uint32_t page_size;
    uint64_t n_pages, n_used; /* metas and freelist included */
    uint8_t *bytes;           /* n_pages * page_size */
    uint8_t *used;            /* of each page what it is: 0 free, 1 the first of one, 2 a later one of one */
    size_t n_buckets;
    struct made_up_bucket buckets[MADE_UP_BUCKETS_MAX];
    struct history history; /* what is in the bucket `key`; only if that is there: has_keys */
    bool has_keys, has_meta;
};

/* The caller releases. There is always memory, or the program ends. */
void made_up_make(struct made_up *m, uint64_t seed);
void made_up_release(struct made_up *m);

/* One more entry. */
uint64_t made_up_join(uint64_t digest, struct bytes key, struct bytes value);

/* Random numbers: below `n`, n > 0. */
uint64_t made_up_random(uint64_t *state, uint64_t n);

/* Makes a file of pages of 4 KiB, three at least, of what is there already: metas, an empty root, and the rest is free.
 */
void made_up_frame(uint8_t *bytes, uint64_t len);

/* A database of an etcd that was told `n` keys, at most 60,000, one after the other from revision 2 on, and nothing
 * else: the n-th is `made_up_name` of n. The caller frees it. */
uint8_t *made_up_keys(size_t n, size_t *len);

/* Of one from 0 on; not in the order of their numbers, and all of them as long. */
enum { MADE_UP_NAME_LEN = 9 };
void made_up_name(size_t i, char name[MADE_UP_NAME_LEN + 1]);

/* Writes meta page 0 or 1 anew with its checksum, after a change to its fields. */
void made_up_sign_meta(uint8_t *page);
