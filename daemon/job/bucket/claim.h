/*
 * claim.h: the name of a new backup belongs to one who makes it, on any store.
 *
 * Names have seconds. Two daemons of one prefix that begin in the same second would upload both, and the key and the
 * dump that stand at last may be of different ones. So a name is claimed first, by a small object beside the dump
 * ("<prefix>-<timestamp>.claim", a random token), before anything is read from etcd; it goes when the backup is over.
 * The Go tool and what is older than this pass it over.
 *
 *     nobody's claim, no dump => put, only where there is none => let it settle => it is still ours
 *
 * Where the store keeps "only where there is none" (If-None-Match), that decides. There are stores that forget it (Ceph
 * 16 in versioned buckets) or look and write in two steps (Swift): there, of claims that are put at the same time, the
 * last one stands, which is why it settles before it is read back. Whoever put theirs after ours had looked before ours
 * was there: their look and put take as long as ours, about, and ours waits SETTLE times as long. (Fischer's mutual
 * exclusion: look, write, wait, read.) No clock but our own is asked for. A put that is later than that takes nothing
 * from a backup that is under way: keys and dumps are no claims, and backup.c looks at both again at the end.
 *
 * An access key that may not read cannot look: then the condition alone decides. One that may not delete leaves its
 * claims behind, as a crash does: prune takes them away like lone keys.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "s3/client.h"

struct claim;

struct claim_spec {
    uv_loop_t *loop;
    const char *dump; /* the name; copied */
    void *ctx;
    /* Once, unless it is released first; never inside the start. NULL: the name is ours. ERR_TRANSIENT with 412 of
     * HTTP: it is somebody else's (claim_is_taken); and what S3 says. */
    void (*on_claimed)(void *ctx, const struct err *err);
};

/* Starts. The caller frees. Errors: ERR_RESOURCE, those of s3_get. */
struct claim *claim_start(struct s3_client *s3, const struct claim_spec *spec, struct err *e);

/* Whether an error says that the name is taken: another second has another. */
bool claim_is_taken(const struct err *err);

/* Puts it anew, if it is ours and not being put: who looks at it sees that its owner is alive, for its ETag is another.
 * Returns whether that has begun; whether the last that began was answered well, claim_is_renewed says. */
bool claim_renew(struct claim *c);
bool claim_is_renewed(const struct claim *c);

/* Whether the last was refused for good, as by a store that lets nobody write over what is there. */
bool claim_is_refused(const struct claim *c);

/* Takes the claim away, if it is there and ours; best effort. `on_released` comes once, and on_claimed no more. Returns
 * false when there is nothing to take away: then there is no callback. */
bool claim_release(struct claim *c, void *ctx, void (*on_released)(void *ctx));

/* Cancels what runs. NULL is fine. */
void claim_free(struct claim *c);
