#include "bolt/walk.h"

#include <stdlib.h>
#include <string.h>

#include "bolt/freelist.h"
#include "bolt/page.h"

/* A branch whose children are being visited. */
struct level {
    uint64_t page;
    struct bolt_note note;
    uint64_t joined; /* the hash of what the children so far begin with */
    uint64_t first;  /* and of what the first of them does */
    uint32_t n_seen;
};

/* A set of pages: one bit each. */
struct pages {
    uint64_t n;
    uint8_t *bits;
};

struct state {
    const struct bolt_walk *w;
    struct bolt_report *report;
    struct pages reached;
    uint64_t n_reached;
    struct bolt_bucket_seen *bucket; /* the one whose tree this is; NULL: the root bucket */
    bool has_last;                   /* a leaf was seen, and with it: */
    size_t leaf_depth;
    struct bolt_short last; /* the key before, in this tree */
    struct level levels[BOLT_DEPTH_MAX];
    size_t depth;
    uint64_t roots[BOLT_BUCKETS_MAX]; /* of the buckets; 0: inline */
};

/* The first damage stays, and displaces ignorance. */
static void tell(struct state *s, uint64_t page, enum bolt_fault fault)
{
    struct bolt_report *r = s->report;
    bool is_ignorance = bolt_fault_is_ignorance(fault);

    if (r->structure == BOLT_DAMAGED || (is_ignorance && r->structure == BOLT_NOT_INSPECTED))
        return;
    r->structure = is_ignorance ? BOLT_NOT_INSPECTED : BOLT_DAMAGED;
    r->fault = fault;
    r->page = page;
}

static bool is_damaged(const struct state *s)
{
    return s->report->structure == BOLT_DAMAGED;
}

static bool is_in(const struct pages *set, uint64_t page)
{
    return set->bits[page / 8] & 1U << page % 8;
}

static void add(struct pages *set, uint64_t page)
{
    set->bits[page / 8] |= (uint8_t)(1U << page % 8);
}

/* Marks a page and those behind it that are its own. */
static enum bolt_fault reach(struct state *s, uint64_t page, uint32_t overflow)
{
    if (page >= s->reached.n || overflow >= s->reached.n - page)
        return BOLT_BEYOND_FILE;
    for (uint64_t i = page; i <= page + overflow; i++) {
        if (is_in(&s->reached, i))
            return BOLT_TWICE;
        add(&s->reached, i);
    }
    s->n_reached += (uint64_t)overflow + 1;
    return BOLT_FINE;
}

static void add_bucket(struct state *s, uint64_t page, const struct bolt_note_bucket *bucket)
{
    struct bolt_report *r = s->report;
    struct bolt_bucket_seen *seen = &r->buckets[r->n_buckets];
    size_t len = bucket->name.len < sizeof(seen->name) ? bucket->name.len : sizeof(seen->name) - 1;
    struct bolt_page inside;

    if (r->n_buckets == BOLT_BUCKETS_MAX) {
        tell(s, page, BOLT_MANY_BUCKETS);
        return;
    }
    *seen = (struct bolt_bucket_seen){.content = bucket->content};
    memcpy(seen->name, bucket->name.data, len);
    s->roots[r->n_buckets++] = bucket->root;
    if (bucket->root == 0 && bolt_inline_check(bucket->content, &inside) == BOLT_FINE) {
        seen->n = inside.n;
        if (inside.n > 0)
            bolt_short_set(&seen->last, bolt_page_key(&inside, inside.n - 1U));
    }
}

static void visit_buckets(struct state *s, uint64_t page, struct bolt_note *note)
{
    struct bolt_note_bucket bucket;

    if (!note->has_buckets) {
        if (!s->bucket)
            tell(s, page, BOLT_WRONG_FLAGS);
        return;
    }
    if (s->bucket || !note->buckets_known) {
        tell(s, page, s->bucket ? BOLT_MANY_BUCKETS : BOLT_NOT_KEPT);
        return;
    }
    if (note->left != note->n) /* in the root bucket there is nothing else */
        tell(s, page, BOLT_WRONG_FLAGS);
    while (bolt_note_bucket(note, &bucket))
        add_bucket(s, page, &bucket);
}

static void visit_leaf(struct state *s, uint64_t page, struct bolt_note *note)
{
    if (note->n == 0) {
        if (s->depth > 0) /* an empty tree is one empty leaf */
            tell(s, page, BOLT_EMPTY);
        return;
    }
    if (s->has_last && s->depth != s->leaf_depth)
        tell(s, page, BOLT_UNEVEN);
    if (s->has_last) {
        enum bolt_order order = bolt_short_order(&s->last, &note->ends.first);

        if (order != BOLT_BEFORE)
            tell(s, page, order == BOLT_NOT_BEFORE ? BOLT_ORDER_BETWEEN : BOLT_LONG_KEYS);
    }
    s->last = note->ends.last;
    s->leaf_depth = s->depth;
    s->has_last = true;
    if (s->bucket) {
        s->bucket->n += note->n;
        s->bucket->last = note->ends.last;
    }
    visit_buckets(s, page, note);
}

