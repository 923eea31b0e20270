#include "bolt/freelist.h"

enum { COUNT_IS_BEHIND = 0xFFFF, ID_LEN = 8 };

static void put_difference(struct bolt_freelist *f, uint64_t d)
{
    uint8_t bytes[10];
    size_t n = 0;
    struct err ignored = ERR_INIT;

    for (; d >= 0x80; d >>= 7)
        bytes[n++] = (uint8_t)(d | 0x80);
    bytes[n++] = (uint8_t)d;
    if (buf_append(&f->ids, bytes, n, &ignored) < 0)
        f->fault = BOLT_NO_MEMORY;
}

/* As many numbers as are still to come, or as this page has. */
static void take(struct bolt_freelist *f, const uint8_t *at, const uint8_t *end, const struct bolt_meta *meta)
{
    for (; f->left > 0 && at < end && f->fault == BOLT_FINE; at += ID_LEN, f->left--) {
        uint64_t id = le64_load(at);

        if (id <= f->before || id < BOLT_FIRST_PAGE || id >= meta->n_pages) {
            f->fault = BOLT_WRONG_FREELIST;
            return;
        }
        put_difference(f, id - f->before);
        f->before = id;
    }
}

/* bbolt makes it one page longer than it must be when it fills its pages, and as it grows after they were allocated, it
 * may have some to spare. */
static bool has_room(const struct bolt_freelist *f, uint64_t begins, uint32_t page_size)
{
    uint64_t span = ((uint64_t)f->overflow + 1) * page_size;

    return f->left <= (span - begins) / ID_LEN;
}

void bolt_freelist_begin(struct bolt_freelist *f, const uint8_t *page, const struct bolt_meta *meta)
{
    struct bolt_header header = bolt_header_load(page);
    uint64_t begins = BOLT_HEADER_LEN;

    f->begun = true;
    f->overflow = header.overflow;
    f->left = header.count;
    if (header.id != meta->freelist || header.flags != BOLT_FREELIST) {
        f->fault = header.id != meta->freelist ? BOLT_OTHER_PAGE : BOLT_WRONG_FREELIST;
        return;
    }
    if (header.count == COUNT_IS_BEHIND) {
        f->left = le64_load(page + begins);
        begins += ID_LEN;
    }
    if (!has_room(f, begins, meta->page_size)) {
        f->fault = BOLT_WRONG_FREELIST;
        return;
    }
    take(f, page + begins, page + meta->page_size, meta);
}

void bolt_freelist_more(struct bolt_freelist *f, const uint8_t *page, const struct bolt_meta *meta)
{
    take(f, page, page + meta->page_size, meta);
}

bool bolt_freelist_next(struct bytes *ids, uint64_t *page)
{
    uint64_t d = 0;
    unsigned shift = 0;
    uint8_t byte;

    if (ids->len == 0)
        return false;
    do {
        byte = *ids->data++;
        ids->len--;
        d |= (uint64_t)(byte & 0x7F) << shift;
        shift += 7;
    } while (byte & 0x80);
    *page += d;
    return true;
}

void bolt_freelist_free(struct bolt_freelist *f)
{
    buf_reset(&f->ids);
}
