#include "age/seal.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "age/hkdf.h"
#include "age/open.h"
#include "age/x25519.h"
#include "base/cleanup.h"

static int add_recipient(struct buf *b, const struct secret *file_key, const struct age_recipient *r, struct err *e)
{
    enum { SHARE_TEXT = 44 };
    _cleanup_secret_ struct secret *ephemeral = secret_new(AGE_KEY_LEN, e);
    char arguments[sizeof("X25519 ") + SHARE_TEXT] = "X25519 ";
    uint8_t wrap_key[HKDF_LEN];
    struct x25519_stanza s;

    if (!ephemeral)
        return -1;
    randombytes_buf(secret_data(ephemeral), AGE_KEY_LEN);
    (void)crypto_scalarmult_base(s.share, secret_const_data(ephemeral));
    if (x25519_wrap_key(secret_const_data(ephemeral), r->point, s.share, r, wrap_key) < 0)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "a recipient of age is a point of low order");
    x25519_wrap(secret_const_data(file_key), wrap_key, &s);
    secret_wipe(wrap_key, sizeof(wrap_key));
    (void)sodium_bin2base64(arguments + strlen(arguments), SHARE_TEXT, s.share, sizeof(s.share),
            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    return age_write_stanza(b, arguments, (struct bytes){s.wrapped, sizeof(s.wrapped)}, e);
}

static int add_names(struct buf *b, const struct age_seal_spec *spec, struct err *e)
{
    char arguments[sizeof(AGE_RECIPIENTS_TYPE) + AGE_RECIPIENTS_MAX * AGE_RECIPIENT_MAX] = AGE_RECIPIENTS_TYPE;
    char *p = arguments + strlen(arguments);

    for (size_t i = 0; i < spec->n; i++) {
        *p++ = ' ';
        p += strlen(age_recipient_format(&spec->recipients[i], p));
    }
    return age_write_stanza(b, arguments, (struct bytes){(const uint8_t *)"", 0}, e);
}

static int seal_payload(struct buf *b, const struct secret *file_key, const struct secret *plain, struct err *e)
{
    static const uint8_t nonce_of_last[crypto_aead_chacha20poly1305_ietf_NPUBBYTES] = {[11] = 1};
    const size_t len = secret_len(plain) + AGE_PAYLOAD_OVERHEAD;
    uint8_t key[HKDF_LEN];
    uint8_t *p;

    if (buf_reserve(b, len, e) < 0)
        return -1;
    p = b->data + b->len;
    randombytes_buf(p, AGE_PAYLOAD_NONCE_LEN);
    hkdf_derive((struct bytes){secret_const_data(file_key), AGE_FILE_KEY_LEN}, (struct bytes){p, AGE_PAYLOAD_NONCE_LEN},
            "payload", key);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(p + AGE_PAYLOAD_NONCE_LEN, NULL, secret_const_data(plain),
            secret_len(plain), NULL, 0, NULL, nonce_of_last, key);
    secret_wipe(key, sizeof(key));
    b->len += len;
    return 0;
}

static int add_vouch(struct buf *b, const struct age_seal_spec *spec, size_t begin, struct bytes payload, struct err *e)
{
    const struct bytes before = {b->data + begin, b->len - begin}, after = {(const uint8_t *)"", 0};
    char arguments[sizeof(AGE_VOUCH_TYPE) + TIMESTAMP_TEXT_MAX];
    uint8_t vouch[AGE_VOUCH_LEN];

    age_vouch(spec->vouch_key, spec->timestamp, before, after, payload, vouch);
    (void)snprintf(arguments, sizeof(arguments), AGE_VOUCH_TYPE " %s", spec->timestamp);
    return age_write_stanza(b, arguments, (struct bytes){vouch, sizeof(vouch)}, e);
}

static int add_mac(struct buf *b, const struct secret *file_key, struct err *e)
{
    uint8_t key[HKDF_LEN];
    int written;

    hkdf_derive((struct bytes){secret_const_data(file_key), AGE_FILE_KEY_LEN}, (struct bytes){(const uint8_t *)"", 0},
            "header", key);
    written = age_write_mac(b, key, e);
    secret_wipe(key, sizeof(key));
    return written;
}

int age_seal(const struct age_seal_spec *spec, struct buf *out, struct err *e)
{
    _cleanup_secret_ struct secret *file_key = secret_new(AGE_FILE_KEY_LEN, e);
    _cleanup_buf_ struct buf payload = BUF_INIT(AGE_FILE_MAX);
    size_t begin;

    assert(spec->n >= 1 && spec->n <= AGE_RECIPIENTS_MAX && out->len == 0);
    if (!file_key)
        return -1;
    randombytes_buf(secret_data(file_key), AGE_FILE_KEY_LEN);
    if (seal_payload(&payload, file_key, spec->plain, e) < 0 || age_write_version(out, e) < 0)
        return -1;
    begin = out->len;
    for (size_t i = 0; i < spec->n; i++)
        if (add_recipient(out, file_key, &spec->recipients[i], e) < 0)
            return -1;
    if (add_names(out, spec, e) < 0 || (spec->vouch_key && add_vouch(out, spec, begin, buf_bytes(&payload), e) < 0) ||
            add_mac(out, file_key, e) < 0)
        return -1;
    return buf_append(out, payload.data, payload.len, e);
}

static size_t read_names(const struct age_stanza *s, struct age_recipient out[AGE_RECIPIENTS_MAX])
{
    struct bytes argument;
    size_t n = 0;

    for (; age_stanza_argument(s, n + 1, &argument); n++) {
        char text[AGE_RECIPIENT_MAX];
        struct err ignored;

        if (n == AGE_RECIPIENTS_MAX || argument.len != AGE_RECIPIENT_MAX - 1)
            return 0;
        memcpy(text, argument.data, argument.len);
        text[argument.len] = '\0';
        if (age_recipient_parse(text, &out[n], &ignored) < 0)
            return 0;
    }
    return n;
}

size_t age_recipients_of(const struct age_file *f, struct age_recipient out[AGE_RECIPIENTS_MAX])
{
    for (size_t i = 0; i < f->n_stanzas; i++)
        if (age_stanza_is(&f->stanzas[i], AGE_RECIPIENTS_TYPE))
            return read_names(&f->stanzas[i], out);
    return 0;
}
