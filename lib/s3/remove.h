/*
 * remove.h: deletes many objects.
 *
 * By DeleteObjects, up to 1,000 keys a request and one request at a time (S3 API, DeleteObjects). A key goes by itself,
 * with DeleteObject and a few in flight, where
 *
 *     the store lacks that call: it answers 501 or 405, or 400 because it does not understand it;
 *     XML would not carry the key unharmed: control characters, white space at its ends, what is not UTF-8;
 *     the store failed for this key alone and says that it may work later (InternalError, SlowDown).
 *
 * The server deletes in any order: who needs one thing gone before another makes two calls. A lost answer is asked for
 * again, which does no harm: deleting what is gone succeeds. In a versioned bucket "gone" means that a delete marker
 * covers the object, locked or not; its versions stay, as long as their lock or the bucket's lifecycle say.
 */
#pragma once

#include <stddef.h>

#include "s3/client.h"

struct s3_remove_spec {
    const char *const *keys; /* borrowed, with what they point to, until done or cancelled; may hold a key twice */
    size_t n;                /* may be 0 */
    void *ctx;

    /*
     * Once for each key whose fate is known, in any order. NULL: it is gone, also if it was not there. Otherwise it is
     * still there, or nobody knows: ERR_AUTH (AccessDenied: permissions, a lock, retention) with the store's own words,
     * ERR_PROTOCOL (the answer did not mention it), ERR_CONFIG (no store takes such a key, or it may not be deleted
     * so), ERR_TRANSIENT (the store failed for it each time). May cancel; *err is valid during the call.
     */
    void (*on_each)(void *ctx, size_t index, const struct err *err);

    /*
     * Once, unless cancelled. NULL: all keys were told. Otherwise why it ended before: the store cannot be reached,
     * does not accept our credentials, or has failed for several keys in succession. Keys that were not told may be
     * gone or not.
     */
    void (*on_done)(void *ctx, const struct err *err);
};

struct s3_remove;

/* Starts it; no callback comes before this returns. Errors: ERR_RESOURCE. */
struct s3_remove *s3_remove_start(struct s3_client *c, const struct s3_remove_spec *spec, struct err *e);

/* Stops it without a callback; what was asked for already may still happen. The keys are free to go when this returns.
 * The memory goes in the loop's next turn. */
void s3_remove_cancel(struct s3_remove *r);
