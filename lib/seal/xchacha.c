#include "seal/xchacha.h"

#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "seal/key.h"

enum { SUBKEY_LEN = 32, IV_LEN = 12, IV_ZEROS = 4 };

_Static_assert(KEY_LEN == crypto_core_hchacha20_KEYBYTES && SUBKEY_LEN == crypto_core_hchacha20_OUTPUTBYTES &&
                       NONCE_BASE_LEN == crypto_core_hchacha20_INPUTBYTES,
        "the lengths of HChaCha20");

struct xchacha {
    struct secret *keys; /* the key, and behind it the subkey of `base` */
    bool has_subkey;
    uint8_t base[NONCE_BASE_LEN];
    EVP_CIPHER *cipher; /* NULL: libcrypto has none, and libsodium does it */
    EVP_CIPHER_CTX *ctx;
};

struct xchacha *xchacha_new(const struct secret *key, struct err *e)
{
    _cleanup_(cleanup_xchacha_free) struct xchacha *x = calloc(1, sizeof(*x));

    assert(secret_len(key) == KEY_LEN);
    if (!x) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a cipher");
        return NULL;
    }
    x->keys = secret_new(KEY_LEN + SUBKEY_LEN, e);
    if (!x->keys)
        return NULL;
    memcpy(secret_data(x->keys), secret_const_data(key), KEY_LEN);
    (void)ERR_set_mark(); /* a refusal is no failure of whoever looks at OpenSSL's queue of errors next */
    x->cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    (void)ERR_pop_to_mark();
    x->ctx = x->cipher ? EVP_CIPHER_CTX_new() : NULL;
    if (x->cipher && !x->ctx) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a cipher");
        return NULL;
    }
    return TAKE_PTR(x);
}

static const uint8_t *subkey_of(struct xchacha *x, const uint8_t nonce[NONCE_LEN])
{
    uint8_t *subkey = secret_data(x->keys) + KEY_LEN;

    if (x->has_subkey && memcmp(x->base, nonce, NONCE_BASE_LEN) == 0)
        return subkey;
    memcpy(x->base, nonce, NONCE_BASE_LEN);
    (void)crypto_core_hchacha20(subkey, nonce, secret_const_data(x->keys), NULL); /* always 0 */
    x->has_subkey = true;
    return subkey;
}

/* Begins a chunk in x->ctx. Whatever follows, EVP_CIPHER_CTX_reset has to clear it. */
static bool begin(struct xchacha *x, const uint8_t *subkey, const uint8_t iv[IV_LEN], bool encrypts)
{
    return EVP_CipherInit_ex2(x->ctx, x->cipher, subkey, iv, encrypts, NULL) == 1;
}

static bool seal_by_evp(struct xchacha *x, struct bytes plain, uint8_t *out)
{
    int n = 0, rest = 0;

    return EVP_EncryptUpdate(x->ctx, out, &n, plain.data, (int)plain.len) == 1 && (size_t)n == plain.len &&
           EVP_EncryptFinal_ex(x->ctx, out + n, &rest) == 1 && rest == 0 &&
           EVP_CIPHER_CTX_ctrl(x->ctx, EVP_CTRL_AEAD_GET_TAG, XCHACHA_TAG_LEN, out + plain.len) == 1;
}

int xchacha_seal(struct xchacha *x, const uint8_t nonce[NONCE_LEN], struct bytes plain, uint8_t *out, struct err *e)
{
    const uint8_t *subkey = subkey_of(x, nonce);
    uint8_t iv[IV_LEN] = {0};
    bool is_sealed;

    assert(plain.len <= INT_MAX);
    memcpy(iv + IV_ZEROS, nonce + NONCE_BASE_LEN, IV_LEN - IV_ZEROS);
    if (!x->cipher) /* cannot fail for such lengths */
        return crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain.data, plain.len, NULL, 0, NULL, iv, subkey);
    (void)ERR_set_mark();
    is_sealed = begin(x, subkey, iv, true) && seal_by_evp(x, plain, out);
    (void)EVP_CIPHER_CTX_reset(x->ctx);
    (void)ERR_pop_to_mark();
    return is_sealed ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcrypto failed to encrypt a chunk");
}

/* Plaintext comes out before the tag is looked at: whoever gets false has to wipe it. */
static bool open_by_evp(struct xchacha *x, struct bytes sealed, uint8_t *out, bool *is_authentic)
{
    const size_t len = sealed.len - XCHACHA_TAG_LEN;
    uint8_t tag[XCHACHA_TAG_LEN];
    int n = 0, rest = 0;

    memcpy(tag, sealed.data + len, sizeof(tag));
    if (EVP_CIPHER_CTX_ctrl(x->ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1 ||
            EVP_DecryptUpdate(x->ctx, out, &n, sealed.data, (int)len) != 1 || (size_t)n != len)
        return false;
    *is_authentic = EVP_DecryptFinal_ex(x->ctx, out + n, &rest) == 1;
    return true;
}

int xchacha_open(struct xchacha *x, const uint8_t nonce[NONCE_LEN], struct bytes sealed, uint8_t *out,
        bool *is_authentic, struct err *e)
{
    const uint8_t *subkey = subkey_of(x, nonce);
    uint8_t iv[IV_LEN] = {0};
    bool is_done = true;

    assert(sealed.len >= XCHACHA_TAG_LEN && sealed.len <= INT_MAX);
    memcpy(iv + IV_ZEROS, nonce + NONCE_BASE_LEN, IV_LEN - IV_ZEROS);
    *is_authentic = false;
    if (!x->cipher) {
        *is_authentic = crypto_aead_chacha20poly1305_ietf_decrypt(
                                out, NULL, NULL, sealed.data, sealed.len, NULL, 0, iv, subkey) == 0;
    } else {
        (void)ERR_set_mark();
        is_done = begin(x, subkey, iv, false) && open_by_evp(x, sealed, out, is_authentic);
        (void)EVP_CIPHER_CTX_reset(x->ctx);
        (void)ERR_pop_to_mark();
    }
    if (!*is_authentic)
        secret_wipe(out, sealed.len - XCHACHA_TAG_LEN);
    return is_done ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcrypto failed to decrypt a chunk");
}

void xchacha_free(struct xchacha *x)
{
    if (!x)
        return;
    EVP_CIPHER_CTX_free(x->ctx);
    EVP_CIPHER_free(x->cipher);
    secret_free(x->keys);
    free(x);
}
