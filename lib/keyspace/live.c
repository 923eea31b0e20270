#include "keyspace/live.h"

#include <endian.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "bolt/page.h"

enum { FIRST_PLACES = 256, WINDOW = 8 };

/* The newest change of a key so far, and where its name is in there. */
struct place {
    uint64_t number;        /* while there is a table the name's hash, then its bytes in the window that is sorted by */
    const uint8_t *encoded; /* NULL: free */
    uint32_t encoded_len;   /* bbolt's values have fewer than 2^31 bytes */
    uint32_t name_at, name_len;
    bool is_deleted;
};

struct keyspace_live {
    struct keyspace_live_spec spec;
    size_t n, n_places; /* n_places: a power of two; n: of them taken, then of the keys that are there */
    struct place *places;
    uint64_t memory;
    uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES];
};

static const uint8_t *name_of(const struct place *p)
{
    return p->encoded + p->name_at;
}

/* ---- the table ---- */

static bool is_wanted(const struct keyspace_live *l, const struct keyspace_change *c)
{
    struct bytes prefix = l->spec.prefix, key = c->kv.key;

    return c->revision.main <= (uint64_t)l->spec.revision && key.len > 0 && key.len >= prefix.len &&
           (prefix.len == 0 || memcmp(key.data, prefix.data, prefix.len) == 0);
}

/* Where a name is, or would be. */
static struct place *find(struct place *places, size_t n, uint64_t hash, struct bytes name)
{
    for (size_t i = hash & (n - 1);; i = (i + 1) & (n - 1)) {
        struct place *p = &places[i];

        if (!p->encoded ||
                (p->number == hash && p->name_len == name.len && memcmp(name_of(p), name.data, name.len) == 0))
            return p;
    }
}

/* Names that are all different go to where there are none but such. */
static void move(struct place *to, size_t n, const struct place *p)
{
    size_t i = p->number & (n - 1);

    while (to[i].encoded)
        i = (i + 1) & (n - 1);
    to[i] = *p;
}

static int too_many(const struct keyspace_live *l, struct err *e)
{
    char size[SIZE_TEXT_MAX];

    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0,
            "an index of these keys does not fit into %s of memory: ask for those below a longer prefix",
            size_format(l->spec.memory_max, size));
}

static int grow(struct keyspace_live *l, struct err *e)
{
    size_t more = l->n_places ? l->n_places * 2 : FIRST_PLACES;
    uint64_t memory = (uint64_t)(more + l->n_places) * sizeof(struct place); /* both are there for a moment */
    struct place *larger;

    if (memory > l->spec.memory_max)
        return too_many(l, e);
    larger = calloc(more, sizeof(*larger));
    if (!larger)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for an index of more than %zu keys", l->n);
    for (size_t i = 0; i < l->n_places; i++)
        if (l->places[i].encoded)
            move(larger, more, &l->places[i]);
    free(l->places);
    l->places = larger;
    l->n_places = more;
    l->memory = memory;
    return 0;
}

static int put(struct keyspace_live *l, const struct keyspace_change *c, struct bytes encoded, struct err *e)
{
    struct bytes name = c->kv.key;
    uint64_t hash;
    struct place *at;

    if (l->n >= l->n_places / 4 * 3 && grow(l, e) < 0)
        return -1;
    (void)crypto_shorthash_siphashx24((uint8_t *)&hash, name.data, name.len, l->secret);
    at = find(l->places, l->n_places, hash, name);
    l->n += !at->encoded;
    *at = (struct place){.number = hash,
            .encoded = encoded.data,
            .encoded_len = (uint32_t)encoded.len,
            .name_at = (uint32_t)(name.data - encoded.data),
            .name_len = (uint32_t)name.len,
            .is_deleted = c->revision.is_tombstone};
    return 0;
}

static int fill(struct keyspace_live *l, struct keyspace_changes *changes, struct err *e)
{
    struct bolt_entry entry;
    struct keyspace_change c;
    int more;

    while ((more = bolt_cursor_next(&changes->cursor, &entry, e)) > 0)
        if (keyspace_change_read(&entry, &c, e) < 0 || (is_wanted(l, &c) && put(l, &c, entry.value, e) < 0))
            return -1;
    return more;
}

/* From now on it is a list. */
static void keep_what_is_there(struct keyspace_live *l)
{
    l->n = 0;
    for (size_t i = 0; i < l->n_places; i++)
        if (l->places[i].encoded && !l->places[i].is_deleted)
            l->places[l->n++] = l->places[i];
}

/* ---- the order of the names ----
 *
 * Names are far apart in the file, and begin alike. So a group of them is sorted by eight bytes at a time, which stand
 * beside each other in the places: those that are the same there are a group again, by the bytes behind those that all
 * of it have in common. What they are ordered by at first is a hash that nobody knows, so any of them is as good a
 * pivot as another. */

