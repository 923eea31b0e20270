/*
 * rewrap.h: one data key in the bucket, from what opened it so far to the form that it is to have: wrapped by the new
 * master key, or sealed to people (key_form.h).
 *
 *     GET => has it the form already? no: does it open? => made anew => PUT over what was read => GET => is it that?
 * => rotated
 *
 * A put is atomic: at each moment the object is the old one or the new one, whole, and what opens one of the two opens
 * it. It goes only over what was read: by If-Match, in a form that the store knows; one that refuses (412, 501) a
 * put over an object that is what it was does not know that form, and its dialect learns so. Whoever writes in between,
 * or after us, is looked at anew. Should the store give back something that makes no sense at all, the old bytes are
 * put back.
 *
 * What is sealed cannot be opened here to be compared: it is the new one if it is, byte by byte, what was put, and that
 * was vouched for. With identities that open it, it is opened, too. A proof stays beside it that it holds the data key
 * of what it has replaced (sealed_key_proof).
 *
 * The mark of the rotation (rewrap_mark.h) is that of the master key which stood for the old one, and does not for the
 * new one: a master key that has wrapped, and goes on vouching, is not rotated away. Those of earlier rotations stay:
 * that people alone change brings no master key back.
 *
 * What has the form is done already. Where the new key opens a wrapped one that is bound to no backup, as the Go tool's
 * own rotation leaves it, it is wrapped anew by the same key, which binds it. Everything else is left as it is and
 * told: a key that opens but is bound to another instant is not bound anew, for that would make a backup that somebody
 * renamed look like a true one.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/core.h"
#include "job/keys/key_form.h"
#include "job/keys/key_opener.h"

struct rewrap;

enum rewrap_outcome {
    REWRAP_ROTATED, /* or, only looking: would be */
    REWRAP_ALREADY,
    REWRAP_BOUND,  /* the new key opened it, and it was bound to no backup: now, or only looking would be, it is */
    REWRAP_GONE,   /* it is not there, or the store says so: another listing must show whether that is true */
    REWRAP_FAILED, /* err says why */
};

struct rewrap_spec {
    const char *name;                /* of the key's object; borrowed, like all pointers here, until the end */
    int64_t instant;                 /* of its backup */
    const struct key_opener *opener; /* its ring, too, says more of a key that does not open */
    const struct key_form *form;
    bool only_look;
    void *ctx;
    /* Once unless freed, never inside the start. `is_of_previous`: the previous master key opened it, or vouched for
     * it, or has left its mark at it. err is NULL unless FAILED. */
    void (*on_done)(void *ctx, enum rewrap_outcome outcome, bool is_of_previous, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. Errors: those of core_s3, ERR_RESOURCE. */
struct rewrap *rewrap_start(struct core *core, const struct rewrap_spec *spec, struct err *e);

/* Cancels what runs: the object stays what it is then, the old or the new. NULL is fine. */
void rewrap_free(struct rewrap *r);
