/*
 * beside.h: what a rotation by a private daemon is told of the one that runs beside it.
 *
 * A running daemon goes on with the configuration that it has read, whatever its file says by now: until it is told to
 * read it anew, its next backup is sealed to the people of before, or wrapped by a key of before. No look at the bucket
 * can show that. So the client asks it before the first key is listed, and what it says is compared with what the
 * rotation makes (key_form_words). A configuration is taken between two jobs alone: where they agreed before the
 * listing, no backup that was under way then is of another kind.
 */
#pragma once

#include "base/err.h"
#include "job/keys/key_form.h"

struct beside {
    const char *socket;  /* of the daemon that runs; NULL: none does, or nobody has asked */
    const char *bucket;  /* as a URL with the prefix */
    const char *form;    /* its key_form_words; "": it does not say, as older versions do not */
    const char *trouble; /* why it could not be asked, and then nothing else is known; or "" */
};

/* Copies into `out`, which is the caller's to clear. `b` may be NULL. Errors: ERR_RESOURCE; then `out` is clear. */
int beside_copy(const struct beside *b, struct beside *out, struct err *e);

/*
 * Whether new backups of that daemon in `bucket` are of the form that the rotation gives to all; `words` are those of
 * that form. One that makes backups elsewhere is nothing to this rotation: in a bucket of another name, or below
 * another prefix. One store has addresses of many kinds, so another endpoint may be that of the same. Errors:
 * ERR_CONFIG: another form, or it does not say, and ERR_TRANSIENT: it could not be asked; both say what is to be done.
 */
int beside_check(const struct beside *b, const char *bucket, const char *words, struct err *e);

void beside_clear(struct beside *b);
