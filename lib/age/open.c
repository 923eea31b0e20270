#include "age/open.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "age/hkdf.h"
#include "age/identity.h"
#include "age/x25519.h"
#include "base/cleanup.h"

enum { TAG_LEN = crypto_aead_chacha20poly1305_ietf_ABYTES };

static_assert(AGE_PAYLOAD_OVERHEAD == AGE_PAYLOAD_NONCE_LEN + TAG_LEN, "payload");

static int refuse(struct err *e, enum age_fault fault, const char *why)
{
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_AGE, fault, "%s", why);
}

/* The stanza's share, and what is wrapped. */
static int read_stanza(const struct age_stanza *s, struct x25519_stanza *out, struct err *e)
{
    struct bytes share, more;

    if (!age_stanza_argument(s, 1, &share) || age_stanza_argument(s, 2, &more) ||
            !age_base64_read(share, out->share, sizeof(out->share)))
        return refuse(e, AGE_FAULT_SHAPE, "a file of age with a stanza X25519 whose arguments are not one of 32 bytes");
    if (!age_stanza_body(s, out->wrapped, sizeof(out->wrapped)))
        return refuse(e, AGE_FAULT_SHAPE, "a file of age with a stanza X25519 whose body has not 32 bytes");
    return 0;
}

/* 1: *file_key is the file's; 0: it is not for this stanza. */
static int try_stanza(
        const struct x25519_stanza *s, const struct secret *identities, struct secret *file_key, struct err *e)
{
    for (size_t i = 0; i < age_identity_count(identities); i++) {
        uint8_t wrap_key[HKDF_LEN];
        struct age_recipient own;
        int opened;

        age_identity_recipient(identities, i, &own);
        if (x25519_wrap_key(secret_const_data(identities) + i * AGE_KEY_LEN, s->share, s->share, &own, wrap_key) < 0)
            return refuse(e, AGE_FAULT_SHAPE, "a file of age with a stanza X25519 of low order, which nobody seals to");
        opened = x25519_unwrap(s, wrap_key, secret_data(file_key));
        secret_wipe(wrap_key, sizeof(wrap_key));
        if (opened)
            return 1;
    }
    return 0;
}

/* All stanzas are looked at, also behind the one that opens: a file is good or it is not, whoever reads it. */
static int find_file_key(
        const struct age_file *f, const struct secret *identities, struct secret *file_key, struct err *e)
{
    _cleanup_secret_ struct secret *tried = secret_new(AGE_FILE_KEY_LEN, e);
    bool is_found = false;

    if (!tried)
        return -1;
    for (size_t i = 0; i < f->n_stanzas; i++) {
        struct x25519_stanza s;
        int opened;

        if (age_stanza_is(&f->stanzas[i], "scrypt"))
            return refuse(e, f->n_stanzas > 1 ? AGE_FAULT_SHAPE : AGE_FAULT_NO_MATCH,
                    "a file of age that is sealed to a passphrase");
        if (!age_stanza_is(&f->stanzas[i], "X25519"))
            continue;
        if (read_stanza(&f->stanzas[i], &s, e) < 0)
            return -1;
        opened = try_stanza(&s, identities, tried, e);
        if (opened < 0)
            return -1;
        if (opened && !is_found)
            memcpy(secret_data(file_key), secret_const_data(tried), AGE_FILE_KEY_LEN);
        is_found = is_found || opened;
    }
    return is_found ? 0 : refuse(e, AGE_FAULT_NO_MATCH, "none of the identities opens it");
}

static int check_mac(const struct age_file *f, const struct secret *file_key, struct err *e)
{
    uint8_t key[HKDF_LEN], mac[AGE_MAC_LEN];

    hkdf_derive((struct bytes){secret_const_data(file_key), AGE_FILE_KEY_LEN}, (struct bytes){(const uint8_t *)"", 0},
            "header", key);
    hkdf_mac(key, f->header, mac);
    secret_wipe(key, sizeof(key));
    return sodium_memcmp(mac, f->mac, sizeof(mac)) == 0
                   ? 0
                   : refuse(e, AGE_FAULT_DAMAGED, "the header of the file of age was changed, or is damaged");
}

static struct secret *open_payload(struct bytes payload, const struct secret *file_key, struct err *e)
{
    static const uint8_t nonce_of_last[crypto_aead_chacha20poly1305_ietf_NPUBBYTES] = {[11] = 1};
    _cleanup_secret_ struct secret *plain = NULL;
    uint8_t key[HKDF_LEN];
    int opened;

    if (payload.len < AGE_PAYLOAD_NONCE_LEN) {
        refuse(e, AGE_FAULT_SHAPE, "a file of age that ends before its payload");
        return NULL;
    }
    if (payload.len < AGE_PAYLOAD_OVERHEAD || payload.len > AGE_PAYLOAD_OVERHEAD + AGE_PLAIN_MAX) {
        refuse(e, AGE_FAULT_DAMAGED, "the payload of the file of age is too short, or too long");
        return NULL;
    }
    plain = secret_new(payload.len - AGE_PAYLOAD_OVERHEAD, e);
    if (!plain)
        return NULL;
    hkdf_derive((struct bytes){secret_const_data(file_key), AGE_FILE_KEY_LEN},
            (struct bytes){payload.data, AGE_PAYLOAD_NONCE_LEN}, "payload", key);
    opened = crypto_aead_chacha20poly1305_ietf_decrypt(secret_data(plain), NULL, NULL,
            payload.data + AGE_PAYLOAD_NONCE_LEN, payload.len - AGE_PAYLOAD_NONCE_LEN, NULL, 0, nonce_of_last, key);
    secret_wipe(key, sizeof(key));
    if (opened != 0) {
        refuse(e, AGE_FAULT_DAMAGED, "the payload of the file of age was changed, or is damaged");
        return NULL;
    }
    return TAKE_PTR(plain);
}

struct secret *age_open(const struct age_file *f, const struct secret *identities, struct err *e)
{
    _cleanup_secret_ struct secret *file_key = secret_new(AGE_FILE_KEY_LEN, e);

    if (!file_key || find_file_key(f, identities, file_key, e) < 0 || check_mac(f, file_key, e) < 0)
        return NULL;
    return open_payload(f->payload, file_key, e);
}
