/*
 * seal.h: a small file of age, sealed to recipients. Who reads it again: open.h, or age itself.
 *
 * Stanzas of X25519 do not say for whom they are. So that a person learns whom to ask, one more names them in full, of
 * a type that age's readers leave alone, and with an empty body:
 *
 *     -> etcd-backupd-recipients age1… age1…
 *
 * and behind it stands the vouch (vouch.h), if there is a key for it.
 */
#pragma once

#include "age/header.h"
#include "age/recipient.h"
#include "age/vouch.h"
#include "base/secret.h"

#define AGE_RECIPIENTS_TYPE "etcd-backupd-recipients"

struct age_seal_spec {
    const struct age_recipient *recipients;
    size_t n; /* 1 to AGE_RECIPIENTS_MAX */
    const struct secret *plain;
    const char *timestamp;    /* TIMESTAMP_TEXT_LEN characters */
    const uint8_t *vouch_key; /* AGE_VOUCH_KEY_LEN bytes, or NULL: nobody vouches */
};

/* Appends the file to `out`, which is empty and may grow to AGE_FILE_MAX. Errors: ERR_RESOURCE; ERR_PROTOCOL: too
 * large; ERR_CONFIG: a recipient of low order. */
int age_seal(const struct age_seal_spec *spec, struct buf *out, struct err *e);

/* Whom the file says that it is sealed to; at most AGE_RECIPIENTS_MAX. Returns how many; 0: it does not say, or not in
 * that form. That is what its maker wrote, and as true as he is. */
size_t age_recipients_of(const struct age_file *f, struct age_recipient out[AGE_RECIPIENTS_MAX]);
