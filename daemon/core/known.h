/*
 * known.h: what this daemon has found out of the backups in its bucket. Whoever decides by a backup asks here.
 *
 * A fact belongs to an object (its name, ETag and size, as a listing shows them), never to a name alone: what is put in
 * its place later is another, of which nothing is known. All of it belongs to one bucket and prefix: core forgets it
 * when a reload takes another into use (core_reload). It is bounded: past KNOWN_MAX objects those are forgotten that
 * nobody asked for the longest; one that was verified BAD never is.
 *
 * It lives as long as the daemon. What must outlive it lies in the bucket: a dump that was verified BAD gets a mark
 * beside it (catalog/name.h, NAME_BAD; job/bucket/bad_mark.h), which every listing shows to every daemon and each `-c`.
 * Everything else is looked at again.
 *
 * Owned by core (core_known). Memory: some 80 bytes an object. On the loop alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct known;

enum { KNOWN_MAX = 50000 };

/* A dump as it was listed. `etag` with or without its quotes; "" where the store tells none. */
struct known_object {
    const char *name;
    const char *etag;
    uint64_t size; /* bytes */
};

enum known_verdict {
    KNOWN_GOOD,
    KNOWN_REFUSED, /* it could not be read by us: its key does not open, it is not encrypted, ... */
    KNOWN_BAD,     /* its bytes are bad */
};

enum known_key {
    KNOWN_KEY_UNSEEN,
    KNOWN_KEY_OPENS,     /* or it is sealed, and one vouches for it */
    KNOWN_KEY_OPENS_NOT, /* with any master key that is configured */
    KNOWN_KEY_MISSING,   /* it was listed, and was not there when it was asked for */
};

struct known_facts {
    int64_t verified;           /* when, seconds since the epoch; 0: never */
    enum known_verdict verdict; /* then */
    enum known_key key;         /* seen last, of the key's object of that key_tag */
    uint64_t key_tag;           /* catalog/list.h */
    bool has_cluster;           /* its metadata were looked at; then: */
    uint64_t cluster;           /* the id of the etcd cluster that it is of; 0: they do not say it */
};

/* The caller frees. NULL when out of memory. */
struct known *known_new(void);

/* The latest verdict, at `when` (seconds since the epoch). These are forgotten when there is no memory for them, or `k`
 * is NULL. */
void known_verified(struct known *k, const struct known_object *o, int64_t when, enum known_verdict verdict);
void known_saw_key(struct known *k, const struct known_object *o, uint64_t key_tag, enum known_key key);
void known_saw_cluster(struct known *k, const struct known_object *o, uint64_t cluster);

/* All that is known of it; zeroes for one that nobody has looked at. `k` may be NULL. */
struct known_facts known_find(struct known *k, const struct known_object *o);

/* The etcd cluster that this daemon made a backup of last; 0: it has made none. */
void known_set_own_cluster(struct known *k, uint64_t cluster);
uint64_t known_own_cluster(const struct known *k);

/* When a backup of a damaged database was stored last for want of a sound one, seconds since the epoch; 0: never. */
void known_set_damaged_stored(struct known *k, int64_t when);
int64_t known_damaged_stored(const struct known *k);

/* The master keys may be others from now on: what was seen of keys says nothing. */
void known_forget_keys(struct known *k);

/* Another bucket, or another cluster. */
void known_forget_all(struct known *k);

/* NULL is fine. */
void known_free(struct known *k);
