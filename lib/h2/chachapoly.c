#include "h2/chachapoly.h"

#include <mbedtls/chachapoly.h>
#include <sodium.h>
#include <stdatomic.h>

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

int mbedtls_chachapoly_auth_decrypt(mbedtls_chachapoly_context *ctx, size_t length, const unsigned char nonce[12],
        const unsigned char *aad, size_t aad_len, const unsigned char tag[16], const unsigned char *input,
        unsigned char *output)
{
    unsigned char key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
    int failed;

    get_key(ctx, key);
    failed = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
            output, NULL, input, length, tag, aad, aad_len, nonce, key);
    sodium_memzero(key, sizeof(key));
    atomic_fetch_add_explicit(&opened, 1, memory_order_relaxed);
    return failed ? MBEDTLS_ERR_CHACHAPOLY_AUTH_FAILED : 0;
}
