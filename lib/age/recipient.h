/*
 * recipient.h: to whom something can be sealed: a public key of age, "age1…".
 *
 * Only X25519's: age has recipients of other kinds (its plugins', post-quantum ones), which are told apart here so that
 * the error says so. Whoever has copied a secret key to where a recipient belongs is told without its being printed.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

enum {
    AGE_KEY_LEN = 32,
    AGE_RECIPIENT_MAX = 63,       /* its text, with the 0 */
    AGE_RECIPIENT_SHORT_MAX = 13, /* "age1ql3z7hjy" */
    AGE_RECIPIENTS_MAX = 16,      /* of one file that we seal */
};

struct age_recipient {
    uint8_t point[AGE_KEY_LEN]; /* u-coordinate */
};

/* Reads one, canonical and not of low order. Errors: ERR_CONFIG: "is not …"; they never quote the text. */
int age_recipient_parse(const char *text, struct age_recipient *out, struct err *e);

/* Writes into `out` and returns it. */
char *age_recipient_format(const struct age_recipient *r, char out[AGE_RECIPIENT_MAX]);

/* Its beginning, by which people tell theirs apart. Writes into `out` and returns it. */
char *age_recipient_short(const struct age_recipient *r, char out[AGE_RECIPIENT_SHORT_MAX]);
