#include "zstd/seek_table.h"

#include <assert.h>
#include <inttypes.h>

#include "zstd/frame.h"
#include "zstd/little_endian.h"

enum {
    HEADER = FRAME_SKIPPABLE_HEADER,
    ENTRY = 8,
    CHECKSUM = 4,
    DESCRIPTOR_CHECKSUMS = 0x80,
    DESCRIPTOR_RESERVED = 0x7C, /* the last two bits say nothing */
};

#define FOOTER_MAGIC UINT32_C(0x8F92EAB1)

/* Where a frame ends: where the next one begins. */
struct end {
    uint64_t stream;
    uint64_t plain;
};

struct seek_table {
    struct end *ends;
    size_t count;
    size_t cap;
    size_t size; /* bytes, of one that was parsed */
};

struct seek_table *seek_table_new(struct err *e)
{
    struct seek_table *t = calloc(1, sizeof(*t));

    if (!t)
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a seek table");
    return t;
}

static int make_room(struct seek_table *t, size_t want, struct err *e)
{
    struct end *grown;

    if (want <= t->cap)
        return 0;
    grown = reallocarray(t->ends, want, sizeof(*grown));
    if (!grown)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a seek table of %zu frames", want);
    t->ends = grown;
    t->cap = want;
    return 0;
}

static struct end last_end(const struct seek_table *t)
{
    return t->count ? t->ends[t->count - 1] : (struct end){0};
}

int seek_table_add(struct seek_table *t, uint32_t len, uint32_t plain_len, struct err *e)
{
    struct end last = last_end(t);

    if (t->count == SEEK_TABLE_FRAMES_MAX)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "more than %d frames to compress", SEEK_TABLE_FRAMES_MAX);
    if (t->count == t->cap && make_room(t, t->cap ? 2 * t->cap : 64, e) < 0)
        return -1;
    t->ends[t->count++] = (struct end){.stream = last.stream + len, .plain = last.plain + plain_len};
    return 0;
}

uint64_t seek_table_size_for(uint64_t frames)
{
    return HEADER + frames * ENTRY + SEEK_TABLE_FOOTER;
}

void seek_table_write(const struct seek_table *t, uint8_t *out)
{
    le32_store(out, FRAME_MAGIC_SEEK_TABLE);
    le32_store(out + 4, (uint32_t)seek_table_size_for(t->count) - HEADER);
    out += HEADER;
    for (size_t i = 0; i < t->count; i++, out += ENTRY) {
        struct frame_place place = seek_table_at(t, i);

        le32_store(out, place.len);
        le32_store(out + 4, place.plain_len);
    }
    le32_store(out, (uint32_t)t->count);
    out[4] = 0;
    le32_store(out + 5, FOOTER_MAGIC);
}

static size_t entry_size(uint8_t descriptor)
{
    return ENTRY + (descriptor & DESCRIPTOR_CHECKSUMS ? CHECKSUM : 0);
}

int seek_table_size_by_footer(struct bytes footer, uint64_t stream_size, size_t *size, struct err *e)
{
    uint32_t count;
    uint64_t whole;

    assert(footer.len == SEEK_TABLE_FOOTER);
    if (le32_load(footer.data + 5) != FOOTER_MAGIC)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0,
                "the compressed stream ends without a seek table: it was cut off, or another program wrote it");
    if (footer.data[4] & DESCRIPTOR_RESERVED)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "the seek table is of a kind that is not known here");
    count = le32_load(footer.data);
    if (count > SEEK_TABLE_FRAMES_MAX)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "the seek table claims %" PRIu32 " frames", count);
    whole = HEADER + (uint64_t)count * entry_size(footer.data[4]) + SEEK_TABLE_FOOTER;
    if (whole > stream_size)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0,
                "the seek table claims %" PRIu32 " frames, and the whole stream has %" PRIu64 " bytes", count,
                stream_size);
    *size = (size_t)whole;
    return 0;
}

/* What nothing that is compressed can be. */
static int check_entry(size_t number, uint32_t len, uint32_t plain_len, struct err *e)
{
    if (len >= FRAME_SKIPPABLE_HEADER && plain_len <= (uint64_t)len * FRAME_RATIO_MAX)
        return 0;
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0,
            "the seek table claims that frame %zu has %" PRIu32 " bytes and %" PRIu32 " come out of it", number, len,
            plain_len);
}

static int take_entries(struct seek_table *t, const uint8_t *entry, size_t size, size_t count, struct err *e)
{
    if (make_room(t, count, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++, entry += size) {
        uint32_t len = le32_load(entry), plain_len = le32_load(entry + 4);

        if (check_entry(i, len, plain_len, e) < 0 || seek_table_add(t, len, plain_len, e) < 0)
            return -1;
    }
    return 0;
}

struct seek_table *seek_table_parse(struct bytes table, uint64_t stream_size, struct err *e)
{
    _cleanup_(cleanup_seek_table_free) struct seek_table *t = NULL;
    const uint8_t *footer = table.data + table.len - SEEK_TABLE_FOOTER;
    size_t size;

    assert(table.len >= SEEK_TABLE_FOOTER);
    if (seek_table_size_by_footer((struct bytes){footer, SEEK_TABLE_FOOTER}, stream_size, &size, e) < 0)
        return NULL;
    assert(size == table.len);
    if (le32_load(table.data) != FRAME_MAGIC_SEEK_TABLE || le32_load(table.data + 4) != size - HEADER) {
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "the seek table does not begin where its end says");
        return NULL;
    }
    t = seek_table_new(e);
    if (!t || take_entries(t, table.data + HEADER, entry_size(footer[4]), le32_load(footer), e) < 0)
        return NULL;
    if (seek_table_start(t) != stream_size - size) {
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0,
                "the seek table's frames have %" PRIu64 " bytes, and there are %" PRIu64, seek_table_start(t),
                stream_size - size);
        return NULL;
    }
    t->size = size;
    return TAKE_PTR(t);
}

size_t seek_table_count(const struct seek_table *t)
{
    return t->count;
}

struct frame_place seek_table_at(const struct seek_table *t, size_t i)
{
    struct end begin = i ? t->ends[i - 1] : (struct end){0};

    return (struct frame_place){
            .start = begin.stream,
            .plain_start = begin.plain,
            .len = (uint32_t)(t->ends[i].stream - begin.stream),
            .plain_len = (uint32_t)(t->ends[i].plain - begin.plain),
    };
}

size_t seek_table_find(const struct seek_table *t, uint64_t offset)
{
    size_t low = 0, high = t->count - 1;

    assert(offset < seek_table_plain_size(t));
    while (low < high) { /* it is one of low to high */
        size_t middle = low + (high - low) / 2;

        if (t->ends[middle].plain > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint64_t seek_table_plain_size(const struct seek_table *t)
{
    return last_end(t).plain;
}

uint64_t seek_table_size(const struct seek_table *t)
{
    return t->size;
}

uint64_t seek_table_start(const struct seek_table *t)
{
    return last_end(t).stream;
}

void seek_table_free(struct seek_table *t)
{
    if (!t)
        return;
    free(t->ends);
    free(t);
}
