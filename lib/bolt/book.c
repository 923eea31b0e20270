#include "bolt/book.h"

#include <stdlib.h>
#include <string.h>

#include "bolt/format.h"

enum {
    BLOCK = 64 * 1024,     /* entries of the table that are made at once */
    CHUNK = 256 * 1024,    /* bytes of notes that are made at once */
    SCRATCH = CHUNK,       /* more than one note can have: the elements of a page of 64 KiB */
    BUCKETS_MAX = 1 << 18, /* bytes of notes with what leaves say of buckets: each transaction leaves one behind */
    REFERENCE = 256,       /* what is smaller in the table is a fault */
};

/* The first byte of a note. */
enum { IS_BRANCH = 1, IS_RAW = 2, FIRST_DEAD = 4, LAST_DEAD = 8, HAS_SPAN = 16, HAS_BUCKETS = 32, BUCKETS_KNOWN = 64 };

struct bolt_book {
    uint32_t **blocks; /* the table: a fault, or REFERENCE and where the note is */
    size_t n_blocks;
    uint64_t n_pages;
    uint64_t granted; /* bytes that may be taken */
    uint8_t **chunks;
    size_t n_chunks, used; /* used of the last */
    uint64_t note_bytes, bucket_bytes;
    uint8_t *scratch, *at; /* the note that is being written */
};

struct bolt_book *bolt_book_new(void)
{
    _cleanup_(cleanup_bolt_book_free) struct bolt_book *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->granted = BOLT_BOOK_BASE;
    b->scratch = malloc(SCRATCH);
    return b->scratch ? TAKE_PTR(b) : NULL;
}

/* One more entry of `what`, whose `n` entries grow by powers of two. */
static bool grow(void **what, size_t n, size_t entry)
{
    void *more;

    if ((n & (n - 1)) != 0)
        return true;
    more = reallocarray(*what, n ? 2 * n : 1, entry);
    if (more)
        *what = more;
    return more != NULL;
}

enum bolt_fault bolt_book_next(struct bolt_book *b, uint32_t page_size, enum bolt_fault fault)
{
    if (b->n_pages % BLOCK == 0) {
        uint32_t *block = NULL;

        if (!grow((void **)&b->blocks, b->n_blocks, sizeof(*b->blocks)) || !(block = malloc(BLOCK * sizeof(*block))))
            return BOLT_NO_MEMORY;
        b->blocks[b->n_blocks++] = block;
    }
    b->granted += page_size / BOLT_BOOK_SHARE;
    b->n_pages++;
    bolt_book_fault(b, b->n_pages - 1, fault);
    return BOLT_FINE;
}

static uint32_t *entry(const struct bolt_book *b, uint64_t page)
{
    return &b->blocks[page / BLOCK][page % BLOCK];
}

void bolt_book_fault(struct bolt_book *b, uint64_t page, enum bolt_fault fault)
{
    *entry(b, page) = (uint32_t)fault;
}

uint64_t bolt_book_pages(const struct bolt_book *b)
{
    return b->n_pages;
}

uint64_t bolt_book_size(const struct bolt_book *b)
{
    return b->note_bytes + b->n_pages * sizeof(uint32_t);
}

/* ---- writing ---- */

static void put(struct bolt_book *b, const void *data, size_t len)
{
    memcpy(b->at, data, len);
    b->at += len;
}

/* Seven bits a byte, the lowest first; the highest bit says that there is more. */
static void put_number(struct bolt_book *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *b->at++ = (uint8_t)(v | 0x80);
    *b->at++ = (uint8_t)v;
}

/* Small, whether it is above or below. */
static void put_difference(struct bolt_book *b, uint64_t from, uint64_t to)
{
    uint64_t d = to - from;

    put_number(b, d << 1 ^ (0 - (d >> 63)));
}

static void put_raw(struct bolt_book *b, const struct bolt_short *key)
{
    struct bytes head = bolt_short_head(key);

    put_number(b, key->len);
    put(b, head.data, head.len);
}

static bool is_revision(const struct bolt_short *key)
{
    return key->len < BOLT_SHORT_LEN && bolt_key_is_revision(bolt_short_head(key));
}

