#include "core/known.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { ID_LEN = 16, SLOTS_MIN = 64 };

/* An id is the beginning of a digest: 0 is none. */
struct entry {
    uint8_t id[ID_LEN];
    bool is_used;
    uint64_t asked; /* the count of questions when it was asked for last */
    struct known_facts facts;
};

/* Open addressing with linear probing; `slots` is a power of two and never more than half full. */
struct known {
    struct entry *entries;
    size_t slots, used;
    size_t bad; /* of the used ones: they do not count against KNOWN_MAX */
    uint64_t questions;
    uint64_t own_cluster;
    int64_t damaged_stored;
};

struct known *known_new(void)
{
    return calloc(1, sizeof(struct known));
}

static void add_text(crypto_generichash_state *digest, const char *text, size_t len)
{
    uint64_t n = len;

    (void)crypto_generichash_update(digest, (const uint8_t *)&n, sizeof(n));
    (void)crypto_generichash_update(digest, (const uint8_t *)text, len);
}

/* A listing and a HEAD need not agree on the quotes. */
static void identify(uint8_t id[ID_LEN], const struct known_object *o)
{
    crypto_generichash_state digest;
    size_t len = strlen(o->etag);
    bool is_quoted = len >= 2 && o->etag[0] == '"' && o->etag[len - 1] == '"';

    (void)crypto_generichash_init(&digest, NULL, 0, ID_LEN);
    add_text(&digest, o->name, strlen(o->name));
    add_text(&digest, o->etag + is_quoted, is_quoted ? len - 2 : len);
    (void)crypto_generichash_update(&digest, (const uint8_t *)&o->size, sizeof(o->size));
    (void)crypto_generichash_final(&digest, id, ID_LEN);
}

static struct entry *slot_of(struct entry *entries, size_t slots, const uint8_t id[ID_LEN])
{
    size_t i;

    memcpy(&i, id, sizeof(i));
    for (i &= slots - 1; entries[i].is_used && memcmp(entries[i].id, id, ID_LEN) != 0;)
        i = (i + 1) & (slots - 1);
    return &entries[i];
}

static bool is_bad(const struct entry *entry)
{
    return entry->facts.verified && entry->facts.verdict == KNOWN_BAD;
}

/* Moves what was asked for since `asked`, and what is bad, to a table of so many slots. */
static bool rebuild(struct known *k, size_t slots, uint64_t asked)
{
    struct entry *entries = calloc(slots, sizeof(*entries));
    size_t used = 0;

    if (!entries)
        return false;
    for (size_t i = 0; i < k->slots; i++) {
        const struct entry *entry = &k->entries[i];

        if (entry->is_used && (entry->asked >= asked || is_bad(entry))) {
            *slot_of(entries, slots, entry->id) = *entry;
            used++;
        }
    }
    free(k->entries);
    k->entries = entries;
    k->slots = slots;
    k->used = used;
    return true;
}

static int compare(const void *pa, const void *pb)
{
    uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

    return (a > b) - (a < b);
}

/* Forgets the half of what may be forgotten that was asked for the longest ago. */
static bool forget_half(struct known *k)
{
    _cleanup_free_ uint64_t *asked = calloc(k->used, sizeof(*asked));
    size_t n = 0;

    if (!asked)
        return false;
    for (size_t i = 0; i < k->slots; i++)
        if (k->entries[i].is_used && !is_bad(&k->entries[i]))
            asked[n++] = k->entries[i].asked;
    qsort(asked, n, sizeof(*asked), compare);
    return rebuild(k, k->slots, asked[n / 2]);
}

static bool make_room(struct known *k)
{
    if (k->used - k->bad >= KNOWN_MAX && !forget_half(k))
        return false;
    return k->used < k->slots / 2 || rebuild(k, k->slots ? k->slots * 2 : SLOTS_MIN, 0);
}

static struct entry *find(struct known *k, const struct known_object *o)
{
    uint8_t id[ID_LEN];
    struct entry *entry;

    if (!k || k->slots == 0)
        return NULL;
    identify(id, o);
    entry = slot_of(k->entries, k->slots, id);
    if (!entry->is_used)
        return NULL;
    entry->asked = ++k->questions;
    return entry;
}

/* That of the object, or a new one; or NULL. */
static struct known_facts *facts_of(struct known *k, const struct known_object *o)
{
    struct entry *entry = find(k, o);
    uint8_t id[ID_LEN];

    if (entry)
        return &entry->facts;
    if (!k || !make_room(k))
        return NULL;
    identify(id, o);
    entry = slot_of(k->entries, k->slots, id);
    *entry = (struct entry){.is_used = true, .asked = ++k->questions};
    memcpy(entry->id, id, ID_LEN);
    k->used++;
    return &entry->facts;
}

void known_verified(struct known *k, const struct known_object *o, int64_t when, enum known_verdict verdict)
{
    struct known_facts *facts = facts_of(k, o);

    /* That its key does not open takes back nothing of what was read with one that did. */
    if (facts && !(verdict == KNOWN_REFUSED && facts->verified && facts->verdict == KNOWN_BAD)) {
        k->bad -= facts->verified && facts->verdict == KNOWN_BAD;
        k->bad += verdict == KNOWN_BAD;
        facts->verified = when;
        facts->verdict = verdict;
    }
}

void known_saw_key(struct known *k, const struct known_object *o, uint64_t key_tag, enum known_key key)
{
    struct known_facts *facts = facts_of(k, o);

    if (facts) {
        facts->key_tag = key_tag;
        facts->key = key;
    }
}

void known_saw_cluster(struct known *k, const struct known_object *o, uint64_t cluster)
{
    struct known_facts *facts = facts_of(k, o);

    if (facts) {
        facts->has_cluster = true;
        facts->cluster = cluster;
    }
}

struct known_facts known_find(struct known *k, const struct known_object *o)
{
    const struct entry *entry = find(k, o);

    return entry ? entry->facts : (struct known_facts){0};
}

void known_set_own_cluster(struct known *k, uint64_t cluster)
{
    k->own_cluster = cluster;
}

uint64_t known_own_cluster(const struct known *k)
{
    return k ? k->own_cluster : 0;
}

void known_set_damaged_stored(struct known *k, int64_t when)
{
    if (k)
        k->damaged_stored = when;
}

int64_t known_damaged_stored(const struct known *k)
{
    return k ? k->damaged_stored : 0;
}

void known_forget_keys(struct known *k)
{
    for (size_t i = 0; i < k->slots; i++)
        k->entries[i].facts.key = KNOWN_KEY_UNSEEN;
}

void known_forget_all(struct known *k)
{
    free(k->entries);
    *k = (struct known){0};
}

void known_free(struct known *k)
{
    if (!k)
        return;
    free(k->entries);
    free(k);
}
