#include "age/recipient.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "age/bech32.h"

static const char name[] = "age";

static_assert(AGE_RECIPIENT_MAX == sizeof(name) + BECH32_TAIL, "the 0 is in the name's size");
static_assert(AGE_KEY_LEN == (int)BECH32_BYTES && AGE_KEY_LEN == crypto_scalarmult_BYTES, "X25519");

static bool begins_with(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

/* Any secret times such a point is 0, or one of a few known points. */
static bool is_of_low_order(const struct age_recipient *r)
{
    static const uint8_t scalar[AGE_KEY_LEN] = {1};
    uint8_t product[AGE_KEY_LEN];

    return crypto_scalarmult(product, scalar, r->point) != 0;
}

static int refuse(struct err *e, const char *why)
{
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_FORMAT, 0, "%s", why);
}

/* A text that begins otherwise: which mistake it is. */
static int refuse_name(const char *text, struct err *e)
{
    if (begins_with(text, "AGE-SECRET-KEY-") || begins_with(text, "AGE-PLUGIN-"))
        return refuse(e, "is a secret key of age, which belongs on no machine that makes backups: name its recipient "
                         "(age1…, age-keygen -y shows it), and make a new key if others could read this file");
    if (begins_with(text, "ssh-"))
        return refuse(e, "is an SSH key, not a recipient of age (age1…)");
    return refuse(e, "is not a recipient of age (age1…)");
}

int age_recipient_parse(const char *text, struct age_recipient *out, struct err *e)
{
    struct age_recipient r;
    const char *last = strrchr(text, '1');
    enum bech32_fault fault = bech32_decode(name, text, strlen(text), r.point);

    if (fault == BECH32_NAME)
        return refuse_name(text, e);
    if (fault != BECH32_GOOD && last && last > text + sizeof(name)) /* "age1yubikey1…": a name with a 1 of its own */
        return refuse(e, "is a recipient of a plugin of age, or of a newer kind: only X25519's can be sealed to here "
                         "(age1 and 58 characters)");
    if (fault != BECH32_GOOD)
        return err_set(
                e, ERR_CONFIG, ERR_DOMAIN_FORMAT, 0, "is not a recipient of age: it %s", bech32_fault_text(fault));
    if (is_of_low_order(&r))
        return refuse(e, "is not a recipient of age: it is a point of low order, which everybody can open");
    *out = r;
    return 0;
}

char *age_recipient_format(const struct age_recipient *r, char out[AGE_RECIPIENT_MAX])
{
    bech32_encode(name, r->point, out);
    out[AGE_RECIPIENT_MAX - 1] = '\0';
    return out;
}

char *age_recipient_short(const struct age_recipient *r, char out[AGE_RECIPIENT_SHORT_MAX])
{
    char text[AGE_RECIPIENT_MAX];

    (void)snprintf(out, AGE_RECIPIENT_SHORT_MAX, "%.*s", AGE_RECIPIENT_SHORT_MAX - 1, age_recipient_format(r, text));
    return out;
}
