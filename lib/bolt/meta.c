#include "bolt/meta.h"

/* Where the fields are, in the page. */
enum {
    AT_MAGIC = 16,
    AT_VERSION = 20,
    AT_PAGE_SIZE = 24,
    AT_FLAGS = 28,
    AT_ROOT = 32,
    AT_SEQUENCE = 40,
    AT_FREELIST = 48,
    AT_PAGES = 56,
    AT_TXID = 64,
    AT_CHECKSUM = 72
};

/* FNV-1a, 64 bits. */
static uint64_t checksum(const uint8_t *data, size_t len)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < len; i++)
        h = (h ^ data[i]) * UINT64_C(1099511628211);
    return h;
}

static bool is_page_size(uint32_t size)
{
    return size >= BOLT_PAGE_SIZE_MIN && size <= BOLT_PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

/* A page that the file can have, behind the metas. */
static bool is_within(const struct bolt_meta *m, uint64_t page)
{
    return page >= BOLT_FIRST_PAGE && page < m->n_pages;
}

enum bolt_fault bolt_meta_load(const uint8_t *page, uint64_t number, struct bolt_meta *m)
{
    struct bolt_header header = bolt_header_load(page);
    struct bolt_meta meta = {.page_size = le32_load(page + AT_PAGE_SIZE),
            .root = le64_load(page + AT_ROOT),
            .sequence = le64_load(page + AT_SEQUENCE),
            .freelist = le64_load(page + AT_FREELIST),
            .n_pages = le64_load(page + AT_PAGES),
            .txid = le64_load(page + AT_TXID)};

    if (le32_load(page + AT_MAGIC) == __builtin_bswap32(BOLT_MAGIC))
        return BOLT_BIG_ENDIAN;
    if (le32_load(page + AT_MAGIC) != BOLT_MAGIC)
        return BOLT_NO_MAGIC;
    if (checksum(page + AT_MAGIC, AT_CHECKSUM - AT_MAGIC) != le64_load(page + AT_CHECKSUM))
        return BOLT_WRONG_CHECKSUM;
    if (header.id != number)
        return BOLT_OTHER_PAGE;
    if (header.flags != BOLT_META || header.count != 0 || header.overflow != 0)
        return BOLT_NO_MAGIC;
    if (le32_load(page + AT_VERSION) != BOLT_VERSION || le32_load(page + AT_FLAGS) != 0)
        return BOLT_OTHER_VERSION;
    if (!is_page_size(meta.page_size))
        return BOLT_OTHER_PAGE_SIZE;
    if (!is_within(&meta, meta.root) || (meta.freelist != BOLT_NO_FREELIST && !is_within(&meta, meta.freelist)))
        return BOLT_WRONG_ROOT;
    *m = meta;
    return BOLT_FINE;
}

bool bolt_meta_is_twin(const struct bolt_meta *page0, const struct bolt_meta *page1)
{
    return page0->page_size == page1->page_size && page0->root == page1->root && page0->sequence == page1->sequence &&
           page0->freelist == page1->freelist && page0->n_pages == page1->n_pages && page0->txid == page1->txid + 1;
}
