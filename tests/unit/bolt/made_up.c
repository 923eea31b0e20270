#include "made_up.h"

#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS_MAX = 600, NODES_MAX = 800, KEY_MAX = 40, LEVELS_MAX = 8, HEADER = 16, ELEMENT = 16 };

/* An element of a page that is still to be written. */
struct item {
    size_t key_len, value_len;
    uint8_t key[KEY_MAX];
    const uint8_t *value; /* NULL: random bytes of that length, from `seed` */
    uint64_t seed;
    size_t child; /* of a branch, and of a bucket that has a tree: a node */
    bool is_bucket, has_tree;
};

struct node {
    bool is_branch;
    size_t n;
    struct item *items;
    uint64_t id, span;
};

struct maker {
    uint64_t random;
    struct made_up *m;
    size_t n_nodes;
    struct node nodes[NODES_MAX];
};

uint64_t made_up_random(uint64_t *state, uint64_t n)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % n;
}

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static uint64_t fnv(uint64_t h, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        h = (h ^ bytes.data[i]) * UINT64_C(1099511628211);
    return h;
}

uint64_t made_up_join(uint64_t digest, struct bytes key, struct bytes value)
{
    digest = digest * 31 + key.len * 7 + value.len;
    /* The ends of long ones say enough. */
    if (value.len > 64)
        digest = fnv(digest, (struct bytes){value.data + value.len - 64, 64});
    return fnv(fnv(digest, key), (struct bytes){value.data, value.len > 64 ? 64 : value.len});
}

static void put16(uint8_t *p, uint16_t v)
{
    memcpy(p, &(uint16_t){htole16(v)}, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &(uint32_t){htole32(v)}, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
    memcpy(p, &(uint64_t){htole64(v)}, sizeof(v));
}

void made_up_sign_meta(uint8_t *page)
{
    put64(page + 72, fnv(UINT64_C(14695981039346656037), (struct bytes){page + 16, 56}));
}

/* ---- what is in it ---- */

static int by_key(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->key_len < y->key_len ? x->key_len : y->key_len);

    return order ? order : x->key_len < y->key_len ? -1 : x->key_len > y->key_len;
}

static void make_key(struct maker *k, struct item *item, uint64_t number, bool revisions)
{
    if (revisions) {
        item->key_len = made_up_random(&k->random, 5) == 0 ? 18 : 17;
        be64_store(item->key, 1 + number / 3);
        item->key[8] = '_';
        be64_store(item->key + 9, number % 3);
        item->key[17] = 't';
        return;
    }
    item->key_len = 1 + made_up_random(&k->random, KEY_MAX);
    for (size_t i = 0; i < item->key_len; i++) /* few letters, so that beginnings are shared */
        item->key[i] = (uint8_t)(made_up_random(&k->random, 4) * 85);
}

static size_t value_length(struct maker *k)
{
    uint64_t dice = made_up_random(&k->random, 100);

    if (dice == 0)
        return made_up_random(&k->random, 4 * (uint64_t)k->m->page_size);
    return made_up_random(&k->random, dice < 20 ? 600 : 40);
}

static struct item *make_items(struct maker *k, size_t n, size_t *left, bool is_small)
{
    struct item *items = must(calloc(n + 1, sizeof(*items)));
    bool revisions = made_up_random(&k->random, 2) == 0;
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        make_key(k, &items[i], i, revisions);
        items[i].value_len = is_small ? made_up_random(&k->random, 10) : value_length(k);
        items[i].seed = made_up_random(&k->random, UINT64_MAX);
    }
    qsort(items, n, sizeof(*items), by_key);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || by_key(&items[kept - 1], &items[i]) != 0)
            items[kept++] = items[i];
    *left = kept;
    return items;
}

static void write_value(const struct item *item, uint8_t *to)
{
    uint64_t state = item->seed;

    if (item->value) {
        memcpy(to, item->value, item->value_len);
        return;
    }
    for (size_t i = 0; i < item->value_len; i += 8) {
        uint64_t v = made_up_random(&state, UINT64_MAX);

        memcpy(to + i, &v, item->value_len - i < 8 ? item->value_len - i : 8);
    }
}

