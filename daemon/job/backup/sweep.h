/*
 * sweep.h: uploads that could not be aborted before (core/leftovers.h) are, now that the store is there again.
 */
#pragma once

#include "core/core.h"

struct sweep;

/* Aborts one after the other until none is left, or the store refuses one; `on_swept` comes once unless freed, never
 * inside the start. NULL: there is nothing to do, or no way to. The caller frees. */
struct sweep *sweep_start(struct core *core, void *ctx, void (*on_swept)(void *ctx));

/* Cancels what runs. NULL is fine. */
void sweep_free(struct sweep *s);
