/*
 * key_form.h: what the object of a data key is to be: wrapped by a master key; or sealed to people, and vouched for by
 * one. A backup writes its key so, and a rotation all those that are there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "age/recipient.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"
#include "conf/conf.h"

struct key_form {
    const struct secret *master; /* wraps; with recipients it vouches instead, or, if NULL, nobody does; borrowed */
    struct age_recipient recipients[AGE_RECIPIENTS_MAX];
    size_t n; /* of recipients; 0: it is wrapped */
};

/* That of the configuration, with `master` for what encryption_key_path names. Errors: ERR_CONFIG. */
int key_form_of(const struct conf *conf, const struct secret *master, struct key_form *out, struct err *e);

/*
 * What that is, in words of limited length, in which two programs compare theirs: "wrapped by master key 0123-…",
 * "sealed to 2 people (89ab-…), vouched for by master key 0123-…"; what stands for the people is a fingerprint of their
 * set, in whatever order they are named. `master` is the fingerprint of the master key, "" without one. Writes into
 * `out` and returns it.
 */
enum { KEY_FORM_WORDS_MAX = 128 };
char *key_form_words(const struct key_form *f, const char *master, char out[KEY_FORM_WORDS_MAX]);

/* Appends the object for the backup of `instant` (seconds since the epoch) to `out`, which is empty and may grow to
 * SEALED_KEY_MAX. Errors: those of key_wrap and sealed_key_make. */
int key_form_write(
        const struct key_form *f, const struct secret *data_key, int64_t instant, struct buf *out, struct err *e);

/*
 * Whether an object has that form: the master key opens it, and it is bound to `instant`; or it is vouched for as the
 * one of `instant`, and sealed to exactly those (the vouch says so: it covers their names). Where nobody vouches, the
 * names alone are what can be seen. With `allow_renamed` it may be bound to any instant, or to none.
 *
 * Errors: the master key is its own, and it is bound to another instant, or damaged; ERR_RESOURCE.
 */
int key_form_is(
        const struct key_form *f, struct bytes object, int64_t instant, bool allow_renamed, bool *is_so, struct err *e);