/* Header, elements and data; the header's number and overflow stay 0. Returns the length. */
static size_t write_elements(const struct maker *k, const struct node *node, uint8_t *to)
{
    size_t at = HEADER + node->n * ELEMENT;

    put16(to + 8, node->is_branch ? 0x01 : 0x02);
    put16(to + 10, (uint16_t)node->n);
    for (size_t i = 0; i < node->n; i++) {
        const struct item *item = &node->items[i];
        uint8_t *element = to + HEADER + i * ELEMENT;
        uint32_t pos = (uint32_t)(at - (HEADER + i * ELEMENT));

        if (node->is_branch) {
            put32(element, pos);
            put32(element + 4, (uint32_t)item->key_len);
            put64(element + 8, k->nodes[item->child].id);
        } else {
            put32(element, item->is_bucket);
            put32(element + 4, pos);
            put32(element + 8, (uint32_t)item->key_len);
            put32(element + 12, (uint32_t)item->value_len);
        }
        memcpy(to + at, item->key, item->key_len);
        at += item->key_len;
        if (!node->is_branch)
            write_value(item, to + at);
        if (item->has_tree)
            put64(to + at, k->nodes[item->child].id);
        at += node->is_branch ? 0 : item->value_len;
    }
    return at;
}

static size_t length_of(const struct node *node)
{
    size_t len = HEADER;

    for (size_t i = 0; i < node->n; i++)
        len += ELEMENT + node->items[i].key_len + (node->is_branch ? 0 : node->items[i].value_len);
    return len;
}

static size_t add_node(struct maker *k, bool is_branch, struct item *items, size_t n)
{
    struct node *node = &k->nodes[k->n_nodes];

    if (k->n_nodes == NODES_MAX)
        abort();
    *node = (struct node){.is_branch = is_branch, .n = n, .items = must(calloc(n + 1, sizeof(*items)))};
    if (n > 0)
        memcpy(node->items, items, n * sizeof(*items));
    node->span = (length_of(node) + k->m->page_size - 1) / k->m->page_size;
    if (length_of(node) % k->m->page_size == 0)
        node->span += made_up_random(&k->random, 2);
    return k->n_nodes++;
}

/* One level of a tree: items in nodes; what stands for them in the level above. */
static size_t make_level(struct maker *k, bool is_branch, struct item *items, size_t n, struct item *above)
{
    size_t made = 0;

    for (size_t at = 0, take; at < n; at += take) {
        size_t room = HEADER;

        /* Few in a page, so that small trees are high, or as many as it can hold. */
        take = 1 + made_up_random(&k->random, made_up_random(&k->random, 4) ? 9 : ITEMS_MAX);
        take += is_branch && take == 1; /* one child alone could as well be left out */
        take = take + is_branch < n - at ? take : n - at;
        for (size_t i = 0; i < take; i++) {
            room += ELEMENT + items[at + i].key_len + (is_branch ? 0 : items[at + i].value_len);
            if (room > k->m->page_size && i > 3)
                take = i;
        }
        above[made] = items[at];
        above[made].value_len = 0;
        above[made++].child = add_node(k, is_branch, items + at, take);
    }
    return made;
}

/* The node where the tree begins. */
static size_t make_tree(struct maker *k, struct item *items, size_t n)
{
    struct item *level = must(calloc(n + 1, sizeof(*level))), *above = must(calloc(n + 1, sizeof(*above)));
    bool is_branch = false;
    size_t root;

    if (n > 0)
        memcpy(level, items, n * sizeof(*level));
    for (unsigned levels = 0; n > 1 && levels < LEVELS_MAX; levels++) {
        struct item *swap = level;

        n = make_level(k, is_branch, level, n, above);
        is_branch = true;
        level = above;
        above = swap;
        if (n == 1)
            break;
    }
    root = is_branch && n == 1 ? level[0].child : add_node(k, is_branch, level, n);
    free(level);
    free(above);
    return root;
}

