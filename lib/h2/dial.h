/*
 * dial.h: from an endpoint to a connected socket: the name is resolved, and its addresses race (net/race.h), so that
 * one which drops packets costs a quarter of a second.
 *
 * The owner has the say and the clock: when the addresses are known it asks for the first to be connected with
 * h2_dial_next, and may do so again, among the others, when a connection that was made turns out to be of no use. What
 * was of use begins the next time.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/endpoint.h"
#include "base/err.h"
#include "net/race.h"

enum { H2_ADDRESS_MAX = 128 };

struct h2_dial_spec {
    const struct endpoint *endpoint; /* copied */
    union race_address *good; /* or NULL: which address was good; the owner's, who keeps it for the next time, and at
                                 first zero; it outlives this */
    void *ctx;
    /* The addresses are known, one or more, or `err` says why not (ERR_TRANSIENT). Once. */
    void (*on_resolved)(void *ctx, const struct err *err);
    /* After h2_dial_next: a connected stream, which now belongs to the owner, who gives it back with
     * h2_dial_close_stream; or NULL and why not (ERR_TRANSIENT, ERR_RESOURCE). */
    void (*on_connected)(void *ctx, uv_stream_t *stream, const struct err *err);
};

struct h2_dial;

/* Starts resolving. Errors: ERR_RESOURCE. */
struct h2_dial *h2_dial_start(uv_loop_t *loop, const struct h2_dial_spec *spec, struct err *e);

/* Whether there is an address that has not been tried. */
bool h2_dial_has_next(const struct h2_dial *d);

/* Gives up the connection that is being made, if any, and tries those addresses that have not been; h2_dial_has_next
 * must be true. It has no end of its own but the kernel's. Errors: ERR_TRANSIENT, ERR_RESOURCE. */
int h2_dial_next(struct h2_dial *d, struct err *e);

/* The connection that was made is of use. */
void h2_dial_praise(struct h2_dial *d);

/* The address that is connected to or, as long as there is but one, being tried: "127.0.0.1:2379"; "" while several
 * are. Valid until the next call. */
const char *h2_dial_address(const struct h2_dial *d);

/* How many are being tried. */
unsigned h2_dial_racing(const struct h2_dial *d);

/* Closes a connected stream and frees its memory when the loop has let go of it. */
void h2_dial_close_stream(uv_stream_t *stream);

/* Cancels what is under way. Never calls back. NULL is fine. */
void h2_dial_free(struct h2_dial *d);
