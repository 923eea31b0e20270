#include "age/vouch.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"

static void add(crypto_generichash_state *state, struct bytes data)
{
    (void)crypto_generichash_update(state, data.data, data.len);
}

void age_vouch(const uint8_t key[AGE_VOUCH_KEY_LEN], const char timestamp[TIMESTAMP_TEXT_MAX], struct bytes before,
        struct bytes after, struct bytes payload, uint8_t out[AGE_VOUCH_LEN])
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, key, AGE_VOUCH_KEY_LEN, AGE_VOUCH_LEN);
    add(&state, (struct bytes){(const uint8_t *)timestamp, TIMESTAMP_TEXT_LEN});
    add(&state, before);
    add(&state, after);
    add(&state, (struct bytes){(const uint8_t *)"---", 3});
    add(&state, payload);
    (void)crypto_generichash_final(&state, out, AGE_VOUCH_LEN);
    secret_wipe(&state, sizeof(state));
}

static const struct age_stanza *find(const struct age_file *f)
{
    for (size_t i = 0; i < f->n_stanzas; i++)
        if (age_stanza_is(&f->stanzas[i], AGE_VOUCH_TYPE))
            return &f->stanzas[i];
    return NULL;
}

enum age_vouch_state age_vouch_find(const struct age_file *f)
{
    const struct age_stanza *s = find(f);
    uint8_t vouch[AGE_VOUCH_LEN];
    struct bytes timestamp, more;

    if (!s)
        return AGE_VOUCH_NONE;
    for (const struct age_stanza *other = s + 1; other < f->stanzas + f->n_stanzas; other++)
        if (age_stanza_is(other, AGE_VOUCH_TYPE))
            return AGE_VOUCH_MALFORMED;
    return age_stanza_argument(s, 1, &timestamp) && timestamp.len == TIMESTAMP_TEXT_LEN &&
                           !age_stanza_argument(s, 2, &more) && age_stanza_body(s, vouch, sizeof(vouch))
                   ? AGE_VOUCH_ONE
                   : AGE_VOUCH_MALFORMED;
}

char *age_vouch_time(const struct age_file *f, char out[TIMESTAMP_TEXT_MAX])
{
    struct bytes said = {0};

    if (age_vouch_find(f) == AGE_VOUCH_ONE)
        (void)age_stanza_argument(find(f), 1, &said);
    (void)snprintf(out, TIMESTAMP_TEXT_MAX, "%.*s", (int)said.len, said.len ? (const char *)said.data : "");
    return out;
}

bool age_vouch_is_by(
        const struct age_file *f, const uint8_t key[AGE_VOUCH_KEY_LEN], const char timestamp[TIMESTAMP_TEXT_MAX])
{
    const struct age_stanza *s = find(f);
    uint8_t found[AGE_VOUCH_LEN], right[AGE_VOUCH_LEN];
    struct bytes said, before, after;

    if (age_vouch_find(f) != AGE_VOUCH_ONE || !age_stanza_argument(s, 1, &said) ||
            memcmp(said.data, timestamp, TIMESTAMP_TEXT_LEN) != 0 || !age_stanza_body(s, found, sizeof(found)))
        return false;
    before = (struct bytes){f->stanzas[0].whole.data, (size_t)(s->whole.data - f->stanzas[0].whole.data)};
    after.data = s->whole.data + s->whole.len;
    after.len = (size_t)(f->header.data + f->header.len - 3 - after.data); /* without "---" */
    age_vouch(key, timestamp, before, after, f->payload, right);
    return sodium_memcmp(found, right, sizeof(right)) == 0;
}
