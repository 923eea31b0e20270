#include "bolt/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bolt/freelist.h"
#include "bolt/walk.h"

enum { SPREAD_MAX = 16, SPREAD_KEYS = 64 };

/* A leaf of several pages, some of whose keys are still to come. */
struct spread {
    uint64_t number;
    struct bolt_page page; /* whose bytes are gone */
    struct bolt_ends ends; /* the last one is that before the one to come */
    struct bolt_short next;
    size_t i, n;
    struct {
        uint64_t at; /* from where the page begins */
        uint32_t size;
    } keys[SPREAD_KEYS];
};

struct bolt_stream {
    struct bolt_report report;
    bool ended;         /* nothing of what still comes matters: the report tells why */
    uint32_t page_size; /* 0 until it is known */
    struct bolt_book *book;
    struct bolt_freelist freelist;
    bool root_is_leaf; /* and has gone by */
    size_t n_spread;
    struct spread *spread; /* the outermost first */
    size_t carried;
    uint8_t *carry; /* a page that comes in pieces */
};

static const char *const names[] = {
        [BOLT_SOUND] = "sound", [BOLT_DAMAGED] = "damaged", [BOLT_NOT_INSPECTED] = "not inspected"};

const char *bolt_structure_name(enum bolt_structure structure)
{
    return names[structure];
}

struct bolt_stream *bolt_stream_new(struct err *e)
{
    _cleanup_(cleanup_bolt_stream_free) struct bolt_stream *s = calloc(1, sizeof(*s));

    if (s) {
        s->freelist = BOLT_FREELIST_INIT;
        s->book = bolt_book_new();
        s->carry = malloc(BOLT_PAGE_SIZE_MAX);
        s->spread = calloc(SPREAD_MAX, sizeof(*s->spread));
    }
    if (s && s->book && s->carry && s->spread)
        return TAKE_PTR(s);
    err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for the look at a snapshot's structure");
    return NULL;
}

/* What makes all else pointless. */
static void give_up(struct bolt_stream *s, uint64_t page, enum bolt_fault fault)
{
    s->ended = true;
    s->report.structure = bolt_fault_is_ignorance(fault) ? BOLT_NOT_INSPECTED : BOLT_DAMAGED;
    s->report.fault = fault;
    s->report.page = page;
}

/* ---- leaves of several pages ---- */

