/*
 * cost.c: what a megabyte costs in instructions, one operation at a time; instructions.py runs it under callgrind.
 *
 *     cost OPERATION COUNT FILE      digest, seal, unseal, compress or decompress of the first COUNT MiB of FILE
 *
 * What comes before (reading, sealing what is to be unsealed) is done for 8 MiB whatever COUNT is, so that the
 * difference of two runs is the operation alone.
 */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seal/digest.h"
#include "seal/key.h"
#include "seal/seal.h"
#include "seal/unseal.h"
#include "zstd/compress.h"
#include "zstd/decompress.h"

enum { MIB = 1 << 20, ALL = 8 };

static uint8_t plain[ALL * MIB], out[MIB];
static uint8_t sealed[ALL * SEAL_SEALED_CHUNK];
static struct buf stream = {.limit = 2 * ALL * MIB};
static struct secret *key;
static struct err e;

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "cost: %s: %s\n", what, e.text);
    exit(1);
}

static struct bytes chunk(size_t i)
{
    return (struct bytes){.data = plain + i * MIB, .len = MIB};
}

static void digest_all(size_t count)
{
    _cleanup_(cleanup_digest_free) struct digest *d = digest_new(&e);

    for (size_t i = 0; i < count; i++)
        must(digest_update(d, chunk(i), &e) == 0, "digest");
}

static void seal_all(size_t count)
{
    _cleanup_(cleanup_seal_free) struct seal *s = seal_new(key, SEAL_SNAPSHOT, &e);

    for (size_t i = 0; i < count; i++)
        must(seal_chunk(s, chunk(i), i == ALL - 1, sealed + i * SEAL_SEALED_CHUNK, &e) == 0, "seal");
}

static void unseal_all(size_t count)
{
    _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new(key, sizeof(sealed), &e);

    for (size_t i = 0; i < count; i++)
        must(unseal_chunk(u, (struct bytes){sealed + i * SEAL_SEALED_CHUNK, SEAL_SEALED_CHUNK}, out, &e) == 0,
                "unseal");
}

static void compress_all(size_t count)
{
    _cleanup_(cleanup_compress_free) struct compress *c = compress_new(COMPRESS_LEVEL_DEFAULT, &e);
    struct bytes frame;

    buf_reset(&stream);
    for (size_t i = 0; i < count; i++) {
        must(compress_frame(c, chunk(i), &frame, &e) == 0, "compress");
        must(buf_append(&stream, frame.data, frame.len, &e) == 0, "compress");
    }
    if (count == ALL) {
        must(compress_finish(c, &frame, &e) == 0, "compress");
        must(buf_append(&stream, frame.data, frame.len, &e) == 0, "compress");
    }
}

static void decompress_all(size_t count)
{
    struct bytes end = {stream.data + stream.len - SEEK_TABLE_FOOTER, SEEK_TABLE_FOOTER}, in = {stream.data, 0}, piece;
    _cleanup_(cleanup_seek_table_free) struct seek_table *table = NULL;
    _cleanup_(cleanup_decompress_free) struct decompress *d = NULL;
    size_t size;

    must(seek_table_size_by_footer(end, stream.len, &size, &e) == 0, "table");
    table = seek_table_parse((struct bytes){stream.data + stream.len - size, size}, stream.len, &e);
    must(table, "table");
    in.len = (size_t)seek_table_at(table, count).start;
    d = decompress_new(table, &e);
    must(d, "decompress");
    do
        must(decompress_next(d, &in, &piece, &e) == 0, "decompress");
    while (in.len || piece.len);
}

static const struct {
    const char *name;
    void (*run)(size_t count);
} operations[] = {{"digest", digest_all}, {"seal", seal_all}, {"unseal", unseal_all}, {"compress", compress_all},
        {"decompress", decompress_all}};

int main(int argc, char **argv)
{
    _cleanup_fclose_ FILE *f = argc == 4 ? fopen(argv[3], "rbe") : NULL;
    size_t count = argc == 4 ? (size_t)atoi(argv[2]) : 0;

    if (!f || fread(plain, 1, sizeof(plain), f) != sizeof(plain) || count > ALL || sodium_init() < 0) {
        fprintf(stderr, "usage: cost OPERATION COUNT FILE, of 8 MiB\n");
        return 2;
    }
    key = secret_new(KEY_LEN, &e);
    must(key, "key");
    seal_all(ALL);
    compress_all(ALL);
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (strcmp(operations[i].name, argv[1]) == 0)
            operations[i].run(count);
    secret_free(key);
    buf_reset(&stream);
    return 0;
}
