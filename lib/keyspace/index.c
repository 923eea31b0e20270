#include "keyspace/index.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_PLACES = 1024, HASH_LEN = crypto_shorthash_siphashx24_BYTES };

/* sub of a tombstone; revision_load lets nothing as large pass. */
#define DEAD (UINT64_C(1) << 63)

struct place {
    uint64_t hash[2]; /* both 0: free */
    uint64_t main, sub;
};

struct key_index {
    uint64_t memory_max;
    uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES];
    size_t n_places, n_taken; /* a power of two */
    uint64_t n_live;
    struct place *places;
};

struct key_index *key_index_new(uint64_t memory_max, struct err *e)
{
    _cleanup_(cleanup_key_index_free) struct key_index *x = calloc(1, sizeof(*x));

    if (x) {
        x->memory_max = memory_max;
        x->n_places = FIRST_PLACES;
        x->places = calloc(x->n_places, sizeof(*x->places));
    }
    if (!x || !x->places) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for an index of keys");
        return NULL;
    }
    randombytes_buf(x->secret, sizeof(x->secret));
    return TAKE_PTR(x);
}

/* Where a hash is, or would be. */
static struct place *find(struct place *places, size_t n, const uint64_t hash[2])
{
    for (size_t i = hash[0] & (n - 1);; i = (i + 1) & (n - 1))
        if ((places[i].hash[0] == hash[0] && places[i].hash[1] == hash[1]) ||
                (places[i].hash[0] == 0 && places[i].hash[1] == 0))
            return &places[i];
}

static void hash_key(const struct key_index *x, struct bytes key, uint64_t hash[2])
{
    uint8_t out[HASH_LEN];

    (void)crypto_shorthash_siphashx24(out, key.data, key.len, x->secret);
    memcpy(hash, out, sizeof(out));
    hash[1] |= 1; /* never that of a free place */
}

static int grow(struct key_index *x, struct err *e)
{
    size_t n = x->n_places * 2;
    struct place *more = NULL;

    /* Both are there for a moment. */
    if ((uint64_t)n * sizeof(*more) * 3 / 2 <= x->memory_max)
        more = calloc(n, sizeof(*more));
    if (!more)
        return err_set(
                e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for an index of more than %zu keys", x->n_taken);
    for (size_t i = 0; i < x->n_places; i++)
        if (x->places[i].hash[1] != 0)
            *find(more, n, x->places[i].hash) = x->places[i];
    free(x->places);
    x->places = more;
    x->n_places = n;
    return 0;
}

int key_index_put(struct key_index *x, struct bytes key, const struct revision *r, struct err *e)
{
    uint64_t hash[2];
    struct place *at;

    if (x->n_taken >= x->n_places / 4 * 3 && grow(x, e) < 0)
        return -1;
    hash_key(x, key, hash);
    at = find(x->places, x->n_places, hash);
    if (at->hash[1] == 0)
        x->n_taken++;
    else if (!(at->sub & DEAD))
        x->n_live--;
    *at = (struct place){.hash = {hash[0], hash[1]}, .main = r->main, .sub = r->is_tombstone ? r->sub | DEAD : r->sub};
    x->n_live += !r->is_tombstone;
    return 0;
}

static const struct place *look_up(const struct key_index *x, struct bytes key)
{
    uint64_t hash[2];

    hash_key(x, key, hash);
    return find(x->places, x->n_places, hash);
}

bool key_index_is_live(const struct key_index *x, struct bytes key, const struct revision *r)
{
    const struct place *at = look_up(x, key);

    return at->hash[1] != 0 && at->main == r->main && at->sub == r->sub;
}

bool key_index_has_live(const struct key_index *x, struct bytes key)
{
    const struct place *at = look_up(x, key);

    return at->hash[1] != 0 && !(at->sub & DEAD);
}

uint64_t key_index_n_live(const struct key_index *x)
{
    return x->n_live;
}

uint64_t key_index_memory(const struct key_index *x)
{
    return (uint64_t)x->n_places * sizeof(*x->places);
}

void key_index_free(struct key_index *x)
{
    if (!x)
        return;
    sodium_memzero(x->secret, sizeof(x->secret));
    free(x->places);
    free(x);
}
