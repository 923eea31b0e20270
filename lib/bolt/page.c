#include "bolt/page.h"

#include "base/bytes.h"

int bolt_key_compare(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.data, b.data, len) : 0; /* what is empty may be NULL */

    if (order != 0)
        return order;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static uint64_t be64_quick(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

/* The usual answer from eight bytes: etcd's keys begin with a revision. */
static bool is_before(struct bytes a, struct bytes b)
{
    if (a.len >= 8 && b.len >= 8) {
        uint64_t x = be64_quick(a.data), y = be64_quick(b.data);

        if (x != y)
            return x < y;
    }
    return bolt_key_compare(a, b) < 0;
}

/* A walk over the elements of a page. */
struct walk {
    struct bolt_page *p;
    struct bytes before; /* the key before, while keys are there */
    uint64_t at;         /* where the next key must begin, from the page's beginning */
    bool is_inline;
    bool is_elsewhere; /* a bucket's value is not there to be looked at */
};

/* The next element's key, and the value behind it. */
static enum bolt_fault step(struct walk *w, size_t i, uint32_t pos, uint32_t key_size, uint32_t value_size)
{
    struct bolt_page *p = w->p;

    if (key_size == 0 || key_size > BOLT_KEY_MAX)
        return BOLT_WRONG_KEY_SIZE;
    if (value_size > BOLT_VALUE_MAX)
        return BOLT_WRONG_VALUE_SIZE;
    if (BOLT_HEADER_LEN + i * BOLT_ELEMENT_LEN + pos != w->at)
        return BOLT_WRONG_LAYOUT;
    if (p->n_there == i && w->at + key_size <= p->have) {
        struct bytes key = {.data = p->data + w->at, .len = key_size};

        if (i > 0 && !is_before(w->before, key))
            return BOLT_KEY_ORDER;
        w->before = key;
        p->n_there++;
    }
    w->at += (uint64_t)key_size + value_size;
    return BOLT_FINE;
}

/* An element whose value says where a bucket is, or has it within. */
static enum bolt_fault check_bucket(struct walk *w, const struct bolt_leaf_element *el)
{
    struct bytes value = {.len = el->value_size};
    struct bolt_page inside;

    if (w->is_inline || el->value_size < BOLT_BUCKET_LEN)
        return BOLT_WRONG_BUCKET;
    if (w->at > w->p->have) {
        w->is_elsewhere = true;
        return BOLT_FINE;
    }
    value.data = w->p->data + w->at - el->value_size;
    if (le64_load(value.data) == 0)
        return bolt_inline_check(value, &inside) == BOLT_FINE ? BOLT_FINE : BOLT_WRONG_INLINE;
    return el->value_size == BOLT_BUCKET_LEN && le64_load(value.data) >= BOLT_FIRST_PAGE ? BOLT_FINE
                                                                                         : BOLT_WRONG_BUCKET;
}

/* bbolt writes into pages of zeros. */
static bool has_nothing(const struct bolt_page *p)
{
    static const uint8_t nothing[BOLT_ELEMENT_LEN];

    return p->have < BOLT_HEADER_LEN + BOLT_ELEMENT_LEN ||
           memcmp(bolt_element(p->data, 0), nothing, sizeof(nothing)) == 0;
}

static enum bolt_fault check_leaf(struct walk *w)
{
    enum bolt_fault fault = w->p->n > 0 || has_nothing(w->p) ? BOLT_FINE : BOLT_EMPTY;

    for (size_t i = 0; i < w->p->n && fault == BOLT_FINE; i++) {
        struct bolt_leaf_element el = bolt_leaf_load(bolt_element(w->p->data, i));

        if ((el.flags & ~(uint32_t)BOLT_BUCKET_FLAG) != 0)
            return BOLT_WRONG_FLAGS;
        fault = step(w, i, el.pos, el.key_size, el.value_size);
        if (fault == BOLT_FINE && el.flags != 0) {
            w->p->has_buckets = true;
            fault = check_bucket(w, &el);
        }
    }
    return fault;
}

static enum bolt_fault check_branch(struct walk *w, uint64_t number)
{
    enum bolt_fault fault = BOLT_FINE;

    if (w->p->n == 0)
        return BOLT_EMPTY;
    for (size_t i = 0; i < w->p->n && fault == BOLT_FINE; i++) {
        struct bolt_branch_element el = bolt_branch_load(bolt_element(w->p->data, i));

        if (el.child < BOLT_FIRST_PAGE || el.child == number)
            return BOLT_WRONG_CHILD;
        fault = step(w, i, el.pos, el.key_size, 0);
    }
    return fault;
}

/* As many pages as the contents need, or one more where they fill the last one (older bbolt rounds up so). */
static bool is_right_span(const struct bolt_page *p)
{
    uint64_t span = (uint64_t)p->overflow + 1, needed = (p->used + p->page_size - 1) / p->page_size;

    return span == needed || (span == needed + 1 && p->used % p->page_size == 0);
}

static uint64_t first_pos(const struct bolt_page *p)
{
    const uint8_t *element = bolt_element(p->data, 0);

    return p->is_branch ? bolt_branch_load(element).pos : bolt_leaf_load(element).pos;
}

enum bolt_fault bolt_page_check(
        const uint8_t *data, size_t have, uint32_t page_size, uint64_t number, struct bolt_page *p)
{
    struct bolt_header header = bolt_header_load(data);
    uint64_t elements_end = BOLT_HEADER_LEN + (uint64_t)header.count * BOLT_ELEMENT_LEN;
    struct bolt_page page = {.data = data,
            .have = have,
            .page_size = page_size,
            .is_branch = header.flags == BOLT_BRANCH,
            .n = header.count,
            .overflow = header.overflow};
    struct walk w = {.p = &page, .at = elements_end};
    enum bolt_fault fault;

    if (header.id != number)
        return BOLT_OTHER_PAGE;
    if (header.flags != BOLT_BRANCH && header.flags != BOLT_LEAF)
        return BOLT_WRONG_TYPE;
    if (elements_end > ((uint64_t)header.overflow + 1) * page_size)
        return BOLT_TOO_MANY;
    if (elements_end > have) /* the first one tells whether so many stand behind it */
        return first_pos(&page) == elements_end - BOLT_HEADER_LEN ? BOLT_UNUSUAL : BOLT_WRONG_LAYOUT;
    fault = page.is_branch ? check_branch(&w, number) : check_leaf(&w);
    page.used = w.at;
    if (fault == BOLT_FINE && !is_right_span(&page))
        fault = BOLT_WRONG_SPAN;
    if (fault == BOLT_FINE && w.is_elsewhere)
        fault = BOLT_UNUSUAL;
    if (fault == BOLT_FINE)
        *p = page;
    return fault;
}

enum bolt_fault bolt_inline_check(struct bytes value, struct bolt_page *p)
{
    struct bytes data = {.data = value.data + BOLT_BUCKET_LEN, .len = value.len - BOLT_BUCKET_LEN};
    struct bolt_header header;
    struct bolt_page page = {.data = data.data, .have = data.len, .page_size = (uint32_t)data.len};
    struct walk w = {.p = &page, .is_inline = true};
    enum bolt_fault fault;

    if (value.len < BOLT_BUCKET_LEN + BOLT_HEADER_LEN || data.len > BOLT_PAGE_SIZE_MAX)
        return BOLT_WRONG_INLINE;
    header = bolt_header_load(data.data);
    page.n = header.count;
    w.at = BOLT_HEADER_LEN + (uint64_t)header.count * BOLT_ELEMENT_LEN;
    if (header.id != 0 || header.flags != BOLT_LEAF || header.overflow != 0 || w.at > data.len)
        return BOLT_WRONG_INLINE;
    fault = check_leaf(&w);
    page.used = w.at;
    /* Its value is exactly as long as it is. */
    if (fault != BOLT_FINE || page.used != data.len)
        return BOLT_WRONG_INLINE;
    *p = page;
    return BOLT_FINE;
}

struct bytes bolt_page_key(const struct bolt_page *p, size_t i)
{
    const uint8_t *element = bolt_element(p->data, i);

    if (p->is_branch) {
        struct bolt_branch_element el = bolt_branch_load(element);

        return (struct bytes){.data = element + el.pos, .len = el.key_size};
    }
    return (struct bytes){.data = element + le32_load(element + 4), .len = le32_load(element + 8)};
}

struct bytes bolt_page_value(const struct bolt_page *p, size_t i)
{
    const uint8_t *element = bolt_element(p->data, i);
    struct bolt_leaf_element el = bolt_leaf_load(element);

    return (struct bytes){.data = element + el.pos + el.key_size, .len = el.value_size};
}
