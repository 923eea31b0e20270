/*
 * brought_keys.h: what a person brings along to read backups that the daemon cannot open: identities of age, or a data
 * key itself, and whether a backup that nobody vouches for is to be read. For one job, which wipes it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"

struct brought_keys {
    struct secret *identities; /* n times 32 bytes (age/identity.h), or NULL */
    struct secret *data_key;   /* what age makes of a key's object (seal/sealed_key.h), or NULL */
    bool allow_unvouched;
};

/* Copies into `out`, which is the caller's to clear. Errors: ERR_RESOURCE; then `out` is clear. */
int brought_keys_copy(const struct brought_keys *b, struct brought_keys *out, struct err *e);

/* The data key of the backup of `instant` out of what is sealed, whoever vouches for it; `b` may be NULL. The caller
 * frees. Errors: those of sealed_key_open and sealed_key_take; KEY_FAULT_SEALED also if nothing was brought. */
struct secret *brought_keys_open(
        const struct brought_keys *b, struct bytes object, int64_t instant, bool allow_renamed, struct err *e);

/* 0: no master key vouches for it, says `why`, and the person accepts that. Else *e is `why`; `b` may be NULL. */
int brought_keys_forgive(const struct brought_keys *b, const struct err *why, struct err *e);

/* Wipes. */
void brought_keys_clear(struct brought_keys *b);

#define _cleanup_brought_ _cleanup_(brought_keys_clear)
