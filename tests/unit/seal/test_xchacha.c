/*
 * The same bytes as libsodium's own XChaCha20-Poly1305, from libcrypto and where libcrypto may not; and what is left of
 * a key in libcrypto's heap, whose blocks this file gives out.
 */
#include "expect.h"

#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "seal/key.h"
#include "seal/xchacha.h"

enum { LEN_MAX = (1 << 20) + 1 };

/* ---- libcrypto's heap ---- */

struct block {
    TAILQ_ENTRY(block) link;
    size_t len;
    _Alignas(max_align_t) uint8_t data[];
};
static TAILQ_HEAD(, block) blocks = TAILQ_HEAD_INITIALIZER(blocks);
static uint8_t hunted[32];       /* the subkey */
static uint8_t hunted_words[32]; /* as libcrypto has it, in words of the machine */
static bool is_hunting;
static unsigned freed_with_key;
static size_t until_failure; /* allocations; 0: none fails */

static bool has_key(const struct block *b)
{
    return memmem(b->data, b->len, hunted, sizeof(hunted)) ||
           memmem(b->data, b->len, hunted_words, sizeof(hunted_words));
}

static void *give(size_t len, const char *file, int line)
{
    struct block *b;

    (void)file, (void)line;
    if (until_failure && --until_failure == 0)
        return NULL;
    b = calloc(1, sizeof(*b) + len);
    if (!b)
        abort();
    b->len = len;
    TAILQ_INSERT_TAIL(&blocks, b, link);
    return b->data;
}

static void take(void *data, const char *file, int line)
{
    struct block *b = data ? CONTAINER_OF(data, struct block, data) : NULL;

    (void)file, (void)line;
    if (!b)
        return;
    freed_with_key += is_hunting && has_key(b);
    TAILQ_REMOVE(&blocks, b, link);
    free(b);
}

static void *resize(void *data, size_t len, const char *file, int line)
{
    const struct block *b = data ? CONTAINER_OF(data, struct block, data) : NULL;
    void *moved = give(len, file, line);

    if (moved && b)
        memcpy(moved, data, b->len < len ? b->len : len);
    if (moved)
        take(data, file, line);
    return moved;
}

static unsigned holding_key(void)
{
    const struct block *b;
    unsigned n = 0;

    TAILQ_FOREACH(b, &blocks, link)
    n += has_key(b);
    return n;
}

/* ---- libcrypto that may not ---- */

static bool is_forbidden;

EVP_CIPHER *__real_EVP_CIPHER_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties);
EVP_CIPHER *__wrap_EVP_CIPHER_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties);
EVP_CIPHER *__wrap_EVP_CIPHER_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties)
{
    return is_forbidden ? NULL : __real_EVP_CIPHER_fetch(ctx, algorithm, properties);
}

/* What libcrypto does within a chunk: seen before the chunk is done with. */
static unsigned held_at_work;

int __real_EVP_CIPHER_CTX_reset(EVP_CIPHER_CTX *ctx);
int __wrap_EVP_CIPHER_CTX_reset(EVP_CIPHER_CTX *ctx);
int __wrap_EVP_CIPHER_CTX_reset(EVP_CIPHER_CTX *ctx)
{
    held_at_work += is_hunting ? holding_key() : 0;
    return __real_EVP_CIPHER_CTX_reset(ctx);
}

/* ---- */

static uint8_t plain[LEN_MAX], sealed[LEN_MAX + XCHACHA_TAG_LEN], expected[LEN_MAX + XCHACHA_TAG_LEN], opened[LEN_MAX];
static uint8_t key_bytes[KEY_LEN], nonce[NONCE_LEN];

static struct xchacha *new_cipher(void)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *key = secret_copy(key_bytes, KEY_LEN, &e);
    struct xchacha *x = xchacha_new(key, &e);

    expect_success(x, &e);
    return x;
}

static int choose(void **state)
{
    (void)state;
    is_forbidden = is_hunting = false;
    until_failure = 0;
    randombytes_buf(key_bytes, sizeof(key_bytes));
    randombytes_buf(nonce, sizeof(nonce));
    randombytes_buf(plain, sizeof(plain));
    return 0;
}

/* Errors of OpenSSL are nobody's once we are back. */
static void seal(struct xchacha *x, size_t len)
{
    struct err e = ERR_INIT;

    expect_success(xchacha_seal(x, nonce, (struct bytes){plain, len}, sealed, &e) == 0, &e);
    assert_int_equal(ERR_peek_error(), 0);
}

static bool open_sealed(struct xchacha *x, size_t len)
{
    struct err e = ERR_INIT;
    bool is_authentic;

    memset(opened, 0xaa, sizeof(opened));
    expect_success(
            xchacha_open(x, nonce, (struct bytes){sealed, len + XCHACHA_TAG_LEN}, opened, &is_authentic, &e) == 0, &e);
    assert_int_equal(ERR_peek_error(), 0);
    return is_authentic;
}

