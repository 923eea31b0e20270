/*
 * Seek tables of compressed streams: an input is a stream's end, all of it the table. What is accepted adds up, each
 * byte of the plaintext is in the frame that is found for it, and what is written of it is read again as the same.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "zstd/seek_table.h"

static void check_places(const struct seek_table *t)
{
    uint64_t start = 0, plain_start = 0;

    for (size_t i = 0; i < seek_table_count(t); i++) {
        struct frame_place p = seek_table_at(t, i);

        FUZZ_CHECK(p.start == start && p.plain_start == plain_start && p.len >= 8);
        start += p.len;
        plain_start += p.plain_len;
        if (p.plain_len) {
            FUZZ_CHECK(seek_table_find(t, p.plain_start) == i);
            FUZZ_CHECK(seek_table_find(t, p.plain_start + p.plain_len - 1) == i);
        }
    }
    FUZZ_CHECK(start == seek_table_start(t) && plain_start == seek_table_plain_size(t));
}

static void check_written(const struct seek_table *t)
{
    size_t size = (size_t)seek_table_size_for(seek_table_count(t)), again;
    _cleanup_free_ uint8_t *out = malloc(size);
    struct err e = ERR_INIT;
    uint64_t stream = seek_table_start(t) + size;
    _cleanup_(cleanup_seek_table_free) struct seek_table *u = NULL;

    FUZZ_CHECK(out);
    seek_table_write(t, out);
    FUZZ_CHECK(seek_table_size_by_footer(
                       (struct bytes){out + size - SEEK_TABLE_FOOTER, SEEK_TABLE_FOOTER}, stream, &again, &e) == 0 &&
               again == size);
    u = seek_table_parse((struct bytes){out, size}, stream, &e);
    FUZZ_CHECK(u && seek_table_count(u) == seek_table_count(t) && seek_table_plain_size(u) == seek_table_plain_size(t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *t = NULL;
    uint64_t frames = 0;
    size_t size;

    if (len < SEEK_TABLE_FOOTER)
        return 0;
    /* A size that lets the sum be right, so that more than that is looked at. */
    for (size_t at = 8; at + 4 <= len - SEEK_TABLE_FOOTER; at += data[len - 5] & 0x80 ? 12 : 8)
        frames += (uint32_t)data[at + 3] << 24 | (uint32_t)data[at + 2] << 16 | (uint32_t)data[at + 1] << 8 | data[at];
    if (seek_table_size_by_footer(
                (struct bytes){data + len - SEEK_TABLE_FOOTER, SEEK_TABLE_FOOTER}, frames + len, &size, &e) < 0) {
        FUZZ_CHECK(e.kind == ERR_INTEGRITY);
        return 0;
    }
    if (size > len)
        return 0;
    t = seek_table_parse((struct bytes){data + len - size, size}, frames + len, &e);
    FUZZ_CHECK(t || e.kind == ERR_INTEGRITY);
    if (!t)
        return 0;
    FUZZ_CHECK(seek_table_start(t) + size == frames + len && seek_table_size(t) == size);
    check_places(t);
    check_written(t);
    return 0;
}
