#include "age/hkdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/secret.h"

static_assert(HKDF_LEN == crypto_auth_hmacsha256_BYTES, "one block");

static void mac_of_two(struct bytes key, struct bytes a, struct bytes b, uint8_t out[HKDF_LEN])
{
    crypto_auth_hmacsha256_state state;

    (void)crypto_auth_hmacsha256_init(&state, key.data, key.len);
    (void)crypto_auth_hmacsha256_update(&state, a.data, a.len);
    (void)crypto_auth_hmacsha256_update(&state, b.data, b.len);
    (void)crypto_auth_hmacsha256_final(&state, out);
    secret_wipe(&state, sizeof(state));
}

void hkdf_derive(struct bytes key, struct bytes salt, const char *info, uint8_t out[HKDF_LEN])
{
    static const uint8_t first_block[1] = {1};
    uint8_t extracted[HKDF_LEN];

    mac_of_two(salt, key, (struct bytes){first_block, 0}, extracted);
    mac_of_two((struct bytes){extracted, sizeof(extracted)}, (struct bytes){(const uint8_t *)info, strlen(info)},
            (struct bytes){first_block, sizeof(first_block)}, out);
    secret_wipe(extracted, sizeof(extracted));
}

void hkdf_mac(const uint8_t key[HKDF_LEN], struct bytes data, uint8_t out[HKDF_LEN])
{
    mac_of_two((struct bytes){key, HKDF_LEN}, data, (struct bytes){key, 0}, out);
}
