/*
 * damage_mark.h: a dump that was just stored holds a damaged database: the mark beside it (job/bucket/bad_mark.h), and
 * what this daemon knows of it.
 *
 * The mark belongs to the very object, by its ETag and size, which a HEAD asks for. Between the commit and the mark
 * there is a moment in which a listing shows the dump as any other; a crash just then leaves it so, until it is
 * verified.
 */
#pragma once

#include "base/err.h"
#include "core/core.h"

struct damage_mark;

/* Starts. `dump` is copied. The core must be acquired. on_done comes once, unless freed: err NULL: it is marked. The
 * caller frees. Errors: ERR_RESOURCE, those of core_s3 and s3_head. */
struct damage_mark *damage_mark_put(struct core *core, const char *dump, void *ctx,
        void (*on_done)(void *ctx, const struct err *err), struct err *e);

/* Cancels if it still runs. NULL is fine. */
void damage_mark_free(struct damage_mark *m);
