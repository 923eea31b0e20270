/*
 * sealed_key.h: a data key that no daemon can open: sealed to people, and vouched for by a master key.
 *
 * What lies beside the dump in place of a wrapped key (key.h) is a file of age (age/seal.h), whose payload is
 *
 *     data key (32) || time: the 20 ASCII characters YYYY-MM-DDTHH:MM:SSZ of the backup's instant
 *
 * and whose vouch (age/vouch.h) is keyed with k_vouch = crypto_kdf_derive_from_key(master key, subkey 4, context
 * "etcdbkey"), 32 bytes. So a master key, where there is one, opens nothing of this; it tells what a stranger has put
 * there from what was put there by us, at that instant.
 *
 * Pure; sodium_init must have been called.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "age/seal.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"
#include "seal/key.h"

enum {
    SEALED_KEY_MIN = 252, /* bytes of the smallest: to one, and not vouched for */
    SEALED_KEY_MAX = AGE_FILE_MAX,
};

/* Whether a key's object is of this kind, whatever else is in it. */
bool sealed_key_is(struct bytes object);

struct sealed_key_spec {
    const struct age_recipient *recipients;
    size_t n; /* 1 to AGE_RECIPIENTS_MAX */
    const struct secret *data_key;
    int64_t instant;               /* of the backup, seconds since the epoch */
    const struct secret *vouching; /* a master key, or NULL: nobody vouches */
};

/* Appends one to `out`, which is empty and may grow to SEALED_KEY_MAX. Errors: those of age_seal. */
int sealed_key_make(const struct sealed_key_spec *spec, struct buf *out, struct err *e);

/*
 * Whether `vouching`, a master key, vouches for it as the one of the backup of `instant`; with `allow_renamed` as that
 * of another. Errors: ERR_INTEGRITY with an enum key_fault: KEY_FAULT_SHAPE, KEY_FAULT_UNVOUCHED (nobody does),
 * KEY_FAULT_DOES_NOT_OPEN (another key does, or it was changed), KEY_FAULT_BOUND_ELSEWHERE.
 */
int sealed_key_check(
        const struct secret *vouching, struct bytes object, int64_t instant, bool allow_renamed, struct err *e);

/*
 * The data key, with `identities` (age/identity.h). Who made it this does not ask. The caller frees. Errors:
 * ERR_INTEGRITY with an enum key_fault: KEY_FAULT_SHAPE, also of one that is damaged; KEY_FAULT_DOES_NOT_OPEN, whose
 * text says whom it is sealed to; KEY_FAULT_BOUND_ELSEWHERE. ERR_RESOURCE.
 */
struct secret *sealed_key_open(
        const struct secret *identities, struct bytes object, int64_t instant, bool allow_renamed, struct err *e);

/* The data key out of what age itself has opened: a file's payload. The caller frees. Errors: ERR_CONFIG: that is none;
 * ERR_INTEGRITY with KEY_FAULT_BOUND_ELSEWHERE; ERR_RESOURCE. */
enum { SEALED_KEY_PLAIN = KEY_LEN + 20 };
struct secret *sealed_key_take(const struct secret *plain, int64_t instant, bool allow_renamed, struct err *e);

/* Whom it says that it is sealed to; what it says is true if a master key vouches for it. Returns how many; 0: it does
 * not say. */
size_t sealed_key_recipients(struct bytes object, struct age_recipient out[AGE_RECIPIENTS_MAX]);

/*
 * What stays beside an object that was sealed in the place of another one, to say that both hold the same data key: the
 * keyed BLAKE2b, 32 bytes in hexadecimal, over data key || object, by subkey 5 (context "etcdbkey") of the master key
 * that vouches. Who opens the other one can tell with it, and the master key, without opening this. Writes into `out`
 * and returns it.
 */
enum { SEALED_KEY_PROOF_MAX = 65 };
char *sealed_key_proof(const struct secret *vouching, const struct secret *data_key, struct bytes object,
        char out[SEALED_KEY_PROOF_MAX]);

/* Whether `proof` is that of these. */
bool sealed_key_has_proof(
        const struct secret *vouching, const struct secret *data_key, struct bytes object, const char *proof);

/* Whom it says that it is sealed to, for a person: "age1ql3z7hjy, age1lggyhqrw", "people whom it does not name", and of
 * many only the first. Writes into `out` and returns it. */
enum { SEALED_KEY_WHOM_MAX = 128 };
char *sealed_key_whom(struct bytes object, char out[SEALED_KEY_WHOM_MAX]);