struct group {
    struct place *p;
    size_t n;
    size_t depth;   /* bytes of the names that all of them have in common, and where the window is */
    bool is_loaded; /* `number` is what is in the window */
};

static size_t common_len(const struct place *p, const struct place *with, size_t from, size_t to)
{
    const uint8_t *a = name_of(p), *b = name_of(with);

    if (to > p->name_len)
        to = p->name_len;
    while (from < to && a[from] == b[from])
        from++;
    return from;
}

/* Zeros behind a name's end. */
static uint64_t window(const struct place *p, size_t depth)
{
    size_t left = p->name_len - depth;
    uint64_t v = 0;

    memcpy(&v, name_of(p) + depth, left < WINDOW ? left : WINDOW);
    return be64toh(v);
}

static void load(struct group *g)
{
    size_t common = g->p[0].name_len;

    for (size_t i = 1; i < g->n && common > g->depth; i++)
        common = common_len(&g->p[i], &g->p[0], g->depth, common);
    g->depth = common;
    for (size_t i = 0; i < g->n; i++)
        g->p[i].number = window(&g->p[i], g->depth);
    g->is_loaded = true;
}

/* How much of a name is in the window: one more than it holds, where more follows. */
static size_t shown(const struct place *p, size_t depth)
{
    return p->name_len - depth > WINDOW ? WINDOW + 1 : p->name_len - depth;
}

/* Of two that show the same, one with zeros at its end, the shorter one is first. */
static int compare(const struct place *p, const struct place *with, size_t depth)
{
    size_t a = shown(p, depth), b = shown(with, depth);

    return p->number != with->number ? (p->number < with->number ? -1 : 1) : (a > b) - (a < b);
}

static void swap(struct place *a, struct place *b)
{
    struct place t = *a;

    *a = *b;
    *b = t;
}

/* Into those before one of them, those that are like it as far as the window goes, and those behind it. */
static void split(const struct group *g, struct group parts[3])
{
    struct place pivot = g->p[g->n / 2], *p = g->p;
    size_t less = 0, end = g->n;

    for (size_t i = 0; i < end;) {
        int order = compare(&p[i], &pivot, g->depth);

        if (order < 0)
            swap(&p[i++], &p[less++]);
        else if (order > 0)
            swap(&p[i], &p[--end]);
        else
            i++;
    }
    parts[0] = (struct group){.p = p, .n = less, .depth = g->depth, .is_loaded = true};
    parts[1] = (struct group){.p = p + less, .n = end - less, .depth = g->depth + WINDOW};
    parts[2] = (struct group){.p = p + end, .n = g->n - end, .depth = g->depth, .is_loaded = true};
    if (shown(&pivot, g->depth) <= WINDOW)
        parts[1].n = 0; /* all of a name, so there is one of it */
}

/* All but the largest part are at most half: it is never deep. */
static void sort(struct group g)
{
    while (g.n > 1) {
        struct group parts[3];
        size_t largest = 0;

        if (!g.is_loaded)
            load(&g);
        split(&g, parts);
        for (size_t i = 1; i < 3; i++)
            if (parts[i].n > parts[largest].n)
                largest = i;
        for (size_t i = 0; i < 3; i++)
            if (i != largest)
                sort(parts[i]);
        g = parts[largest];
    }
}

struct keyspace_live *keyspace_live_new(
        struct keyspace_changes *changes, const struct keyspace_live_spec *spec, struct err *e)
{
    _cleanup_(cleanup_keyspace_live_free) struct keyspace_live *l = calloc(1, sizeof(*l));

    if (!l) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for an index of keys");
        return NULL;
    }
    l->spec = *spec;
    randombytes_buf(l->secret, sizeof(l->secret));
    if (keyspace_changes_rewind(changes, e) < 0 || fill(l, changes, e) < 0)
        return NULL;
    keep_what_is_there(l);
    sort((struct group){.p = l->places, .n = l->n});
    return TAKE_PTR(l);
}

size_t keyspace_live_count(const struct keyspace_live *l)
{
    return l->n;
}

struct key_value keyspace_live_at(const struct keyspace_live *l, size_t i)
{
    struct key_value kv;

    (void)key_value_decode((struct bytes){l->places[i].encoded, l->places[i].encoded_len}, &kv); /* it could be */
    return kv;
}

uint64_t keyspace_live_memory(const struct keyspace_live *l)
{
    return l->memory;
}

void keyspace_live_free(struct keyspace_live *l)
{
    if (!l)
        return;
    free(l->places);
    free(l);
}