static void make_inline(struct item *bucket, struct item *items, size_t n)
{
    struct node node = {.items = items, .n = n};
    uint8_t *value;

    bucket->value_len = 16 + length_of(&node);
    value = must(calloc(1, bucket->value_len));
    (void)write_elements(NULL, &node, value + 16);
    bucket->value = value;
}

/* What etcd has in its bucket `key`. */
static struct item *make_changes(struct maker *k, size_t *n)
{
    const struct history *h = &k->m->history;
    struct item *items = must(calloc(h->n + 1, sizeof(*items)));

    *n = 0;
    for (size_t i = 0; i < h->n; i++) {
        const struct change *c = &h->changes[i];

        if (c->is_gone)
            continue;
        items[*n] = (struct item){.key_len = c->key_len, .value = c->value, .value_len = c->value_len};
        memcpy(items[(*n)++].key, c->key, c->key_len);
    }
    return items;
}

/* And in `meta`: up to where it has compacted. */
static struct item *make_meta(struct maker *k, size_t *n)
{
    static const char *const names[] = {"finishedCompactRev", "scheduledCompactRev", "storageVersion", "term"};
    static uint8_t compacted[17];
    const struct history *h = &k->m->history;
    struct item *items = must(calloc(ARRAY_LEN(names), sizeof(*items)));

    *n = 0;
    be64_store(compacted, (uint64_t)h->compacted);
    compacted[8] = '_';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct item *item = &items[*n];

        if ((i == 0 && !h->is_finished) || (i == 1 && h->compacted < 0) || (i > 1 && made_up_random(&k->random, 2)))
            continue;
        item->key_len = strlen(names[i]);
        memcpy(item->key, names[i], item->key_len);
        item->value = i < 2 ? compacted : i == 2 ? (const uint8_t *)"3.6.0" : (const uint8_t *)"\0\0\0\0\0\0\0\2";
        item->value_len = i < 2 ? sizeof(compacted) : i == 2 ? 5 : 8;
        ++*n;
    }
    return items;
}

static void describe(struct made_up_bucket *b, const struct item *items, size_t n)
{
    b->n = n;
    for (size_t i = 0; i < n; i++) {
        uint8_t *value = must(malloc(items[i].value_len + 8));

        write_value(&items[i], value);
        b->digest = made_up_join(
                b->digest, (struct bytes){items[i].key, items[i].key_len}, (struct bytes){value, items[i].value_len});
        free(value);
    }
}

static void make_bucket(struct maker *k, size_t i, struct item *bucket)
{
    static const char *const names[MADE_UP_BUCKETS_MAX] = {
            "alarm", "auth", "cluster", "key", "lease", "members", "meta", "z-a-bucket-of-a-name"};
    struct made_up_bucket *b = &k->m->buckets[i];
    bool is_meta = strcmp(names[i], "meta") == 0, is_key = strcmp(names[i], "key") == 0;
    bool is_inline = is_meta || (made_up_random(&k->random, 3) == 0 && !is_key);
    size_t n = made_up_random(&k->random, is_inline ? 8 : made_up_random(&k->random, 8) ? 24 : ITEMS_MAX);
    struct item *items = is_key ? make_changes(k, &n) : is_meta ? make_meta(k, &n) : make_items(k, n, &n, is_inline);

    k->m->has_keys |= is_key;
    k->m->has_meta |= is_meta;
    strcpy(b->name, names[i]);
    describe(b, items, n);
    *bucket = (struct item){.key_len = strlen(names[i]), .is_bucket = true, .value_len = 16};
    memcpy(bucket->key, names[i], bucket->key_len);
    if (is_inline) {
        make_inline(bucket, items, n);
    } else {
        bucket->has_tree = true;
        bucket->value = must(calloc(1, bucket->value_len));
        bucket->child = make_tree(k, items, n);
    }
    free(items);
}

