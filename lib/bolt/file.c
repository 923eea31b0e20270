#include "bolt/file.h"

#include <inttypes.h>

static int broken(struct err *e, uint64_t page, enum bolt_fault fault, uint32_t page_size)
{
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, (int64_t)(page * page_size), "page %" PRIu64 ": %s", page,
            bolt_fault_text(fault));
}

/* The meta that is at this byte. */
static enum bolt_fault load_meta(struct bytes bytes, uint64_t at, uint64_t number, struct bolt_meta *m)
{
    if (at > bytes.len || bytes.len - at < BOLT_META_END)
        return BOLT_CUT;
    return bolt_meta_load(bytes.data + at, number, m);
}

/* The second, whose place the broken first one does not tell. */
static enum bolt_fault find_second(struct bytes bytes, struct bolt_meta *m)
{
    for (uint32_t size = BOLT_PAGE_SIZE_MIN; size <= BOLT_PAGE_SIZE_MAX; size *= 2)
        if (load_meta(bytes, size, 1, m) == BOLT_FINE && m->page_size == size)
            return BOLT_FINE;
    return BOLT_NO_MAGIC;
}

int bolt_file_open(struct bolt_file *f, struct bytes bytes, struct err *e)
{
    struct bolt_meta first, second;
    enum bolt_fault fault = load_meta(bytes, 0, 0, &first);

    *f = (struct bolt_file){.bytes = bytes};
    if (fault == BOLT_FINE) {
        f->meta = first;
        if (load_meta(bytes, first.page_size, 1, &second) == BOLT_FINE && second.txid > first.txid &&
                second.page_size == first.page_size)
            f->meta = second;
    } else if (find_second(bytes, &second) == BOLT_FINE) {
        f->meta = second;
    } else {
        err_set(e, bolt_fault_is_ignorance(fault) ? ERR_CONFIG : ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "page 0: %s",
                bolt_fault_text(fault));
        return -1;
    }
    if (bytes.len / f->meta.page_size < f->meta.n_pages)
        return broken(e, bytes.len / f->meta.page_size, BOLT_CUT, f->meta.page_size);
    return 0;
}

struct bolt_bucket bolt_file_root(const struct bolt_file *f)
{
    return (struct bolt_bucket){.file = f, .root = f->meta.root};
}

static int push(struct bolt_cursor *c, uint64_t number, const struct bolt_page *page, struct err *e)
{
    if (c->depth == BOLT_DEPTH_MAX)
        return broken(e, number, BOLT_TOO_DEEP, c->file->meta.page_size);
    c->levels[c->depth].number = number;
    c->levels[c->depth].i = 0;
    c->levels[c->depth++].page = *page;
    return 0;
}

static bool is_same(struct bytes a, struct bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* All bytes of a page and of what belongs to it must be there. */
static enum bolt_fault check(const struct bolt_file *f, uint64_t number, struct bolt_page *page)
{
    const uint32_t size = f->meta.page_size;
    struct bolt_header header;

    if (number < BOLT_FIRST_PAGE || number >= f->meta.n_pages)
        return BOLT_BEYOND_FILE;
    header = bolt_header_load(f->bytes.data + number * size);
    if (header.overflow >= f->meta.n_pages - number)
        return header.id == number ? BOLT_BEYOND_FILE : BOLT_OTHER_PAGE;
    return bolt_page_check(f->bytes.data + number * size, ((size_t)header.overflow + 1) * size, size, number, page);
}

/* Goes into a page, which its parent, if it has one, says begins with that key. */
static int enter(struct bolt_cursor *c, uint64_t number, const struct bytes *key, struct err *e)
{
    const uint32_t size = c->file->meta.page_size;
    struct bolt_page page;
    enum bolt_fault fault = check(c->file, number, &page);

    if (fault == BOLT_FINE && c->pages_left <= page.overflow)
        fault = BOLT_TWICE; /* it, or one that belongs to it */
    if (fault == BOLT_FINE && key && page.n == 0)
        fault = BOLT_EMPTY;
    if (fault != BOLT_FINE)
        return broken(e, number, fault, size);
    if (key && !is_same(*key, bolt_page_key(&page, 0)))
        return broken(e, c->levels[c->depth - 1].number, BOLT_PARENT_KEYS, size);
    c->pages_left -= (uint64_t)page.overflow + 1;
    return push(c, number, &page, e);
}

int bolt_cursor_start(struct bolt_cursor *c, const struct bolt_bucket *bucket, struct err *e)
{
    struct bolt_page page;

    c->file = bucket->file;
    c->pages_left = bucket->file->meta.n_pages;
    c->depth = 0;
    c->before = (struct bytes){0};
    if (bucket->root != 0)
        return enter(c, bucket->root, NULL, e);
    if (bolt_inline_check(bucket->content, &page) != BOLT_FINE)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "%s", bolt_fault_text(BOLT_WRONG_INLINE));
    return push(c, 0, &page, e);
}