static void check_bytes(void)
{
    static const size_t lens[] = {0, 1, 15, 16, 17, 63, 64, 65, 255, 4096, 65537, LEN_MAX - 1, LEN_MAX};
    _cleanup_(cleanup_xchacha_free) struct xchacha *x = new_cipher();

    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        unsigned long long n;

        nonce[NONCE_LEN - 1] = (uint8_t)i;
        if (i % 3 == 0)
            nonce[i]++; /* another base */
        seal(x, lens[i]);
        (void)crypto_aead_xchacha20poly1305_ietf_encrypt(expected, &n, plain, lens[i], NULL, 0, NULL, nonce, key_bytes);
        assert_int_equal(n, lens[i] + XCHACHA_TAG_LEN);
        assert_memory_equal(sealed, expected, lens[i] + XCHACHA_TAG_LEN);
        assert_true(open_sealed(x, lens[i]));
        assert_memory_equal(opened, plain, lens[i]);
    }
}

static void the_bytes_are_libsodium_s(void **state)
{
    (void)state;
    check_bytes();
}

static void they_are_the_same_where_libcrypto_may_not(void **state)
{
    (void)state;
    is_forbidden = true;
    check_bytes();
}

static void check_forgeries(void)
{
    static const size_t lens[] = {1, 64, 70000};
    _cleanup_(cleanup_xchacha_free) struct xchacha *x = new_cipher();

    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        const size_t places[] = {0, lens[i] / 2, lens[i] - 1, lens[i], lens[i] + XCHACHA_TAG_LEN - 1};

        seal(x, lens[i]);
        for (size_t p = 0; p < ARRAY_LEN(places); p++) {
            sealed[places[p]] ^= 0x80;
            assert_false(open_sealed(x, lens[i]));
            assert_true(sodium_is_zero(opened, lens[i]));
            sealed[places[p]] ^= 0x80;
        }
        nonce[NONCE_LEN - 1] ^= 1;
        assert_false(open_sealed(x, lens[i]));
        nonce[NONCE_LEN - 1] ^= 1;
        nonce[0] ^= 1;
        assert_false(open_sealed(x, lens[i]));
        nonce[0] ^= 1;
        assert_true(open_sealed(x, lens[i])); /* and it goes on */
    }
}

static void of_what_is_not_authentic_nothing_is_given_out(void **state)
{
    (void)state;
    check_forgeries();
    is_forbidden = true;
    check_forgeries();
}

static void between_chunks_libcrypto_holds_no_key(void **state)
{
    _cleanup_(cleanup_xchacha_free) struct xchacha *x = new_cipher();

    (void)state;
    (void)crypto_core_hchacha20(hunted, nonce, key_bytes, NULL);
    for (size_t i = 0; i < sizeof(hunted); i += 4) {
        uint32_t word;

        memcpy(&word, hunted + i, 4);
        word = le32toh(word);
        memcpy(hunted_words + i, &word, 4);
    }
    is_hunting = true;
    freed_with_key = held_at_work = 0;
    seal(x, 1000);
    assert_int_not_equal(held_at_work, 0); /* else we look in the wrong place */
    assert_int_equal(holding_key(), 0);
    assert_true(open_sealed(x, 1000));
    sealed[0] ^= 1;
    assert_false(open_sealed(x, 1000));
    assert_int_equal(holding_key(), 0);
    assert_int_equal(freed_with_key, 0);
    is_hunting = false;
}

static void without_memory_a_chunk_fails_and_the_next_may_not(void **state)
{
    _cleanup_(cleanup_xchacha_free) struct xchacha *x = new_cipher();
    bool is_authentic, failed;
    size_t n = 0;

    (void)state;
    seal(x, 1000);
    do {
        struct err e = ERR_INIT;

        until_failure = ++n;
        failed = xchacha_seal(x, nonce, (struct bytes){plain, 1000}, sealed, &e) < 0;
        assert_int_equal(failed, until_failure == 0);
        assert_int_equal(e.kind, failed ? ERR_RESOURCE : ERR_NONE);
    } while (failed);
    assert_true(n > 1);
    until_failure = 0;
    seal(x, 1000);
    n = 0;
    do {
        struct err e = ERR_INIT;

        until_failure = ++n;
        memset(opened, 0xaa, 1000);
        failed = xchacha_open(x, nonce, (struct bytes){sealed, 1000 + XCHACHA_TAG_LEN}, opened, &is_authentic, &e) < 0;
        assert_int_equal(failed, until_failure == 0);
        assert_int_equal(is_authentic, !failed);
        if (failed)
            assert_true(sodium_is_zero(opened, 1000));
    } while (failed);
    until_failure = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(the_bytes_are_libsodium_s, choose),
            cmocka_unit_test_setup(they_are_the_same_where_libcrypto_may_not, choose),
            cmocka_unit_test_setup(of_what_is_not_authentic_nothing_is_given_out, choose),
            cmocka_unit_test_setup(between_chunks_libcrypto_holds_no_key, choose),
            cmocka_unit_test_setup(without_memory_a_chunk_fails_and_the_next_may_not, choose),
    };

    if (CRYPTO_set_mem_functions(give, resize, take) != 1 || sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