/* ---- where it lies ---- */

/* Numbers for nodes in any order, with gaps. Returns how many pages there are. */
static uint64_t place(struct maker *k)
{
    size_t order[NODES_MAX];
    uint64_t at = 2 + made_up_random(&k->random, 3);
    bool in_order = made_up_random(&k->random, 2) == 0;

    for (size_t i = 0; i < k->n_nodes; i++)
        order[i] = i;
    for (size_t i = k->n_nodes; i > 1 && !in_order; i--) {
        size_t j = made_up_random(&k->random, i), swap = order[j];

        order[j] = order[i - 1];
        order[i - 1] = swap;
    }
    for (size_t i = 0; i < k->n_nodes; i++) {
        struct node *node = &k->nodes[order[i]];

        node->id = at;
        at += node->span + (made_up_random(&k->random, 4) ? 0 : made_up_random(&k->random, 3));
    }
    return at;
}

static void write_nodes(struct maker *k)
{
    for (size_t i = 0; i < k->n_nodes; i++) {
        const struct node *node = &k->nodes[i];
        uint8_t *page = k->m->bytes + node->id * k->m->page_size;

        (void)write_elements(k, node, page);
        put64(page, node->id);
        put32(page + 12, (uint32_t)(node->span - 1));
        memset(k->m->used + node->id, 2, node->span);
        k->m->used[node->id] = 1;
    }
}

/* What is free holds what was there before: here mostly another page, under the number that it would have. */
static void litter(struct maker *k)
{
    struct made_up *m = k->m;

    for (uint64_t page = 2; page < m->n_pages; page++) {
        const struct node *other = &k->nodes[made_up_random(&k->random, k->n_nodes)];
        uint8_t *to = m->bytes + page * m->page_size;

        if (m->used[page])
            continue;
        memcpy(to, m->bytes + other->id * m->page_size, m->page_size);
        if (made_up_random(&k->random, 3))
            put64(to, page);
    }
}

static void write_metas(struct made_up *m, uint64_t txid, uint64_t root, uint64_t freelist)
{
    for (uint64_t i = 0; i < 2; i++) {
        uint8_t *page = m->bytes + i * m->page_size;

        put64(page, i);
        put16(page + 8, 0x04);
        put32(page + 16, 0xED0CDAED);
        put32(page + 20, 2);
        put32(page + 24, m->page_size);
        put64(page + 32, root);
        put64(page + 48, freelist);
        put64(page + 56, m->n_pages);
        put64(page + 64, txid - i);
        made_up_sign_meta(page);
        m->used[i] = 1;
    }
}

/* In the last page: there are never so many free ones that it needs another. */
static uint64_t write_freelist(struct maker *k)
{
    struct made_up *m = k->m;
    uint64_t id = m->n_pages - 1, n = 0;
    uint8_t *page = m->bytes + id * m->page_size;

    memset(page, 0, m->page_size);
    m->used[id] = 1;
    for (uint64_t i = 2; i < id; i++)
        if (!m->used[i])
            put64(page + HEADER + 8 * n++, i);
    put64(page, id);
    put16(page + 8, 0x10);
    put16(page + 10, (uint16_t)n);
    return id;
}

