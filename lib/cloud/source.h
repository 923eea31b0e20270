/*
 * source.h: the credentials that are valid now, kept fresh from one place (fetch.h).
 *
 *     fetched ──────────── used ───────────┬─ 5 min ─┐
 *                                          another    expired
 *
 * What expires is fetched again five minutes before, with some jitter, and where it is good for less than ten in half
 * the time that it has left. The old ones serve as long as they are valid, whatever becomes of that; it is tried again
 * after a second, then twice as long, up to half a minute, or five minutes where trying again hardly helps. With
 * `keeps_fresh` that goes on while nobody asks, so that a place that gives nothing any more is noticed before a backup
 * needs it; without, it happens when somebody asks.
 *
 * When something expires is said by the clock of who issued it: what counts is how much was left by that clock, and a
 * clock of our own that is wrong does not spoil it. It is measured on one that runs on while the machine is suspended.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/wait_link.h"
#include "cloud/fetch.h"

struct cloud_source;

/* Of those who want to know. `why` NULL: there are new ones; else a fetch failed. Not inside of a call into the source;
 * may free it. */
struct cloud_source_spec {
    struct cloud_conf conf; /* what it points to outlives the source */
    bool keeps_fresh;
    void *ctx;
    void (*on_fetched)(void *ctx, const struct err *why); /* or NULL */
};

/* Nothing is fetched yet, but with `keeps_fresh` as soon as the loop turns. The caller frees. Errors: ERR_RESOURCE. */
struct cloud_source *cloud_source_new(uv_loop_t *loop, const struct cloud_source_spec *spec, struct err *e);

/* What `before` has that is valid becomes that of a new one whose conf says the same: to be followed by
 * cloud_source_free(before). Where it says something else nothing happens. */
void cloud_source_inherit(struct cloud_source *s, struct cloud_source *before);

/* Called before credentials are used. True: none are valid, some are being fetched, and on_ready comes, never inside
 * of this call. False: cloud_source_get says what there is. What will expire soon is fetched anew beside. */
bool cloud_source_wait(struct cloud_source *s, struct wait_link *w);
void cloud_source_leave(struct cloud_source *s, struct wait_link *w);

/* What is valid, until the next turn of the loop. NULL: nothing is; *e says why, as the last fetch did. */
const struct cloud_credentials *cloud_source_get(struct cloud_source *s, struct err *e);

/* Who uses them was told that they are not valid (ExpiredToken, InvalidAccessKeyId). True: others are there since, or
 * being fetched now, and it is worth another try; false: they were fetched a moment ago. */
bool cloud_source_refused(struct cloud_source *s, const char *access_key);

struct cloud_state {
    const char *kind;   /* "instance" */
    bool is_there;      /* something was fetched, be it expired, and not refused by who was shown it */
    int64_t expires;    /* of that, as its issuer said, seconds since the epoch; 0: it does not, or there is nothing */
    struct err trouble; /* why the last fetch failed; kind ERR_NONE: it did not */
};
void cloud_source_state(const struct cloud_source *s, struct cloud_state *out);

/* Nobody may wait. The memory goes in later turns of the loop. NULL is fine. */
void cloud_source_free(struct cloud_source *s);
