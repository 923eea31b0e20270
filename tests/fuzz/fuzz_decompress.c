/*
 * Compressed streams. An input is
 *
 *     step (1 byte), a whole stream    read in pieces of step * 7 + 1 bytes, first at once from its beginning, then
 * from each of the first frames
 *
 * Never does more come out than the seek table says, and no frame that ends well is of another size.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "zstd/decompress.h"

enum { PLAIN_MAX = 16 << 20, FIRSTS = 3 };

static bool feed(struct decompress *d, struct bytes piece, uint64_t *came, uint64_t announced)
{
    _cleanup_free_ uint8_t *copy = malloc(piece.len); /* of its very size */
    struct bytes in = {copy, piece.len}, out;
    struct err e = ERR_INIT;

    FUZZ_CHECK(copy);
    memcpy(copy, piece.data, piece.len);
    do {
        size_t before = in.len;

        if (decompress_next(d, &in, &out, &e) < 0) {
            FUZZ_CHECK(e.kind == ERR_INTEGRITY);
            return false;
        }
        FUZZ_CHECK(out.len <= DECOMPRESS_PIECE && in.len <= before && (out.len > 0 || in.len == 0));
        *came += out.len;
        FUZZ_CHECK(*came <= announced);
    } while (in.len || out.len);
    return true;
}

static void read_from(const struct seek_table *t, struct bytes stream, size_t step, size_t first)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_decompress_free) struct decompress *d = decompress_new(t, &e);
    uint64_t at, came = 0, announced;

    FUZZ_CHECK(d);
    decompress_seek(d, first);
    at = first < seek_table_count(t) ? seek_table_at(t, first).start : seek_table_start(t);
    announced = seek_table_plain_size(t) -
                (first < seek_table_count(t) ? seek_table_at(t, first).plain_start : seek_table_plain_size(t));
    for (; at < stream.len; at += step) {
        size_t n = stream.len - at < step ? (size_t)(stream.len - at) : step;

        if (!feed(d, (struct bytes){stream.data + at, n}, &came, announced))
            return;
    }
    FUZZ_CHECK(decompress_end(d, &e) == 0 && came == announced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seek_table_free) struct seek_table *t = NULL;
    struct bytes stream = {data + 1, len - 1};
    size_t size;

    if (len < 1 + SEEK_TABLE_FOOTER)
        return 0;
    if (seek_table_size_by_footer(
                (struct bytes){data + len - SEEK_TABLE_FOOTER, SEEK_TABLE_FOOTER}, stream.len, &size, &e) < 0)
        return 0;
    t = seek_table_parse((struct bytes){data + len - size, size}, stream.len, &e);
    if (!t || seek_table_plain_size(t) > PLAIN_MAX)
        return 0;
    for (size_t first = 0; first <= FIRSTS && first <= seek_table_count(t); first++)
        read_from(t, stream, data[0] * (size_t)7 + 1, first);
    return 0;
}