static void put_ends(struct bolt_book *b, const struct bolt_ends *ends)
{
    if (is_revision(&ends->first) && is_revision(&ends->last)) {
        uint64_t main = be64_load(ends->first.head);

        b->scratch[0] |= ends->first.len == BOLT_TOMBSTONE_LEN ? FIRST_DEAD : 0;
        b->scratch[0] |= ends->last.len == BOLT_TOMBSTONE_LEN ? LAST_DEAD : 0;
        put_number(b, main);
        put_number(b, be64_load(ends->first.head + 9));
        put_number(b, be64_load(ends->last.head) - main);
        put_number(b, be64_load(ends->last.head + 9));
        return;
    }
    b->scratch[0] |= IS_RAW;
    put_raw(b, &ends->first);
    put(b, &ends->first_hash, sizeof(ends->first_hash));
    put_raw(b, &ends->last);
}

static void put_buckets(struct bolt_book *b, const struct bolt_page *p)
{
    uint32_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        n += bolt_page_is_bucket(p, i);
    put_number(b, n);
    for (size_t i = 0; i < p->n; i++) {
        struct bytes name = bolt_page_key(p, i), value = bolt_page_value(p, i);
        uint64_t root;

        if (!bolt_page_is_bucket(p, i))
            continue;
        root = le64_load(value.data);
        put_number(b, name.len);
        put(b, name.data, name.len);
        put_number(b, root);
        if (root == 0) {
            put_number(b, value.len);
            put(b, value.data, value.len);
        }
    }
}

static void put_children(struct bolt_book *b, uint64_t number, const struct bolt_page *p)
{
    uint64_t hash = 0, before = number;

    for (size_t i = 0; i < p->n; i++)
        hash = bolt_hash_join(hash, bolt_key_hash(bolt_page_key(p, i)));
    put(b, &hash, sizeof(hash));
    for (size_t i = 0; i < p->n; i++) {
        put_difference(b, before, bolt_page_child(p, i));
        before = bolt_page_child(p, i);
    }
}

/* Notes lie within one chunk each, so that they are read as they are. */
static enum bolt_fault keep(struct bolt_book *b, uint64_t page, bool always)
{
    size_t len = (size_t)(b->at - b->scratch);
    uint64_t where;

    if (bolt_book_size(b) + len > b->granted && !always)
        return BOLT_NOT_KEPT;
    if (b->n_chunks == 0 || b->used + len > CHUNK) {
        uint8_t *chunk = NULL;

        if (!grow((void **)&b->chunks, b->n_chunks, sizeof(*b->chunks)) || !(chunk = malloc(CHUNK)))
            return BOLT_NOT_KEPT;
        b->chunks[b->n_chunks++] = chunk;
        b->used = 0;
    }
    where = (b->n_chunks - 1) * (uint64_t)CHUNK + b->used + REFERENCE;
    if (where > UINT32_MAX)
        return BOLT_NOT_KEPT;
    memcpy(b->chunks[b->n_chunks - 1] + b->used, b->scratch, len);
    b->used += len;
    b->note_bytes += len;
    *entry(b, page) = (uint32_t)where;
    return BOLT_FINE;
}

static void begin(struct bolt_book *b, const struct bolt_page *p)
{
    b->at = b->scratch;
    *b->at++ = (uint8_t)((p->is_branch ? IS_BRANCH : 0) | (p->overflow ? HAS_SPAN : 0) |
                         (p->has_buckets ? HAS_BUCKETS : 0));
    if (p->overflow)
        put_number(b, p->overflow);
    put_number(b, p->n);
}

static void end(struct bolt_book *b, uint64_t number, bool always)
{
    enum bolt_fault fault = keep(b, number, always);

    if (fault != BOLT_FINE)
        bolt_book_fault(b, number, fault);
}

void bolt_book_branch(struct bolt_book *b, uint64_t number, const struct bolt_page *p)
{
    begin(b, p);
    put_children(b, number, p);
    end(b, number, false);
}

static bool wants_buckets(const struct bolt_book *b, const struct bolt_page *p, enum bolt_buckets buckets)
{
    if (!p->has_buckets || p->n_there < p->n)
        return false;
    return buckets == BOLT_BUCKETS_ALWAYS || (buckets == BOLT_BUCKETS_IF_ROOM && b->bucket_bytes < BUCKETS_MAX);
}

void bolt_book_leaf(struct bolt_book *b, uint64_t number, const struct bolt_page *p, const struct bolt_ends *ends,
        enum bolt_buckets buckets)
{
    uint8_t *tail;

