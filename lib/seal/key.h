/*
 * key.h: the master key, data keys, and how one wraps the other.
 *
 * Each backup has a random data key of its own; what lies in the bucket beside the dump is that key, wrapped by the
 * master key and bound to the instant of the backup (format.md, ".key"):
 *
 *     wrapped = nonce (24) || XChaCha20-Poly1305(master key, nonce, data key) (32) || tag (16)
 *     nonce   = EB 'K' '2' 00 || r: 8 random bytes || m: 12 bytes
 *     m       = the first 12 of BLAKE2b-16, keyed with k_bind, over (r || "YYYY-MM-DDTHH:MM:SSZ")
 *     k_bind  = crypto_kdf_derive_from_key(master key, subkey 1, context "etcdbkey"), 32 bytes
 *
 * Keys that the Go tool wrapped carry no binding (any nonce that does not begin with the magic) and are accepted.
 *
 * No I/O but reading the master key's file. sodium_init must have been called.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

enum {
    KEY_LEN = 32,
    KEY_WRAPPED_LEN = 72,
    /* Bytes of an object to read as a key: more than a wrapped one has, and as many as a sealed one may have. */
    KEY_OBJECT_LIMIT = 16 * 1024,
};

/*
 * Reads the file of a master key: 64 hexadecimal digits, white space around them allowed. The caller frees; KEY_LEN
 * bytes. Errors name the path and what is wrong, never the content: ERR_NOT_FOUND, ERR_CONFIG (not hexadecimal, with
 * the position; too short or long, with the count of digits; open to others), ERR_RESOURCE.
 */
struct secret *key_read_master(const char *path, struct err *e);

/* The same for a key that a person brings along, on a medium whose files may have no modes: open to others or not. */
struct secret *key_read_brought(const char *path, struct err *e);

/* Writes a master key into a new file, mode 0600, in the form above, and syncs it and its directory. What exists stays
 * as it is: ERR_CONFIG. After a failure there is no file. Errors name the path. */
int key_write_master(const char *path, const struct secret *master, struct err *e);

/* The same for another text that is a secret, as it is: an identity of age. */
int key_write_text(const char *path, const struct secret *text, struct err *e);

/* A new random master key. The caller frees. Errors: ERR_RESOURCE. */
struct secret *key_new_master(struct err *e);

/*
 * What two people compare to know whether they hold the same master key: 80 bits in hexadecimal, "0123-4567-89ab-cdef-
 * 0123" without the break. It is the beginning of another subkey (crypto_kdf_derive_from_key, subkey 2, context
 * "etcdbkey", 16 bytes), keyed BLAKE2b: it tells nothing about the key, nor about the subkey that binds. Writes into
 * `out` and returns it.
 */
enum { KEY_FINGERPRINT_MAX = 25 };
char *key_fingerprint(const struct secret *master, char out[KEY_FINGERPRINT_MAX]);

/*
 * What stays with a key's object to say from which master key it was rotated: "FINGERPRINT/MAC", the MAC being BLAKE2b
 * with 16 bytes of output over `wrapped`, the object or the time of its backup, keyed with subkey 3 of the previous
 * master key (context "etcdbkey"), in hexadecimal. Only who held that key can have made it, and it fits this object, or
 * this backup, alone: a stranger who can write to the bucket cannot make a key look as if it had been rotated away.
 * Writes into `out` and returns it.
 */
enum { KEY_MARK_MAX = KEY_FINGERPRINT_MAX + 33 };
char *key_mark(const struct secret *previous, struct bytes wrapped, char out[KEY_MARK_MAX]);

/* Whether `mark` is that of this master key and these bytes. */
bool key_has_mark(const struct secret *previous, struct bytes wrapped, const char *mark);

/* A new random data key of KEY_LEN bytes. The caller frees. Errors: ERR_RESOURCE. */
struct secret *key_new_data(struct err *e);

/* Wraps `data_key` for the backup of `instant` (seconds since the epoch) into `out`. Errors: ERR_RESOURCE. */
int key_wrap(const struct secret *master, const struct secret *data_key, int64_t instant, uint8_t out[KEY_WRAPPED_LEN],
        struct err *e);

/*
 * Unwraps what was read from the bucket for the backup of `instant`. The caller frees. With `allow_renamed` the binding
 * is not checked. Errors: ERR_INTEGRITY: not KEY_WRAPPED_LEN bytes (says how many); does not authenticate ("wrong
 * master key, or the key object is damaged"); bound to another instant than `instant`, which the text names (the other
 * one cannot be read out of a binding: try the instants of the listing with key_is_bound_to); nonce begins with EB but
 * an unknown magic ("written by a newer version"); sealed to people, whom the text names; *e's code tells which, an
 * enum key_fault. ERR_RESOURCE.
 */
enum key_fault {
    KEY_FAULT_SHAPE = 1,
    KEY_FAULT_DOES_NOT_OPEN,
    KEY_FAULT_BOUND_ELSEWHERE,
    KEY_FAULT_ROTATED_AWAY, /* by nothing here: a master key must not wrap any more (key_mark) */
    KEY_FAULT_SEALED,       /* it is sealed to people (sealed_key.h): no master key opens it */
    KEY_FAULT_UNVOUCHED,    /* and no master key vouches for it */
};
struct secret *key_unwrap(
        const struct secret *master, struct bytes wrapped, int64_t instant, bool allow_renamed, struct err *e);

/* Whether `wrapped` is bound to `instant`: false also for keys without a binding. To find which backup a key is of. */
bool key_is_bound_to(const struct secret *master, struct bytes wrapped, int64_t instant);
