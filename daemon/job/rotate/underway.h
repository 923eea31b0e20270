/*
 * underway.h: whether somebody makes a backup at this moment: an unfinished upload of a dump whose key is not known.
 *
 * The key comes after the dump's last part and may be wrapped by a master key that was rotated away meanwhile: the Go
 * tool's backups, another machine's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "core/core.h"

struct underway;

struct underway_spec {
    void *ctx;
    /* Whether that key is there and settled: its upload changes nothing any more. Until the end. */
    bool (*is_known)(void *ctx, const char *key);
    /* Once unless freed, never inside the start. `upload`: the name of a dump, valid during the call, and since when
     * (seconds since the epoch); NULL: none was seen. err: they could not all be listed. */
    void (*on_done)(void *ctx, const char *upload, int64_t began, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. Errors: those of core_s3, ERR_RESOURCE. */
struct underway *underway_start(struct core *core, const struct underway_spec *spec, struct err *e);

/* Cancels what runs. NULL is fine. */
void underway_free(struct underway *u);
