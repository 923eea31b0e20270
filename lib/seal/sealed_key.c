#include "seal/sealed_key.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "age/header.h"
#include "age/open.h"
#include "base/cleanup.h"
#include "base/timestamp.h"

enum { PLAIN_LEN = SEALED_KEY_PLAIN };

static_assert(SEALED_KEY_PLAIN == (int)KEY_LEN + (int)TIMESTAMP_TEXT_LEN, "a key and a time");

bool sealed_key_is(struct bytes object)
{
    static const char begins[] = "age-encryption.org/";

    return object.len >= sizeof(begins) - 1 && memcmp(object.data, begins, sizeof(begins) - 1) == 0;
}

static void derive_vouch_key(const struct secret *master, uint8_t out[AGE_VOUCH_KEY_LEN])
{
    assert(secret_len(master) == KEY_LEN);
    (void)crypto_kdf_derive_from_key(out, AGE_VOUCH_KEY_LEN, 4, "etcdbkey", secret_const_data(master));
}

int sealed_key_make(const struct sealed_key_spec *spec, struct buf *out, struct err *e)
{
    _cleanup_secret_ struct secret *plain = secret_new(PLAIN_LEN, e);
    uint8_t vouch_key[AGE_VOUCH_KEY_LEN];
    char timestamp[TIMESTAMP_TEXT_MAX];
    struct age_seal_spec seal = {.recipients = spec->recipients,
            .n = spec->n,
            .plain = plain,
            .timestamp = timestamp_format(spec->instant, timestamp)};
    int made;

    assert(secret_len(spec->data_key) == KEY_LEN);
    if (!plain)
        return -1;
    memcpy(secret_data(plain), secret_const_data(spec->data_key), KEY_LEN);
    memcpy(secret_data(plain) + KEY_LEN, timestamp, TIMESTAMP_TEXT_LEN);
    if (spec->vouching) {
        derive_vouch_key(spec->vouching, vouch_key);
        seal.vouch_key = vouch_key;
    }
    made = age_seal(&seal, out, e);
    secret_wipe(vouch_key, sizeof(vouch_key));
    return made;
}

static int refuse(struct err *e, enum key_fault fault, const char *why)
{
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, fault, "%s", why);
}

static int refuse_renamed(struct err *e, int64_t instant)
{
    char name[TIMESTAMP_TEXT_MAX];

    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_BOUND_ELSEWHERE,
            "the key is bound to another instant than %s: the backup was renamed, or its key exchanged",
            timestamp_format(instant, name));
}

static int parse(struct bytes object, struct age_file *f, struct err *e)
{
    if (age_file_parse(object, f, e) < 0)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_SHAPE, "the key object is %.300s", e->text);
    if (f->payload.len != PLAIN_LEN + AGE_PAYLOAD_OVERHEAD)
        return refuse(e, KEY_FAULT_SHAPE, "the key object is a file of age that holds something else than a data key");
    return 0;
}

int sealed_key_check(
        const struct secret *vouching, struct bytes object, int64_t instant, bool allow_renamed, struct err *e)
{
    char said[TIMESTAMP_TEXT_MAX], right[TIMESTAMP_TEXT_MAX];
    uint8_t vouch_key[AGE_VOUCH_KEY_LEN];
    struct age_file f;
    bool is_ours;

    if (parse(object, &f, e) < 0)
        return -1;
    if (age_vouch_find(&f) == AGE_VOUCH_NONE)
        return refuse(e, KEY_FAULT_UNVOUCHED,
                "nobody vouches for it: whoever knows the recipients and can write to the bucket may have made it");
    if (age_vouch_find(&f) != AGE_VOUCH_ONE)
        return refuse(e, KEY_FAULT_SHAPE, "the key object is a file of age with a vouch that cannot be one");
    (void)age_vouch_time(&f, said);
    derive_vouch_key(vouching, vouch_key);
    is_ours = age_vouch_is_by(&f, vouch_key, said);
    secret_wipe(vouch_key, sizeof(vouch_key));
    if (!is_ours)
        return refuse(e, KEY_FAULT_DOES_NOT_OPEN, "another master key vouches for it, or the key object was changed");
    return allow_renamed || strcmp(said, timestamp_format(instant, right)) == 0 ? 0 : refuse_renamed(e, instant);
}

