/*
 * rewrap_mark.h: the traces that a rotation leaves at a key's object, as metadata: marks of the master keys that it was
 * rotated from (key_mark). Who writes them is rewrap.c; who reads one of its own knows that this master key was rotated
 * away.
 *
 * REWRAP_MARK is of the one before, over the object's own bytes. Once these change, only who has that master key could
 * make it anew, and when people change it may be destroyed long since. So REWRAP_AWAY holds marks that outlive the
 * bytes: of the last REWRAP_AWAY_KEPT, over the time of the backup. A rotation takes them along, but for that of the
 * master key that it is to: that one has come back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "s3/request.h"
#include "seal/key.h"

#define REWRAP_MARK "rotated-from"

#define REWRAP_AWAY "rotated-away" /* the newest first, with commas between them */
enum { REWRAP_AWAY_KEPT = 4, REWRAP_AWAY_MAX = REWRAP_AWAY_KEPT * KEY_MARK_MAX };

/* And what a sealed one carries to be told from that which it has replaced (sealed_key_proof). */
#define REWRAP_PROOF "same-data-key"

/* What it says under that name; "" if nothing. Borrowed from the answer. */
const char *rewrap_mark_text(const struct s3_response *res, const char *name);

/* Whether the answer carries the mark that `master`, a master key, makes for the bytes `wrapped`. */
bool rewrap_mark_is_of(const struct s3_response *res, const struct secret *master, struct bytes wrapped);

/*
 * What goes under REWRAP_AWAY at the key of the backup of `instant` (seconds since the epoch): what was there
 * (`before`, which may be anything), with that of `away` in front, and without that of `stays`; both are master keys,
 * or NULL. Writes into `out` and returns it; "": nothing.
 */
char *rewrap_mark_add_away(const char *before, const struct secret *away, const struct secret *stays, int64_t instant,
        char out[REWRAP_AWAY_MAX]);

/* Whether the answer, which is the key of the backup of `instant`, carries such a mark of `master`. It says so of an
 * earlier state of the object: who finds that `master` wraps it, or vouches for it, believes that instead. */
bool rewrap_mark_is_away(const struct s3_response *res, const struct secret *master, int64_t instant);
