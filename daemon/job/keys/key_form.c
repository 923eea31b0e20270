#include "job/keys/key_form.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conf/schema.h"
#include "seal/key.h"
#include "seal/sealed_key.h"

static_assert(CONF_RECIPIENTS_MAX == (int)AGE_RECIPIENTS_MAX, "one file for all of them");

int key_form_of(const struct conf *conf, const struct secret *master, struct key_form *out, struct err *e)
{
    *out = (struct key_form){.master = master, .n = conf->n_encryption_recipients};
    for (size_t i = 0; i < out->n; i++)
        if (age_recipient_parse(conf->encryption_recipients[i], &out->recipients[i], e) < 0)
            return -1;
    return 0;
}

static int compare_points(const void *a, const void *b)
{
    return memcmp(a, b, AGE_KEY_LEN);
}

/* 80 bits of BLAKE2b (output 16 bytes) over their points, sorted, none twice; it looks like key_fingerprint. Returns
 * how many they are. */
static size_t digest_people(const struct key_form *f, char out[KEY_FINGERPRINT_MAX])
{
    enum { SHOWN = 10 };
    struct age_recipient sorted[AGE_RECIPIENTS_MAX];
    uint8_t digest[crypto_generichash_BYTES_MIN];
    crypto_generichash_state state;
    size_t distinct = 0;

    memcpy(sorted, f->recipients, f->n * sizeof(sorted[0]));
    qsort(sorted, f->n, sizeof(sorted[0]), compare_points);
    (void)crypto_generichash_init(&state, NULL, 0, sizeof(digest));
    for (size_t i = 0; i < f->n; i++) {
        if (i && compare_points(&sorted[i - 1], &sorted[i]) == 0)
            continue;
        (void)crypto_generichash_update(&state, sorted[i].point, sizeof(sorted[i].point));
        distinct++;
    }
    (void)crypto_generichash_final(&state, digest, sizeof(digest));
    for (size_t i = 0; i < SHOWN; i++)
        out += sprintf(out, "%s%02x", i && i % 2 == 0 ? "-" : "", digest[i]);
    return distinct;
}

char *key_form_words(const struct key_form *f, const char *master, char out[KEY_FORM_WORDS_MAX])
{
    char people[KEY_FINGERPRINT_MAX];
    size_t n;

    if (f->n == 0) {
        (void)snprintf(out, KEY_FORM_WORDS_MAX, "%s%s", master[0] ? "wrapped by master key " : "none", master);
        return out;
    }
    n = digest_people(f, people);
    (void)snprintf(out, KEY_FORM_WORDS_MAX, "sealed to %zu %s (%s), vouched for by %s%s", n,
            n == 1 ? "person" : "people", people, master[0] ? "master key " : "nobody", master);
    return out;
}

int key_form_write(
        const struct key_form *f, const struct secret *data_key, int64_t instant, struct buf *out, struct err *e)
{
    const struct sealed_key_spec spec = {
            .recipients = f->recipients, .n = f->n, .data_key = data_key, .instant = instant, .vouching = f->master};
    uint8_t wrapped[KEY_WRAPPED_LEN];

    if (f->n)
        return sealed_key_make(&spec, out, e);
    assert(f->master);
    return key_wrap(f->master, data_key, instant, wrapped, e) < 0 ? -1 : buf_append(out, wrapped, sizeof(wrapped), e);
}

/* Another key's, or of the other kind: that says what it is not, and no more. */
static bool is_another(const struct err *why)
{
    return why->domain == ERR_DOMAIN_KEY &&
           (why->code == KEY_FAULT_DOES_NOT_OPEN || why->code == KEY_FAULT_SEALED || why->code == KEY_FAULT_UNVOUCHED);
}

static int tell(const struct err *why, struct err *e)
{
    if (is_another(why))
        return 0;
    *e = *why;
    return -1;
}

static bool holds(const struct age_recipient *list, size_t n, const struct age_recipient *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(list[i].point, wanted->point, sizeof(wanted->point)) == 0)
            return true;
    return false;
}

/* To all of them, and to nobody else; in any order, since a configuration may name them in another. */
static bool is_sealed_to_them(const struct key_form *f, struct bytes object)
{
    struct age_recipient named[AGE_RECIPIENTS_MAX];
    size_t n = sealed_key_recipients(object, named);
    bool all = n > 0;

    for (size_t i = 0; i < n; i++)
        all = all && holds(f->recipients, f->n, &named[i]);
    for (size_t i = 0; i < f->n; i++)
        all = all && holds(named, n, &f->recipients[i]);
    return all;
}

static int is_sealed_so(
        const struct key_form *f, struct bytes object, int64_t instant, bool allow_renamed, bool *is_so, struct err *e)
{
    struct err why = ERR_INIT;

    if (!sealed_key_is(object))
        return 0;
    if (f->master && sealed_key_check(f->master, object, instant, allow_renamed, &why) < 0)
        return tell(&why, e);
    *is_so = is_sealed_to_them(f, object);
    return 0;
}

int key_form_is(
        const struct key_form *f, struct bytes object, int64_t instant, bool allow_renamed, bool *is_so, struct err *e)
{
    _cleanup_secret_ struct secret *data_key = NULL;
    struct err why = ERR_INIT;

    *is_so = false;
    if (f->n)
        return is_sealed_so(f, object, instant, allow_renamed, is_so, e);
    data_key = key_unwrap(f->master, object, instant, allow_renamed, &why);
    if (!data_key)
        return tell(&why, e);
    *is_so = allow_renamed || key_is_bound_to(f->master, object, instant);
    return 0;
}