int bolt_bucket_last(const struct bolt_bucket *bucket, struct bytes *key, struct err *e)
{
    struct bolt_cursor c;
    const struct bolt_page *page;

    if (bolt_cursor_start(&c, bucket, e) < 0)
        return -1;
    for (page = &c.levels[0].page; page->is_branch; page = &c.levels[c.depth - 1].page) {
        struct bytes first = bolt_page_key(page, page->n - 1U);

        if (enter(&c, bolt_page_child(page, page->n - 1U), &first, e) < 0)
            return -1;
    }
    if (page->n > 0)
        *key = bolt_page_key(page, page->n - 1U);
    return page->n > 0;
}

/* Down to the next leaf that has an element left, or up. */
static int find_leaf(struct bolt_cursor *c, struct err *e)
{
    while (c->depth > 0) {
        __typeof__(&c->levels[0]) top = &c->levels[c->depth - 1];

        if (top->i == top->page.n) {
            c->depth--;
        } else if (top->page.is_branch) {
            struct bytes key = bolt_page_key(&top->page, top->i);
            uint64_t child = bolt_page_child(&top->page, top->i++);

            if (enter(c, child, &key, e) < 0)
                return -1;
        } else {
            return 1;
        }
    }
    return 0;
}

int bolt_cursor_next(struct bolt_cursor *c, struct bolt_entry *entry, struct err *e)
{
    int found = find_leaf(c, e);
    __typeof__(&c->levels[0]) top;

    if (found <= 0)
        return found;
    top = &c->levels[c->depth - 1];
    *entry = (struct bolt_entry){.key = bolt_page_key(&top->page, top->i),
            .value = bolt_page_value(&top->page, top->i),
            .is_bucket = bolt_page_is_bucket(&top->page, top->i),
            .page = top->number};
    /* Within a page the order is known. */
    if (top->i == 0 && c->before.data && bolt_key_compare(c->before, entry->key) >= 0)
        return broken(e, top->number, BOLT_ORDER_BETWEEN, c->file->meta.page_size);
    c->before = entry->key;
    top->i++;
    return 1;
}

int bolt_entry_bucket(const struct bolt_cursor *c, const struct bolt_entry *entry, struct bolt_bucket *b, struct err *e)
{
    if (!entry->is_bucket)
        return broken(e, entry->page, BOLT_WRONG_BUCKET, c->file->meta.page_size);
    /* That it is one was seen with its page. */
    *b = (struct bolt_bucket){.file = c->file, .root = le64_load(entry->value.data)};
    if (b->root == 0)
        b->content = entry->value;
    return 0;
}

int bolt_bucket_find(const struct bolt_bucket *in, const char *name, struct bolt_bucket *found, struct err *e)
{
    struct bytes wanted = {.data = (const uint8_t *)name, .len = strlen(name)};
    struct bolt_cursor c;
    struct bolt_entry entry;
    int more;

    if (bolt_cursor_start(&c, in, e) < 0)
        return -1;
    while ((more = bolt_cursor_next(&c, &entry, e)) > 0)
        if (is_same(entry.key, wanted))
            return bolt_entry_bucket(&c, &entry, found, e) < 0 ? -1 : 1;
    return more;
}
