/*
 * key_opener.h: who opens the object of a data key in a rotation: a master key what it has wrapped, a person's
 * identities what is sealed to them. What is sealed opens only if a master key vouches for it, or if the person accepts
 * that none does: it is going to be vouched for anew, and what a stranger has put there would then look like ours.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"
#include "job/keys/brought_keys.h"
#include "job/keys/keyring.h"

struct key_opener {
    const struct secret *previous;      /* a master key, or NULL; borrowed, like all that follows */
    const struct secret *next;          /* another, or NULL: what is there already opens with it, too */
    const struct brought_keys *brought; /* or NULL */
    const struct keyring *ring;         /* whose keys vouch, as the two above do; or NULL */
    bool *opened; /* of AGE_IDENTITIES_MAX: set for each identity that was seen to open something; or NULL */
};

/*
 * The data key of the backup of `instant`. *authority is the master key that stands for it: which wrapped it, or which
 * vouches; NULL: nobody vouches, and that is accepted. The caller frees the data key. Errors: those of key_unwrap,
 * keyring_check and sealed_key_open; KEY_FAULT_DOES_NOT_OPEN also where there is no master key that could,
 * KEY_FAULT_SEALED also where there are no identities.
 */
struct secret *key_opener_open(const struct key_opener *o, struct bytes object, int64_t instant, bool allow_renamed,
        const struct secret **authority, struct err *e);

/* Whether `authority`, which key_opener_open told, is the previous master key. */
bool key_opener_is_previous(const struct key_opener *o, const struct secret *authority);

/* Whether the object is one of ours: one of the master keys opens it, or vouches for it; for whatever instant. Errors:
 * ERR_RESOURCE, which says nothing about it. */
int key_opener_knows(const struct key_opener *o, struct bytes object, int64_t instant, bool *is_known, struct err *e);