static struct secret *open_plain(const struct secret *identities, struct bytes object, struct err *e)
{
    char whom[SEALED_KEY_WHOM_MAX];
    struct age_file f;
    struct secret *plain = NULL;

    if (parse(object, &f, e) < 0)
        return NULL;
    plain = age_open(&f, identities, e);
    if (!plain && e->domain == ERR_DOMAIN_AGE && e->code == AGE_FAULT_NO_MATCH)
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_SEALED,
                "sealed to %s, and no identity that was given is one of theirs", sealed_key_whom(object, whom));
    else if (!plain && e->domain == ERR_DOMAIN_AGE)
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_SHAPE, "the key object cannot be opened: %.300s", e->text);
    return plain;
}

struct secret *sealed_key_take(const struct secret *plain, int64_t instant, bool allow_renamed, struct err *e)
{
    char right[TIMESTAMP_TEXT_MAX];

    if (secret_len(plain) != PLAIN_LEN) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "what was given as the data key has %zu bytes instead of %d: it is what age -d makes of the key's "
                "object",
                secret_len(plain), PLAIN_LEN);
        return NULL;
    }
    if (!allow_renamed &&
            memcmp(secret_const_data(plain) + KEY_LEN, timestamp_format(instant, right), TIMESTAMP_TEXT_LEN) != 0) {
        refuse_renamed(e, instant);
        return NULL;
    }
    return secret_copy(secret_const_data(plain), KEY_LEN, e);
}

struct secret *sealed_key_open(
        const struct secret *identities, struct bytes object, int64_t instant, bool allow_renamed, struct err *e)
{
    _cleanup_secret_ struct secret *plain = open_plain(identities, object, e);

    return plain ? sealed_key_take(plain, instant, allow_renamed, e) : NULL;
}

size_t sealed_key_recipients(struct bytes object, struct age_recipient out[AGE_RECIPIENTS_MAX])
{
    struct err ignored = ERR_INIT;
    struct age_file f;

    return age_file_parse(object, &f, &ignored) == 0 ? age_recipients_of(&f, out) : 0;
}

char *sealed_key_proof(const struct secret *vouching, const struct secret *data_key, struct bytes object,
        char out[SEALED_KEY_PROOF_MAX])
{
    uint8_t key[KEY_LEN], mac[(SEALED_KEY_PROOF_MAX - 1) / 2];
    crypto_generichash_state state;

    assert(secret_len(vouching) == KEY_LEN && secret_len(data_key) == KEY_LEN);
    (void)crypto_kdf_derive_from_key(key, sizeof(key), 5, "etcdbkey", secret_const_data(vouching));
    (void)crypto_generichash_init(&state, key, sizeof(key), sizeof(mac));
    (void)crypto_generichash_update(&state, secret_const_data(data_key), KEY_LEN);
    (void)crypto_generichash_update(&state, object.data, object.len);
    (void)crypto_generichash_final(&state, mac, sizeof(mac));
    secret_wipe(key, sizeof(key));
    secret_wipe(&state, sizeof(state));
    return sodium_bin2hex(out, SEALED_KEY_PROOF_MAX, mac, sizeof(mac));
}

bool sealed_key_has_proof(
        const struct secret *vouching, const struct secret *data_key, struct bytes object, const char *proof)
{
    char right[SEALED_KEY_PROOF_MAX];

    (void)sealed_key_proof(vouching, data_key, object, right);
    return strlen(proof) == strlen(right) && sodium_memcmp(proof, right, strlen(right)) == 0;
}

char *sealed_key_whom(struct bytes object, char out[SEALED_KEY_WHOM_MAX])
{
    enum { SHOWN = 6 };
    struct age_recipient recipients[AGE_RECIPIENTS_MAX];
    size_t n = sealed_key_recipients(object, recipients), len = 0;

    for (size_t i = 0; i < n && i < SHOWN; i++) {
        char name[AGE_RECIPIENT_SHORT_MAX];

        len += (size_t)sprintf(out + len, "%s%s", i ? ", " : "", age_recipient_short(&recipients[i], name));
    }
    if (n > SHOWN)
        (void)sprintf(out + len, ", and %zu more", n - SHOWN);
    if (n == 0)
        (void)snprintf(out, SEALED_KEY_WHOM_MAX, "people whom it does not name");
    return out;
}
