/*
 * Encrypted dumps. An input is either
 *
 *     'E' or 'G', then edits    of an authentic dump of three chunks, ours (E) or as of the Go tool (G): every edit
 * that changes anything is found, but for the Go tool's end, and no wrong byte is released anything else             a
 * whole object of its own
 *
 * An edit is a letter and its operands, all bytes: see edit().
 */
#include "fuzz.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "seal/key.h"
#include "seal/seal.h"
#include "seal/unseal.h"

enum {
    PLAIN_LEN = 2 * SEAL_CHUNK + 100,
    SEALED_LEN = PLAIN_LEN + 3 * SEAL_OVERHEAD,
    ROOM = SEALED_LEN + 2 * SEAL_SEALED_CHUNK,
};

static struct secret *key; /* 00 01 ... 1f */
static uint8_t plain[PLAIN_LEN], ours[SEALED_LEN], go[SEALED_LEN];
static uint8_t object[ROOM], out[SEAL_CHUNK];
static size_t object_len;

static void make_ours(void)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_seal_free) struct seal *s = seal_new(key, SEAL_SNAPSHOT, &e);

    FUZZ_CHECK(s);
    for (size_t i = 0; i < 3; i++) {
        struct bytes chunk = {plain + i * SEAL_CHUNK, i < 2 ? SEAL_CHUNK : PLAIN_LEN - 2 * SEAL_CHUNK};

        FUZZ_CHECK(seal_chunk(s, chunk, i == 2, ours + i * SEAL_SEALED_CHUNK, &e) == 0);
    }
}

/* The same chunks, but a base that begins with a clock, and no mark. */
static void make_go(void)
{
    for (size_t i = 0; i < 3; i++) {
        uint8_t *at = go + i * SEAL_SEALED_CHUNK;

        memcpy(at, "\x18\xea\x74\x3b\x5f\xa3\x8a\xe9\x1b\xee\x96\xf0\xec\xa4\xa0\x19", 16);
        be64_store(at + 16, i);
        FUZZ_CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(at + 24, NULL, plain + i * SEAL_CHUNK,
                           i < 2 ? SEAL_CHUNK : PLAIN_LEN - 2 * SEAL_CHUNK, NULL, 0, NULL, at,
                           secret_const_data(key)) == 0);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e = ERR_INIT;

    (void)argc;
    (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    key = secret_new(KEY_LEN, &e);
    FUZZ_CHECK(key);
    for (uint8_t i = 0; i < KEY_LEN; i++)
        secret_data(key)[i] = i;
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 31 + i / 65521);
    make_ours();
    make_go();
    return 0;
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Moves a chunk's worth of bytes out of, or into, the object at chunk `i`. */
static void drop(size_t i)
{
    size_t at = min(i % 4 * SEAL_SEALED_CHUNK, object_len), n = min(SEAL_SEALED_CHUNK, object_len - at);

    memmove(object + at, object + at + n, object_len - at - n);
    object_len -= n;
}

static void repeat(size_t i)
{
    size_t at = min(i % 4 * SEAL_SEALED_CHUNK, object_len), n = min(SEAL_SEALED_CHUNK, object_len - at);

    if (n > ROOM - object_len)
        return;
    memmove(object + at + n, object + at, object_len - at);
    object_len += n;
}

/* One edit; returns its operands' length. The operands are four bytes, zeros where the input ends. */
static size_t edit(uint8_t letter, const uint8_t operands[4])
{
    size_t number = be32_load(operands) >> 8; /* three bytes */

    switch (letter) {
    case 'x': /* flip bits of a byte */
        if (number < object_len)
            object[number] ^= operands[3];
        return 4;
    case 'y': /* the same, near the front of the last chunk */
        if (2 * SEAL_SEALED_CHUNK + (size_t)operands[0] < object_len)
            object[2 * SEAL_SEALED_CHUNK + operands[0]] ^= operands[1];
        return 2;
    case 't': /* truncate to so many bytes */
        object_len = min(object_len, number);
        return 3;
    case 'c': /* truncate to so many chunks */
        object_len = min(object_len, operands[0] % 4 * (size_t)SEAL_SEALED_CHUNK);
        return 1;
    case 'd':
        drop(operands[0]);
        return 1;
    case 'r':
        repeat(operands[0]);
        return 1;
    case 'a': /* append a byte */
        if (object_len < ROOM)
            object[object_len++] = operands[0];
        return 1;
    default:
        return 0;
    }
}

/* Reads `len` bytes at `sealed`; what is released is compared with `expected` unless that is NULL. Whether all was
 * read. */
static bool read_all(const uint8_t *sealed, size_t len, const uint8_t *expected)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new(key, len, &e);
    size_t at = 0, n;

    if (!u) {
        FUZZ_CHECK(e.kind == ERR_INTEGRITY && unseal_plain_size(len) == UINT64_MAX);
        return false;
    }
    while ((n = unseal_next_len(u)) > 0) {
        FUZZ_CHECK(n <= len - at);
        if (unseal_chunk(u, (struct bytes){sealed + at, n}, out, &e) < 0) {
            FUZZ_CHECK(e.kind == ERR_INTEGRITY && e.code == (int64_t)at && strncmp(e.text, "chunk ", 6) == 0);
            return false;
        }
        FUZZ_CHECK(!expected || memcmp(out, expected, n - SEAL_OVERHEAD) == 0);
        if (expected)
            expected += n - SEAL_OVERHEAD;
        at += n;
    }
    FUZZ_CHECK(at == len && e.kind == ERR_NONE);
    return true;
}

static void run_edits(const uint8_t *data, size_t len, const uint8_t *original, bool has_end_mark)
{
    bool same, whole_chunks;

    memcpy(object, original, SEALED_LEN);
    object_len = SEALED_LEN;
    while (len > 0) {
        uint8_t letter = *data++, operands[4] = {0};
        size_t used;

        len--;
        memcpy(operands, data, min(len, sizeof(operands)));
        used = min(edit(letter, operands), len);
        data += used;
        len -= used;
    }
    same = object_len <= SEALED_LEN && memcmp(object, original, object_len) == 0;
    whole_chunks = object_len == SEALED_LEN || (!has_end_mark && object_len > 0 && object_len % SEAL_SEALED_CHUNK == 0);
    FUZZ_CHECK(read_all(object, object_len, plain) == (same && whole_chunks));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > 0 && data[0] == 'E')
        run_edits(data + 1, len - 1, ours, true);
    else if (len > 0 && data[0] == 'G')
        run_edits(data + 1, len - 1, go, false);
    else
        (void)read_all(data, len, NULL);
    return 0;
}
