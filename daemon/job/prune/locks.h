/*
 * locks.h: which objects the store keeps under lock, so that prune can leave them and say so.
 *
 * A bucket with object lock keeps versions, and deleting there only covers what is kept with a marker: the store says
 * yes, the bytes stay, and the backup is not to be seen any more. So it is asked first: whether the bucket has object
 * lock at all (S3 API, GetObjectLockConfiguration), and if so each object, by HEAD, several at a time. A store that
 * does not know the question (400, 404, 405, 409, 501) has no locks.
 *
 * A HEAD leaves an object's retention and legal hold out, without a word, for who may not ask for them (HeadObject).
 * So one object is asked for both by name before (GetObjectRetention, GetObjectLegalHold): refused, nothing can be
 * known. That is asked, too, when the bucket's configuration may not be: an object of a bucket without locks says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "core/core.h"

struct locks;

struct locks_spec {
    size_t n;
    void *ctx;
    /* The name of object `index`; valid until it is asked for the next. */
    const char *(*name)(void *ctx, size_t index);
    /* It is locked; err says until when, ERR_AUTH. */
    void (*on_locked)(void *ctx, size_t index, const struct err *err);
    /* Whether it is locked could not be found out. */
    void (*on_unknown)(void *ctx, size_t index, const struct err *err);
    /* Once unless freed, never inside the start. err: what is locked could not be found out; HTTP 403: we may not ask.
     */
    void (*on_done)(void *ctx, const struct err *err);
};

/* Starts. The core must be acquired. The caller frees. Errors: those of core_s3, ERR_RESOURCE. */
struct locks *locks_start(struct core *core, const struct locks_spec *spec, struct err *e);

/* Cancels what runs. NULL is fine. */
void locks_free(struct locks *l);
