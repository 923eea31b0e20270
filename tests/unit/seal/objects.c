#include "objects.h"

#include <sodium.h>
#include <string.h>

#include "expect.h"
#include "seal/key.h"
#include "seal/seal.h"
#include "seal/unseal.h"

struct secret *object_key;

const uint8_t object_base_ours[16] = "\xeb"
                                     "ETCDBK\x02"
                                     "random!!";
const uint8_t object_base_other[16] = "\xeb"
                                      "ETCDBK\x02"
                                      "RANDOM??";
const uint8_t object_base_newer[16] = "\xeb"
                                      "ETCDBK\x04"
                                      "random!!";
const uint8_t object_base_go[16] = "\x18\xea\x74\x3b\x5f\xa3\x8a\xe9"
                                   "go tool!";

int object_make_key(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    object_key = key_new_data(&e);
    return object_key ? 0 : -1;
}

int object_free_key(void **state)
{
    (void)state;
    secret_free(object_key);
    return 0;
}

void object_free(struct object *o)
{
    free(o->data);
}

/* Byte `i` of every plaintext here: chunks differ, and so do neighbours. */
static uint8_t plain_byte(size_t i)
{
    return (uint8_t)(i * 31 + i / 65521);
}

static uint8_t *make_plain(size_t len)
{
    uint8_t *plain = malloc(len ? len : 1);

    assert_non_null(plain);
    for (size_t i = 0; i < len; i++)
        plain[i] = plain_byte(i);
    return plain;
}

void object_add_chunk(struct object *o, const uint8_t base[16], uint64_t counter, size_t from, size_t len)
{
    _cleanup_free_ uint8_t *plain = make_plain(from + len);
    uint8_t *at;

    o->data = realloc(o->data, o->len + len + SEAL_OVERHEAD);
    assert_non_null(o->data);
    at = o->data + o->len;
    memcpy(at, base, 16);
    be64_store(at + 16, counter);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt(
                             at + 24, NULL, plain + from, len, NULL, 0, NULL, at, secret_const_data(object_key)),
            0);
    o->len += len + SEAL_OVERHEAD;
}

static struct object seal_as(enum seal_content content, size_t len)
{
    struct err e = ERR_INIT;
    _cleanup_free_ uint8_t *plain = make_plain(len);
    _cleanup_(cleanup_seal_free) struct seal *s = seal_new(object_key, content, &e);
    struct object o = {.data = malloc(seal_sealed_size(len))};

    assert_non_null(o.data);
    for (size_t at = 0; at < len; at += SEAL_CHUNK) {
        size_t n = len - at < SEAL_CHUNK ? len - at : SEAL_CHUNK;

        expect_success(seal_chunk(s, (struct bytes){plain + at, n}, at + n == len, o.data + o.len, &e) == 0, &e);
        o.len += n + SEAL_OVERHEAD;
    }
    assert_int_equal(o.len, seal_sealed_size(len));
    return o;
}

struct object object_seal(size_t len)
{
    return seal_as(SEAL_SNAPSHOT, len);
}

struct object object_seal_compressed(size_t len)
{
    return seal_as(SEAL_COMPRESSED, len);
}

struct object object_go(size_t len)
{
    struct object o = {0};

    for (size_t at = 0; at < len; at += SEAL_CHUNK)
        object_add_chunk(&o, object_base_go, at / SEAL_CHUNK, at, len - at < SEAL_CHUNK ? len - at : SEAL_CHUNK);
    return o;
}

uint8_t *object_chunk(const struct object *o, size_t i)
{
    return o->data + i * SEAL_SEALED_CHUNK;
}

void object_swap(const struct object *o, size_t i, size_t j)
{
    for (size_t at = 0; at < SEAL_SEALED_CHUNK; at++) {
        uint8_t byte = object_chunk(o, i)[at];

        object_chunk(o, i)[at] = object_chunk(o, j)[at];
        object_chunk(o, j)[at] = byte;
    }
}

void object_drop(struct object *o, size_t i)
{
    memmove(object_chunk(o, i), object_chunk(o, i + 1), o->len - (i + 1) * SEAL_SEALED_CHUNK);
    o->len -= SEAL_SEALED_CHUNK;
}

void object_repeat(struct object *o, size_t i)
{
    o->data = realloc(o->data, o->len + SEAL_SEALED_CHUNK);
    assert_non_null(o->data);
    memmove(object_chunk(o, i + 1), object_chunk(o, i), o->len - i * SEAL_SEALED_CHUNK);
    o->len += SEAL_SEALED_CHUNK;
}

int object_read(const struct object *o, const struct secret *with, bool *lacks_end_mark, struct err *e)
{
    _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new(with, o->len, e);
    _cleanup_free_ uint8_t *out = malloc(SEAL_CHUNK);
    size_t at = 0, plain_at = 0, n;

    assert_non_null(out);
    if (!u)
        return -1;
    while ((n = unseal_next_len(u)) > 0) {
        assert_in_range(n, 41, SEAL_SEALED_CHUNK);
        assert_in_range(n, 1, o->len - at);
        memset(out, 0xdb, SEAL_CHUNK);
        if (unseal_chunk(u, (struct bytes){o->data + at, n}, out, e) < 0) {
            for (size_t i = 0; i < n - SEAL_OVERHEAD; i++)
                if (out[i] != 0 && out[i] != 0xdb)
                    fail_msg("plaintext released");
            return -1;
        }
        for (size_t i = 0; i < n - SEAL_OVERHEAD; i++, plain_at++)
            if (out[i] != plain_byte(plain_at))
                fail_msg("byte %zu differs", plain_at);
        at += n;
    }
    assert_int_equal(at, o->len);
    assert_true(unseal_plain_size(o->len) == plain_at);
    *lacks_end_mark = unseal_lacks_end_mark(u);
    return 0;
}

void object_expect_whole(const struct object *o, bool expect_end_mark)
{
    struct err e = ERR_INIT;
    bool lacks_end_mark;

    expect_success(object_read(o, object_key, &lacks_end_mark, &e) == 0, &e);
    assert_int_equal(e.kind, ERR_NONE);
    assert_int_equal(lacks_end_mark, !expect_end_mark);
}

void object_expect_fault(const struct object *o, unsigned chunk, const char *what)
{
    struct err e = ERR_INIT;
    bool lacks_end_mark;
    char text[ERR_TEXT_MAX];

    assert_int_equal(object_read(o, object_key, &lacks_end_mark, &e), -1);
    (void)snprintf(text, sizeof(text), "chunk %u at byte %u: %s", chunk, chunk * 1048616u, what);
    expect_error(&e, ERR_INTEGRITY, text);
    assert_int_equal(e.domain, ERR_DOMAIN_FORMAT);
    assert_int_equal(e.code, chunk * 1048616u);
}
