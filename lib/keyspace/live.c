#include "keyspace/live.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "bolt/page.h"
#include "keyspace/index.h"

enum { FIRST_PLACES = 256 };

/* A name, and the KeyValue that it stands in. */
struct place {
    const uint8_t *name, *encoded;
    uint32_t name_len, encoded_len;
};

struct keyspace_live {
    struct keyspace_live_spec spec;
    size_t n, n_places;
    struct place *places;
    uint64_t memory;
};

static bool is_wanted(const struct keyspace_live *l, const struct keyspace_change *c)
{
    struct bytes prefix = l->spec.prefix, key = c->kv.key;

    return c->revision.main <= (uint64_t)l->spec.revision && key.len > 0 && key.len >= prefix.len &&
           (prefix.len == 0 || memcmp(key.data, prefix.data, prefix.len) == 0);
}

static int too_many(const struct keyspace_live *l, struct err *e)
{
    char size[SIZE_TEXT_MAX];

    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0,
            "an index of these keys does not fit into %s of memory: ask for those below a longer prefix",
            size_format(l->spec.memory_max, size));
}

static int fill(struct keyspace_live *l, struct keyspace_changes *changes, struct key_index *index, struct err *e)
{
    struct keyspace_change c;
    int more;

    while ((more = keyspace_changes_next(changes, &c, e)) > 0)
        if (is_wanted(l, &c) && key_index_put(index, c.kv.key, &c.revision, e) < 0)
            return too_many(l, e);
    l->memory = key_index_memory(index);
    return more;
}

static int make_room(struct keyspace_live *l, struct err *e)
{
    size_t more = l->n_places ? l->n_places * 2 : FIRST_PLACES;
    struct place *larger = NULL;

    /* Both may be there for a moment. */
    if (l->n < l->n_places)
        return 0;
    if ((uint64_t)(more + l->n_places) * sizeof(*larger) <= l->spec.memory_max - l->memory)
        larger = reallocarray(l->places, more, sizeof(*larger));
    if (!larger)
        return too_many(l, e);
    l->places = larger;
    l->n_places = more;
    return 0;
}

static int collect(
        struct keyspace_live *l, struct keyspace_changes *changes, const struct key_index *index, struct err *e)
{
    struct bolt_entry entry;
    struct keyspace_change c;
    int more;

    if (keyspace_changes_rewind(changes, e) < 0)
        return -1;
    while ((more = bolt_cursor_next(&changes->cursor, &entry, e)) > 0) {
        if (keyspace_change_read(&entry, &c, e) < 0)
            return -1;
        if (c.revision.is_tombstone || !is_wanted(l, &c) || !key_index_is_live(index, c.kv.key, &c.revision))
            continue;
        if (make_room(l, e) < 0)
            return -1;
        l->places[l->n++] = (struct place){
                .name = c.kv.key.data,
                .name_len = (uint32_t)c.kv.key.len, /* bbolt's values have fewer than 2^31 bytes */
                .encoded = entry.value.data,
                .encoded_len = (uint32_t)entry.value.len,
        };
    }
    return more;
}

static int compare_names(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return bolt_key_compare((struct bytes){x->name, x->name_len}, (struct bytes){y->name, y->name_len});
}

/* Heapsort's place is here: glibc's qsort may ask for as much memory again. */
static void sift(struct place *p, size_t root, size_t n)
{
    struct place moved = p[root];
    size_t child;

    while ((child = 2 * root + 1) < n) {
        if (child + 1 < n && compare_names(&p[child], &p[child + 1]) < 0)
            child++;
        if (compare_names(&moved, &p[child]) >= 0)
            break;
        p[root] = p[child];
        root = child;
    }
    p[root] = moved;
}

static void sort(struct place *p, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(p, i, n);
    for (size_t i = n; i-- > 1;) {
        struct place last = p[i];

        p[i] = p[0];
        p[0] = last;
        sift(p, 0, i);
    }
}

struct keyspace_live *keyspace_live_new(
        struct keyspace_changes *changes, const struct keyspace_live_spec *spec, struct err *e)
{
    _cleanup_(cleanup_keyspace_live_free) struct keyspace_live *l = calloc(1, sizeof(*l));
    _cleanup_(cleanup_key_index_free) struct key_index *index = l ? key_index_new(spec->memory_max, e) : NULL;

    if (!l)
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for an index of keys");
    if (!index)
        return NULL;
    l->spec = *spec;
    if (keyspace_changes_rewind(changes, e) < 0 || fill(l, changes, index, e) < 0 || collect(l, changes, index, e) < 0)
        return NULL;
    l->memory += l->n_places * sizeof(*l->places);
    sort(l->places, l->n);
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