/* A subtree is done that begins with this key: so must its parent's element, and so on upwards. */
static void join(struct state *s, uint64_t first)
{
    struct level *top = &s->levels[s->depth - 1];

    if (top->n_seen++ == 0)
        top->first = first;
    top->joined = bolt_hash_join(top->joined, first);
}

/* Goes down to a page: a leaf is done at once, a branch becomes the top of the stack. */
static void descend(struct state *s, uint64_t page)
{
    struct bolt_note note;
    enum bolt_fault fault = bolt_book_look(s->w->book, page, &note);

    if (fault == BOLT_FINE)
        fault = reach(s, page, note.overflow);
    if (fault != BOLT_FINE) {
        tell(s, page, fault);
        return;
    }
    if (!note.is_branch) {
        visit_leaf(s, page, &note);
        if (s->depth > 0)
            join(s, note.ends.first_hash);
    } else if (s->depth == BOLT_DEPTH_MAX) {
        tell(s, page, BOLT_TOO_DEEP);
    } else {
        s->levels[s->depth++] = (struct level){.page = page, .note = note};
    }
}

/* Where something below is not known, neither is what it begins with. */
static void ascend(struct state *s)
{
    struct level done = s->levels[--s->depth];

    if (s->report->structure == BOLT_SOUND && done.joined != done.note.keys_hash)
        tell(s, done.page, BOLT_PARENT_KEYS);
    if (s->depth > 0)
        join(s, done.first);
}

/* One tree, without recursion: each page is entered once, so it ends. */
static void walk_tree(struct state *s, uint64_t root)
{
    uint64_t child;

    s->has_last = false;
    s->depth = 0;
    descend(s, root);
    while (s->depth > 0 && !is_damaged(s)) {
        if (bolt_note_child(&s->levels[s->depth - 1].note, &child))
            descend(s, child);
        else
            ascend(s);
    }
}

/* Each page is in use, or in the list, and no page is both. */
static void check_freelist(struct state *s)
{
    struct bytes ids = s->w->freelist;
    struct pages free_pages = {.n = s->reached.n, .bits = calloc(1, s->reached.n / 8 + 1)};
    uint64_t page = 0;

    if (!free_pages.bits) {
        tell(s, s->report->meta.freelist, BOLT_NO_MEMORY);
        return;
    }
    while (bolt_freelist_next(&ids, &page) && !is_damaged(s)) {
        add(&free_pages, page);
        if (is_in(&s->reached, page))
            tell(s, page, BOLT_FREE_AND_USED);
    }
    for (page = 0; page < s->reached.n && !is_damaged(s); page++)
        if (!is_in(&s->reached, page) && !is_in(&free_pages, page))
            tell(s, page, BOLT_LOST);
    free(free_pages.bits);
}

static void walk_all(struct state *s, uint32_t freelist_overflow)
{
    const struct bolt_meta *meta = &s->report->meta;

    (void)reach(s, 0, BOLT_FIRST_PAGE - 1);
    if (meta->freelist != BOLT_NO_FREELIST && reach(s, meta->freelist, freelist_overflow) != BOLT_FINE)
        tell(s, meta->freelist, BOLT_WRONG_FREELIST);
    walk_tree(s, meta->root);
    for (size_t i = 0; i < s->report->n_buckets && !is_damaged(s); i++) {
        s->bucket = &s->report->buckets[i];
        if (s->roots[i] != 0)
            walk_tree(s, s->roots[i]);
    }
    if (meta->freelist != BOLT_NO_FREELIST && s->report->structure == BOLT_SOUND)
        check_freelist(s);
    if (s->report->structure == BOLT_SOUND)
        s->report->n_used = s->n_reached;
}

void bolt_walk_trees(const struct bolt_walk *w)
{
    uint64_t n = w->report->meta.n_pages;
    _cleanup_free_ struct state *s = calloc(1, sizeof(*s));
    _cleanup_free_ uint8_t *bits = calloc(1, n / 8 + 1);

    if (!s || !bits) {
        w->report->structure = BOLT_NOT_INSPECTED;
        w->report->fault = BOLT_NO_MEMORY;
        return;
    }
    s->w = w;
    s->report = w->report;
    s->reached = (struct pages){.n = n, .bits = bits};
    walk_all(s, w->freelist_overflow);
}
