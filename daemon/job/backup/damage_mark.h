/*
 * damage_mark.h: a dump that was just stored holds a damaged database: that becomes known to this daemon, and is
 * written beside it for all others (job/bucket/bad_mark.h).
 *
 * The mark belongs to the very object, by its ETag and size. It is put with the patience that the dump was stored with:
 * without it, whoever lists the bucket takes the dump for a good one. Between the commit and the mark there is a moment
 * in which a listing shows it as any other; a crash just then leaves it so, until it is verified.
 */
#pragma once

#include "base/err.h"
#include "core/core.h"
#include "core/known.h"

struct damage_mark;

struct damage_mark_spec {
    struct known_object dump; /* its strings are borrowed until the start returns */
    void *ctx;
    void (*on_done)(void *ctx, const struct err *err); /* once, unless freed; NULL: it is marked */
};

/* Starts. The core must be acquired. The caller frees. What this daemon knows is settled then, whatever comes of the
 * mark and of the start. Errors: ERR_RESOURCE, those of bad_mark_set. */
struct damage_mark *damage_mark_put(struct core *core, const struct damage_mark_spec *spec, struct err *e);

/* Somebody waits for the end: no patience from now on. */
void damage_mark_hurry(struct damage_mark *m);

/* Cancels if it still runs. NULL is fine. */
void damage_mark_free(struct damage_mark *m);