static void drop_spread(struct bolt_stream *s, size_t i)
{
    s->n_spread--;
    memmove(&s->spread[i], &s->spread[i + 1], (s->n_spread - i) * sizeof(*s->spread));
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* As much of the next key's beginning as this page has; whether that is all that is needed. */
static bool take_key(struct spread *sp, const uint8_t *page, uint64_t page_at, uint32_t page_size)
{
    uint64_t begin = sp->keys[sp->i].at, end = begin + min64(sp->keys[sp->i].size, BOLT_SHORT_LEN);
    uint64_t from = begin > page_at ? begin : page_at, to = min64(end, page_at + page_size);

    if (from < to)
        memcpy(sp->next.head + (from - begin), page + (from - page_at), to - from);
    sp->next.len = (uint16_t)sp->keys[sp->i].size;
    return end <= page_at + page_size;
}

static enum bolt_fault compare_next(struct spread *sp)
{
    enum bolt_order order = bolt_short_order(&sp->ends.last, &sp->next);

    sp->ends.last = sp->next;
    sp->i++;
    if (order == BOLT_BEFORE)
        return BOLT_FINE;
    return order == BOLT_NOT_BEFORE ? BOLT_KEY_ORDER : BOLT_LONG_KEYS;
}

/* The keys that this page has of it. Whether it is done. */
static bool continue_spread(struct bolt_stream *s, struct spread *sp, const uint8_t *page, uint64_t number)
{
    uint64_t page_at = (number - sp->number) * s->page_size;

    while (sp->i < sp->n && take_key(sp, page, page_at, s->page_size)) {
        enum bolt_fault fault = compare_next(sp);

        if (fault != BOLT_FINE) {
            bolt_book_fault(s->book, sp->number, fault);
            return true;
        }
    }
    if (sp->i < sp->n)
        return false;
    bolt_book_leaf(s->book, sp->number, &sp->page, &sp->ends, BOLT_BUCKETS_NOT);
    return true;
}

/* An outer one that has no room any more is left as it is: what is within it was written later, or is no page. */
static void begin_spread(
        struct bolt_stream *s, uint64_t number, const struct bolt_page *p, const struct bolt_ends *ends)
{
    struct spread *sp;

    bolt_book_fault(s->book, number, BOLT_UNUSUAL);
    if (p->n_there == 0 || p->n - p->n_there > SPREAD_KEYS)
        return;
    if (s->n_spread == SPREAD_MAX)
        drop_spread(s, 0);
    sp = &s->spread[s->n_spread++];
    *sp = (struct spread){.number = number, .page = *p, .ends = *ends, .n = (size_t)(p->n - p->n_there)};
    for (size_t i = 0; i < sp->n; i++) {
        size_t element = BOLT_HEADER_LEN + (p->n_there + i) * BOLT_ELEMENT_LEN;
        struct bolt_leaf_element el = bolt_leaf_load(p->data + element);

        sp->keys[i].at = element + el.pos;
        sp->keys[i].size = el.key_size;
    }
    if (continue_spread(s, sp, p->data, number)) /* the beginning of a key may be all that is needed */
        drop_spread(s, s->n_spread - 1);
}

/* ---- pages ---- */

static void note_leaf(struct bolt_stream *s, uint64_t number, const struct bolt_page *p)
{
    enum bolt_buckets buckets = s->root_is_leaf ? BOLT_BUCKETS_NOT : BOLT_BUCKETS_IF_ROOM;
    struct bolt_ends ends = {0};

    if (number == s->report.meta.root) {
        buckets = BOLT_BUCKETS_ALWAYS;
        s->root_is_leaf = true;
    }
    if (p->n_there > 0) {
        struct bytes first = bolt_page_key(p, 0);

        bolt_short_set(&ends.first, first);
        ends.first_hash = bolt_key_hash(first);
        bolt_short_set(&ends.last, bolt_page_key(p, p->n_there - 1U));
    }
    if (p->n_there < p->n)
        begin_spread(s, number, p, &ends);
    else
        bolt_book_leaf(s->book, number, p, p->n > 0 ? &ends : NULL, buckets);
}

static void look_at_candidate(struct bolt_stream *s, const uint8_t *page, uint64_t number)
{
    struct bolt_page p;
    enum bolt_fault fault = bolt_page_check(page, s->page_size, s->page_size, number, &p);

    if (fault == BOLT_FINE && p.is_branch && p.n_there < p.n)
        fault = BOLT_UNUSUAL;
    if (fault != BOLT_FINE)
        bolt_book_fault(s->book, number, fault);
    else if (p.is_branch)
        bolt_book_branch(s->book, number, &p);
    else
        note_leaf(s, number, &p);
}

static void look_at_twin(struct bolt_stream *s, const uint8_t *page)
{
    struct bolt_meta twin;
    enum bolt_fault fault = bolt_meta_load(page, 1, &twin);

    if (fault == BOLT_FINE && !bolt_meta_is_twin(&s->report.meta, &twin))
        fault = BOLT_NOT_TWINS;
    if (fault != BOLT_FINE)
        give_up(s, 1, fault);
}

/* The next whole page. */
static void look(struct bolt_stream *s, const uint8_t *page)
{
    uint64_t number = bolt_book_pages(s->book);
    enum bolt_fault fault = bolt_book_next(s->book, s->page_size, BOLT_OTHER_PAGE);

    if (fault != BOLT_FINE) {
        give_up(s, number, fault);
        return;
    }
    if (number < BOLT_FIRST_PAGE) {
        if (number == 1)
            look_at_twin(s, page);
        return;
    }
    if (number == s->report.meta.freelist)
        bolt_freelist_begin(&s->freelist, page, &s->report.meta);
    else if (s->freelist.left > 0)
        bolt_freelist_more(&s->freelist, page, &s->report.meta);
    for (size_t i = s->n_spread; i > 0; i--)
        if (continue_spread(s, &s->spread[i - 1], page, number))
            drop_spread(s, i - 1);
    if (bolt_page_is_candidate(page, number))
        look_at_candidate(s, page, number);
}

/* ---- bytes ---- */

/* Moves so many bytes into the carry that it has `want`, if there are so many; whether there were. */
static bool carry(struct bolt_stream *s, struct bytes *piece, size_t want)
{
    size_t n = want > s->carried ? want - s->carried : 0;

    n = n < piece->len ? n : piece->len;
    if (n > 0)
        memcpy(s->carry + s->carried, piece->data, n);
    s->carried += n;
    piece->data += n;
    piece->len -= n;
    return s->carried >= want;
}

/* The file's beginning tells how large a page is. */
static void learn_page_size(struct bolt_stream *s, struct bytes *piece)
{
    enum bolt_fault fault;

    if (!carry(s, piece, BOLT_META_END))
        return;
    fault = bolt_meta_load(s->carry, 0, &s->report.meta);
    if (fault == BOLT_FINE)
        s->page_size = s->report.meta.page_size;
    else
        give_up(s, 0, fault);
}

void bolt_stream_update(struct bolt_stream *s, struct bytes piece)
{
    if (s->page_size == 0 && !s->ended)
        learn_page_size(s, &piece);
    while (piece.len > 0 && !s->ended) {
        if (s->carried == 0 && piece.len >= s->page_size) {
            look(s, piece.data);
            piece.data += s->page_size;
            piece.len -= s->page_size;
        } else if (carry(s, &piece, s->page_size)) {
            s->carried = 0;
            look(s, s->carry);
        }
    }
}

/* ---- the end ---- */

static void check_end(struct bolt_stream *s)
{
    uint64_t n = bolt_book_pages(s->book);

    if (s->page_size == 0)
        give_up(s, 0, BOLT_CUT);
    else if (s->carried != 0 && s->carried != BOLT_TRAILER_LEN)
        give_up(s, n, BOLT_CUT);
    else if (n != s->report.meta.n_pages)
        give_up(s, 0, BOLT_WRONG_SIZE);
    else if (s->freelist.fault != BOLT_FINE || s->freelist.left > 0)
        give_up(s, s->report.meta.freelist, s->freelist.fault ? s->freelist.fault : BOLT_WRONG_FREELIST);
}

static void put_into_words(struct bolt_report *r)
{
    if (r->structure != BOLT_SOUND)
        (void)snprintf(r->why, sizeof(r->why), "page %" PRIu64 ": %s", r->page, bolt_fault_text(r->fault));
}

const struct bolt_report *bolt_stream_finish(struct bolt_stream *s)
{
    struct bolt_walk walk = {.book = s->book, .report = &s->report};

    for (size_t i = 0; i < s->n_spread; i++)
        bolt_book_fault(s->book, s->spread[i].number, BOLT_CUT);
    if (!s->ended)
        check_end(s);
    if (!s->ended) {
        walk.freelist = buf_bytes(&s->freelist.ids);
        walk.freelist_overflow = s->freelist.overflow;
        bolt_walk_trees(&walk);
    }
    if (s->report.structure != BOLT_SOUND)
        s->report.n_buckets = 0;
    s->report.memory = bolt_book_size(s->book) + s->freelist.ids.cap;
    put_into_words(&s->report);
    return &s->report;
}

void bolt_stream_free(struct bolt_stream *s)
{
    if (!s)
        return;
    bolt_book_free(s->book);
    bolt_freelist_free(&s->freelist);
    free(s->carry);
    free(s->spread);
    free(s);
}