    begin(b, p);
    if (ends)
        put_ends(b, ends);
    tail = b->at;
    if (wants_buckets(b, p, buckets)) {
        put_buckets(b, p);
        b->scratch[0] |= BUCKETS_KNOWN;
        b->bucket_bytes += (uint64_t)(b->at - tail);
    }
    end(b, number, buckets == BOLT_BUCKETS_ALWAYS);
}

/* ---- reading what we wrote ---- */

static uint64_t get_number(const uint8_t **at)
{
    uint64_t v = 0;
    unsigned shift = 0;

    for (; **at & 0x80; (*at)++, shift += 7)
        v |= (uint64_t)(**at & 0x7F) << shift;
    v |= (uint64_t)(**at) << shift;
    (*at)++;
    return v;
}

static void get_revision(struct bolt_short *s, uint64_t main, uint64_t sub, bool dead)
{
    be64_store(s->head, main);
    s->head[8] = '_';
    be64_store(s->head + 9, sub);
    s->head[17] = 't';
    s->len = dead ? BOLT_TOMBSTONE_LEN : BOLT_REVISION_LEN;
}

static void get_raw(const uint8_t **at, struct bolt_short *s)
{
    size_t len;

    s->len = (uint16_t)get_number(at);
    len = bolt_short_head(s).len;
    memcpy(s->head, *at, len);
    *at += len;
}

static void get_ends(const uint8_t **at, uint8_t tag, struct bolt_ends *ends)
{
    uint64_t main, sub;

    if (tag & IS_RAW) {
        get_raw(at, &ends->first);
        memcpy(&ends->first_hash, *at, sizeof(ends->first_hash));
        *at += sizeof(ends->first_hash);
        get_raw(at, &ends->last);
        return;
    }
    main = get_number(at);
    sub = get_number(at);
    get_revision(&ends->first, main, sub, tag & FIRST_DEAD);
    main += get_number(at);
    sub = get_number(at);
    get_revision(&ends->last, main, sub, tag & LAST_DEAD);
    ends->first_hash = bolt_key_hash(bolt_short_head(&ends->first));
}

enum bolt_fault bolt_book_look(const struct bolt_book *b, uint64_t page, struct bolt_note *n)
{
    uint32_t where;
    uint8_t tag;

    if (page >= b->n_pages)
        return BOLT_BEYOND_FILE;
    where = *entry(b, page);
    if (where < REFERENCE)
        return (enum bolt_fault)where;
    where -= REFERENCE;
    n->next = b->chunks[where / CHUNK] + where % CHUNK;
    tag = *n->next++;
    n->is_branch = tag & IS_BRANCH;
    n->has_buckets = tag & HAS_BUCKETS;
    n->buckets_known = tag & BUCKETS_KNOWN;
    n->overflow = tag & HAS_SPAN ? (uint32_t)get_number(&n->next) : 0;
    n->n = (uint32_t)get_number(&n->next);
    n->left = n->is_branch ? n->n : 0;
    n->child_before = page;
    if (n->is_branch) {
        memcpy(&n->keys_hash, n->next, sizeof(n->keys_hash));
        n->next += sizeof(n->keys_hash);
    } else if (n->n > 0) {
        get_ends(&n->next, tag, &n->ends);
    }
    if (n->buckets_known)
        n->left = (uint32_t)get_number(&n->next);
    return BOLT_FINE;
}

bool bolt_note_child(struct bolt_note *n, uint64_t *child)
{
    uint64_t d;

    if (n->left == 0)
        return false;
    n->left--;
    d = get_number(&n->next);
    n->child_before += d >> 1 ^ (0 - (d & 1));
    *child = n->child_before;
    return true;
}

bool bolt_note_bucket(struct bolt_note *n, struct bolt_note_bucket *bucket)
{
    *bucket = (struct bolt_note_bucket){0};
    if (n->left == 0)
        return false;
    n->left--;
    bucket->name.len = get_number(&n->next);
    bucket->name.data = n->next;
    n->next += bucket->name.len;
    bucket->root = get_number(&n->next);
    if (bucket->root != 0)
        return true;
    bucket->content.len = get_number(&n->next);
    bucket->content.data = n->next;
    n->next += bucket->content.len;
    return true;
}

void bolt_book_free(struct bolt_book *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n_blocks; i++)
        free(b->blocks[i]);
    for (size_t i = 0; i < b->n_chunks; i++)
        free(b->chunks[i]);
    free(b->blocks);
    free(b->chunks);
    free(b->scratch);
    free(b);
}
