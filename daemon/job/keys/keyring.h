/*
 * keyring.h: the master keys that may open a backup: the one in use, and those that were before it.
 *
 * Between the day when the configuration names a new key and the end of `rotate-key`, backups wrapped by either lie in
 * the bucket; with the old one in previous_key_paths all of them can be read. Files are read anew for each ring, so a
 * rotation needs no restart. A previous key that cannot be read any more does no harm while the others open what is
 * asked for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "seal/key.h"

struct keyring;

/* Reads the keys, of which there may be none. `conf` must outlive it: errors name its paths. The caller frees. Errors:
 * ERR_CONFIG (the one in use cannot be read), ERR_NOT_FOUND, ERR_RESOURCE; they name the file. */
struct keyring *keyring_new(const struct conf *conf, struct err *e);

enum { KEYRING_CURRENT = 0 }; /* the one that encryption_key_path names; others are previous ones */

/*
 * As key_unwrap, by the first key that opens it (none opens what is sealed to people); *by (may be NULL) is its number.
 * An error speaks of all keys that were tried, with their fingerprints and files, and of the files that could not be
 * read. The caller frees.
 */
struct secret *keyring_unwrap(
        const struct keyring *r, struct bytes wrapped, int64_t instant, bool allow_renamed, size_t *by, struct err *e);

/*
 * Whether what lies in the bucket as the key of the backup of `instant` is ours: a master key opens it; or, if it is
 * sealed to people, vouches for it. Errors: those of keyring_unwrap; ERR_INTEGRITY with KEY_FAULT_UNVOUCHED.
 */
int keyring_check(
        const struct keyring *r, struct bytes object, int64_t instant, bool allow_renamed, size_t *by, struct err *e);

/* The key in use; NULL: none is configured. Borrowed. */
const struct secret *keyring_current(const struct keyring *r);

/* Key number `i`, as keyring_unwrap gave it. Borrowed. */
const struct secret *keyring_key(const struct keyring *r, size_t i);

/* The fingerprint of key number `i`, as keyring_unwrap gave it. Valid as long as the ring. */
const char *keyring_fingerprint(const struct keyring *r, size_t i);

/* That of the key in use into `out`. Errors: those of key_read_master; *out is "" then, or when there is none. */
int keyring_current_fingerprint(const struct conf *conf, char out[KEY_FINGERPRINT_MAX], struct err *e);

/* Wipes. NULL is fine. */
void keyring_free(struct keyring *r);
CLEANUP_FUNC(struct keyring *, keyring_free)