void made_up_make(struct made_up *m, uint64_t seed)
{
    struct maker *k = must(calloc(1, sizeof(*k)));
    struct item buckets[MADE_UP_BUCKETS_MAX];
    bool has_freelist;
    size_t root;

    *m = (struct made_up){0};
    k->random = seed;
    k->m = m;
    m->page_size = 4096U << (made_up_random(&k->random, 16) ? 0 : made_up_random(&k->random, 5));
    history_make(&m->history, &k->random);
    m->n_buckets = made_up_random(&k->random, MADE_UP_BUCKETS_MAX + 1);
    for (size_t i = 0; i < m->n_buckets; i++)
        make_bucket(k, i, &buckets[i]);
    if (m->n_buckets == 0)
        buckets[0] = (struct item){0};
    root = made_up_random(&k->random, 3) ? add_node(k, false, buckets, m->n_buckets)
                                         : make_tree(k, buckets, m->n_buckets);
    has_freelist = made_up_random(&k->random, 3) == 0;
    m->n_pages = place(k) + has_freelist;
    m->bytes = must(calloc(m->n_pages, m->page_size));
    m->used = must(calloc(m->n_pages, 1));
    write_nodes(k);
    litter(k);
    write_metas(
            m, 2 + made_up_random(&k->random, 1000), k->nodes[root].id, has_freelist ? write_freelist(k) : UINT64_MAX);
    for (uint64_t i = 0; i < m->n_pages; i++)
        m->n_used += m->used[i] != 0;
    for (size_t i = 0; i < m->n_buckets; i++)
        free((void *)(uintptr_t)buckets[i].value);
    for (size_t i = 0; i < k->n_nodes; i++)
        free(k->nodes[i].items);
    free(k);
}

void made_up_frame(uint8_t *bytes, uint64_t len)
{
    struct made_up m = {.page_size = 4096, .n_pages = len / 4096, .bytes = bytes};

    for (size_t page = 0; page < 3; page++)
        memset(bytes + page * 4096, 0, 80);
    m.used = must(calloc(m.n_pages, 1));
    write_metas(&m, 7, 2, UINT64_MAX);
    put64(bytes + 2 * 4096, 2);
    put16(bytes + 2 * 4096 + 8, 0x02);
    free(m.used);
}

void made_up_name(size_t i, char name[MADE_UP_NAME_LEN + 1])
{
    (void)snprintf(name, MADE_UP_NAME_LEN + 1, "key/%05u", (unsigned)(i * 7919 % 99991)); /* a prime, so all differ */
}

/* Its key is the revision, its value a KeyValue. */
static void make_put(struct item *item, size_t i, uint8_t value[32])
{
    const uint64_t revision = i + 2;
    size_t at = 0;

    item->key_len = 17;
    be64_store(item->key, revision);
    item->key[8] = '_';
    value[at++] = 0x0A;
    value[at++] = MADE_UP_NAME_LEN;
    made_up_name(i, (char *)value + at);
    at += MADE_UP_NAME_LEN;
    for (unsigned field = 0x10; field <= 0x18; field += 8) { /* created and changed */
        value[at++] = (uint8_t)field;
        for (unsigned shift = 0; shift < 21; shift += 7)
            value[at++] = (uint8_t)(revision >> shift | (shift < 14 ? 0x80 : 0));
    }
    value[at++] = 0x20;
    value[at++] = 1;
    item->value = value;
    item->value_len = at;
}

uint8_t *made_up_keys(size_t n, size_t *len)
{
    struct item *items = must(calloc(n + 1, sizeof(*items))), bucket = {.key = "key", .key_len = 3, .is_bucket = true};
    uint8_t *values = must(calloc(n + 1, 32)), place[16] = {3}, *bytes;
    struct node leaf = {.n = n, .items = items}, root = {.n = 1, .items = &bucket};
    uint64_t span;

    for (size_t i = 0; i < n; i++)
        make_put(&items[i], i, values + 32 * i);
    bucket.value = place;
    bucket.value_len = sizeof(place);
    span = (length_of(&leaf) + 4095) / 4096;
    *len = (3 + span) * 4096;
    bytes = must(calloc(1, *len));
    made_up_frame(bytes, *len);
    (void)write_elements(NULL, &root, bytes + 2 * (size_t)4096);
    (void)write_elements(NULL, &leaf, bytes + 3 * (size_t)4096);
    put64(bytes + 3 * (size_t)4096, 3);
    put32(bytes + 3 * (size_t)4096 + 12, (uint32_t)span - 1);
    free(values);
    free(items);
    return bytes;
}

void made_up_release(struct made_up *m)
{
    free(m->bytes);
    free(m->used);
}
