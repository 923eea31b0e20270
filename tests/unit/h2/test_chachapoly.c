/* mbedTLS opens ChaCha20-Poly1305 records by libcrypto, or where that may not by libsodium, and is none the worse for
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/chachapoly.h>
#include <mbedtls/cipher.h>

#include "h2/chachapoly.h"

#ifdef WITHOUT_LIBCRYPTO
#include <openssl/evp.h>

EVP_CIPHER *__wrap_EVP_CIPHER_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties);
EVP_CIPHER *__wrap_EVP_CIPHER_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties)
{
    (void)ctx, (void)properties;
    assert_string_equal(algorithm, "ChaCha20-Poly1305");
    return NULL;
}
#endif

/* RFC 8439, section 2.8.2. */
static const unsigned char aad[12] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
static const unsigned char nonce[12] = {0x07, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47};
static const unsigned char tag[16] = {
        0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91};
static const unsigned char ciphertext_begin[16] = {
        0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb, 0x7b, 0x86, 0xaf, 0xbc, 0x53, 0xef, 0x7e, 0xc2};
static const char plaintext[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
                                "future, sunscreen would be it.";
enum { LEN = sizeof(plaintext) - 1 };

struct state {
    unsigned char key[32];
    unsigned char sealed[LEN + 16]; /* made by mbedTLS' own code, which is not replaced */
};

static void make(struct state *s)
{
    mbedtls_chachapoly_context ctx;

    for (unsigned i = 0; i < 32; i++)
        s->key[i] = (unsigned char)(0x80 + i);
    mbedtls_chachapoly_init(&ctx);
    assert_int_equal(mbedtls_chachapoly_setkey(&ctx, s->key), 0);
    assert_int_equal(mbedtls_chachapoly_encrypt_and_tag(&ctx, LEN, nonce, aad, sizeof(aad),
                             (const unsigned char *)plaintext, s->sealed, s->sealed + LEN),
            0);
    mbedtls_chachapoly_free(&ctx);
    assert_memory_equal(s->sealed, ciphertext_begin, sizeof(ciphertext_begin));
    assert_memory_equal(s->sealed + LEN, tag, sizeof(tag));
}

/* In place and by the generic interface, as mbedTLS' record layer does. */
static int open_record(const struct state *s, unsigned char *data, size_t aad_len)
{
    mbedtls_cipher_context_t ctx;
    size_t len = 0;
    int rc;

    mbedtls_cipher_init(&ctx);
    assert_int_equal(mbedtls_cipher_setup(&ctx, mbedtls_cipher_info_from_type(MBEDTLS_CIPHER_CHACHA20_POLY1305)), 0);
    assert_int_equal(mbedtls_cipher_setkey(&ctx, s->key, 256, MBEDTLS_DECRYPT), 0);
    rc = mbedtls_cipher_auth_decrypt_ext(
            &ctx, nonce, sizeof(nonce), aad, aad_len, data, LEN + 16, data, LEN + 16, &len, 16);
    mbedtls_cipher_free(&ctx);
    if (rc == 0)
        assert_int_equal(len, LEN);
    return rc;
}

static void test_reaches_mbedtls(void **unused)
{
    uint64_t before = chachapoly_opened();
    struct state s;

    (void)unused;
    make(&s);
    assert_int_equal(open_record(&s, s.sealed, sizeof(aad)), 0);
    assert_memory_equal(s.sealed, plaintext, LEN);
    assert_int_equal(chachapoly_opened(), before + 1);
}

static void test_refuses_every_flipped_bit(void **unused)
{
    struct state s;

    (void)unused;
    make(&s);
    for (size_t bit = 0; bit < sizeof(s.sealed) * 8; bit++) {
        unsigned char data[sizeof(s.sealed)];

        memcpy(data, s.sealed, sizeof(data));
        data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_equal(open_record(&s, data, sizeof(aad)), MBEDTLS_ERR_CIPHER_AUTH_FAILED);
        for (size_t i = 0; i < LEN; i++)
            assert_int_equal(data[i], 0);
    }
    assert_int_equal(open_record(&s, s.sealed, sizeof(aad) - 1), MBEDTLS_ERR_CIPHER_AUTH_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_reaches_mbedtls),
            cmocka_unit_test(test_refuses_every_flipped_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
