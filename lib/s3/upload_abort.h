/*
 * upload_abort.h: the step of an upload that leaves nothing of it behind in the store, and destroys nothing that is
 * visible. It looks at what is known and does the next thing that is missing, until nothing is:
 *
 *     the outcome of a commit is unknown: HEAD; what is visible is left alone
 *     abort our id; again, if a part was under way that may have arrived since (S3 API, AbortMultipartUpload)
 *     an id was lost: list the unfinished uploads of our key that are not older than ours, and abort them too
 *     the outcome was unknown: HEAD again, now that nothing can complete any more
 */
#pragma once

#include "s3/upload_store.h"

struct upload_abort_spec {
    struct upload_store *store; /* borrowed until the end, as is the next */
    const struct parts *parts;  /* what a visible object would be made of */
    char *id;                   /* of our upload, taken; or NULL: none is known */
    bool is_id_lost;            /* an upload may exist whose id is not known */
    bool may_part_arrive;       /* yet, after the abort */
    bool is_completed;          /* the store has said that the commit is done */
    enum s3_outcome outcome;    /* of the commit, as far as it is known */
    void *ctx;
    /* Once unless freed, never inside the start: the outcome, changed or not, and why something may be left; err is
     * valid during the call. */
    void (*on_done)(void *ctx, enum s3_outcome outcome, const struct err *err);
};

struct upload_abort;

/* Made before it is needed, so that no abort fails for want of memory. Errors: ERR_RESOURCE. */
struct upload_abort *upload_abort_new(uv_loop_t *loop, struct err *e);

/* Begins, once, in the loop's next turn. */
void upload_abort_start(struct upload_abort *a, const struct upload_abort_spec *spec);

/* The id of the n-th upload that was not aborted, or NULL. */
const char *upload_abort_left(const struct upload_abort *a, unsigned n);

/* From now on max_attempts counts for what is under way. */
void upload_abort_hurry(struct upload_abort *a);

/* Cancels what runs, without a callback. NULL is fine. */
void upload_abort_free(struct upload_abort *a);
