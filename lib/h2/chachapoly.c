#include "h2/chachapoly.h"

#include <limits.h>
#include <mbedtls/chachapoly.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#ifndef MBEDTLS_PRIVATE /* 2.28 */
#define MBEDTLS_PRIVATE(member) member
#endif

static atomic_uint_fast64_t opened;

uint64_t chachapoly_opened(void)
{
    return atomic_load_explicit(&opened, memory_order_relaxed);
}

/* The key is words 4 to 11 of ChaCha20's initial state, little-endian (RFC 8439, section 2.3). */
static void get_key(
        const mbedtls_chachapoly_context *ctx, unsigned char key[crypto_aead_chacha20poly1305_ietf_KEYBYTES])
{
    const uint32_t *state = ctx->MBEDTLS_PRIVATE(chacha20_ctx).MBEDTLS_PRIVATE(state);

    for (size_t i = 0; i < 8; i++) {
        key[4 * i] = (unsigned char)state[4 + i];
        key[4 * i + 1] = (unsigned char)(state[4 + i] >> 8);
        key[4 * i + 2] = (unsigned char)(state[4 + i] >> 16);
        key[4 * i + 3] = (unsigned char)(state[4 + i] >> 24);
    }
}

/* libcrypto's, fetched once and kept; NULL: it may not (FIPS 140). */
static EVP_CIPHER *cipher;

static void fetch(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}

static EVP_CIPHER *libcrypto_cipher(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, fetch);
    return cipher;
}

struct record {
    const unsigned char *key, *nonce, *aad, *tag, *input;
    size_t aad_len, length;
    unsigned char *output; /* may be `input` */
};

/* Plaintext comes out before the tag is looked at. */
static bool open_by_evp(EVP_CIPHER_CTX *ctx, const struct record *r)
{
    unsigned char tag[16];
    int n = 0;

    memcpy(tag, r->tag, sizeof(tag));
    return EVP_DecryptInit_ex2(ctx, libcrypto_cipher(), r->key, r->nonce, NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
           (r->aad_len == 0 || EVP_DecryptUpdate(ctx, NULL, &n, r->aad, (int)r->aad_len) == 1) &&
           EVP_DecryptUpdate(ctx, r->output, &n, r->input, (int)r->length) == 1 &&
           EVP_DecryptFinal_ex(ctx, r->output + r->length, &n) == 1;
}

static bool open_record(const struct record *r)
{
    EVP_CIPHER_CTX *ctx = NULL;
    bool is_open;

    (void)ERR_set_mark(); /* a refusal is no failure of whoever looks at OpenSSL's queue of errors next */
    if (r->length <= INT_MAX && r->aad_len <= INT_MAX && libcrypto_cipher())
        ctx = EVP_CIPHER_CTX_new();
    if (ctx)
        is_open = open_by_evp(ctx, r);
    else
        is_open = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
                          r->output, NULL, r->input, r->length, r->tag, r->aad, r->aad_len, r->nonce, r->key) == 0;
    EVP_CIPHER_CTX_free(ctx); /* it clears what it knows of the key */
    (void)ERR_pop_to_mark();
    if (!is_open)
        sodium_memzero(r->output, r->length);
    return is_open;
}

int mbedtls_chachapoly_auth_decrypt(mbedtls_chachapoly_context *ctx, size_t length, const unsigned char nonce[12],
        const unsigned char *aad, size_t aad_len, const unsigned char tag[16], const unsigned char *input,
        unsigned char *output)
{
    unsigned char key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
    bool is_open;

    get_key(ctx, key);
    is_open = open_record(&(struct record){.key = key,
            .nonce = nonce,
            .aad = aad,
            .aad_len = aad_len,
            .tag = tag,
            .input = input,
            .length = length,
            .output = output});
    sodium_memzero(key, sizeof(key));
    atomic_fetch_add_explicit(&opened, 1, memory_order_relaxed);
    return is_open ? 0 : MBEDTLS_ERR_CHACHAPOLY_AUTH_FAILED;
}
