/*
 * peer.h: one conversation on the control socket (channel.h): Hello, one request, and what it is answered. Used by
 * control.c alone.
 *
 * A job that meets one which nobody asked for, the timer's, waits for its end (jobs_wait), and a note says so. The
 * request is kept as it came, for it may hold master keys, and is checked again when its turn comes: there may be
 * another configuration by then. Whoever leaves, or cancels, waits no more.
 */
#pragma once

#include <uv.h>

#include "control/control.h"

struct peer;

struct peer_spec {
    struct core *core;
    struct jobs *jobs;
    struct cycle *cycle; /* or NULL */
    int64_t started;
    bool is_trusted; /* root or the daemon's own user: may name the file that a restore writes */
    bool is_private; /* the only client: what it asked for ends with it */
    void *ctx;
    void (*on_gone)(void *ctx, struct peer *peer); /* the connection has ended; the peer is freed after this */
};

/* An unconnected pipe to accept or open into, then peer_start. Errors: ERR_RESOURCE. */
struct peer *peer_new(uv_loop_t *loop, const struct peer_spec *spec, struct err *e);

/* For uv_accept and uv_pipe_open. */
uv_stream_t *peer_stream(struct peer *p);

/* Begins to read. */
void peer_start(struct peer *p);

/* Says why in a Done and ends. For a connection that is not let in. */
void peer_refuse(struct peer *p, const struct err *why);

void peer_set_trusted(struct peer *p, bool is_trusted);

/* Ends the connection; on_gone comes from the loop. */
void peer_close(struct peer *p);

/* Whether it waits for the end of the job that is running. */
bool peer_is_watching(const struct peer *p);

/* The same for whoever has a Done to read still: he gets CHANNEL_LAST_MS for that. The others are closed at once. */
void peer_end(struct peer *p);
