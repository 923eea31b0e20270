/*
 * vouch.h: who sealed it. age does not say: whoever knows the recipients can seal something to them.
 *
 * One more stanza, of a type that age's readers leave alone, is made with a key that the bucket's visitors have not:
 *
 *     -> etcd-backupd-1 TIMESTAMP
 *     Base64(vouch)
 *
 *     vouch  =  BLAKE2b, 32 bytes, keyed, over  TIMESTAMP (20 characters) ‖ all other stanzas, as they stand ‖ "---" ‖
 *               payload
 *
 * So a file that is vouched for holds what its maker put there, for those whom he named, at that time, and nobody can
 * put it together from others. Only the header's MAC is not covered, which is of the header with this stanza; it can
 * be checked by who can open the file.
 */
#pragma once

#include <stdint.h>

#include "age/header.h"
#include "base/timestamp.h"

enum { AGE_VOUCH_LEN = 32, AGE_VOUCH_KEY_LEN = 32 };

#define AGE_VOUCH_TYPE "etcd-backupd-1"

/* The vouch for a file whose other stanzas, as they stand, are `before` and `after` it. */
void age_vouch(const uint8_t key[AGE_VOUCH_KEY_LEN], const char timestamp[TIMESTAMP_TEXT_MAX], struct bytes before,
        struct bytes after, struct bytes payload, uint8_t out[AGE_VOUCH_LEN]);

/* What a file says of its vouch. */
enum age_vouch_state {
    AGE_VOUCH_NONE,      /* nobody vouches */
    AGE_VOUCH_MALFORMED, /* two of them, or none that can be one */
    AGE_VOUCH_ONE,       /* to be checked */
};
enum age_vouch_state age_vouch_find(const struct age_file *f);

/* The time that it says; of a file that has one. Writes into `out` and returns it. */
char *age_vouch_time(const struct age_file *f, char out[TIMESTAMP_TEXT_MAX]);

/* Whether it is that key's, for that time; of a file that has one. */
bool age_vouch_is_by(
        const struct age_file *f, const uint8_t key[AGE_VOUCH_KEY_LEN], const char timestamp[TIMESTAMP_TEXT_MAX]);
