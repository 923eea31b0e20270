/*
 * dial.h: from an endpoint to a connected socket: names are resolved, and each address is tried in turn.
 *
 * The owner has the say and the clock: when the addresses are known it asks for one after the other with h2_dial_next,
 * and may do so again when a connection that was made turns out to be of no use.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/endpoint.h"
#include "base/err.h"

enum { H2_ADDRESS_MAX = 128 };

struct h2_dial_spec {
    const struct endpoint *endpoint; /* copied */
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

/* Gives up the connection that is being made, if any, and tries the next address; h2_dial_has_next must be true.
 * Errors: ERR_TRANSIENT, ERR_RESOURCE: this one cannot even be begun. */
int h2_dial_next(struct h2_dial *d, struct err *e);

/* The address of the last h2_dial_next for errors: "127.0.0.1:2379"; valid until the next call. */
const char *h2_dial_address(const struct h2_dial *d);

/* Closes a connected stream and frees its memory when the loop has let go of it. */
void h2_dial_close_stream(uv_stream_t *stream);

/* Cancels what is under way. Never calls back. NULL is fine. */
void h2_dial_free(struct h2_dial *d);
