#include "age/x25519.h"

#include <sodium.h>
#include <string.h>

#include "base/secret.h"

static const uint8_t no_nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

int x25519_wrap_key(const uint8_t scalar[AGE_KEY_LEN], const uint8_t point[AGE_KEY_LEN],
        const uint8_t share[AGE_KEY_LEN], const struct age_recipient *recipient, uint8_t out[HKDF_LEN])
{
    uint8_t shared[AGE_KEY_LEN], salt[2 * AGE_KEY_LEN];
    /* libsodium refuses the points of low order, and a product of nothing but zeros. */
    int done = crypto_scalarmult(shared, scalar, point);

    memcpy(salt, share, AGE_KEY_LEN);
    memcpy(salt + AGE_KEY_LEN, recipient->point, AGE_KEY_LEN);
    if (done == 0)
        hkdf_derive((struct bytes){shared, sizeof(shared)}, (struct bytes){salt, sizeof(salt)},
                "age-encryption.org/v1/X25519", out);
    secret_wipe(shared, sizeof(shared));
    return done;
}

void x25519_wrap(const uint8_t file_key[16], const uint8_t wrap_key[HKDF_LEN], struct x25519_stanza *s)
{
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(s->wrapped, NULL, file_key, 16, NULL, 0, NULL, no_nonce, wrap_key);
}

bool x25519_unwrap(const struct x25519_stanza *s, const uint8_t wrap_key[HKDF_LEN], uint8_t file_key[16])
{
    return crypto_aead_chacha20poly1305_ietf_decrypt(
                   file_key, NULL, NULL, s->wrapped, sizeof(s->wrapped), NULL, 0, no_nonce, wrap_key) == 0;
}
