/*
 * control.h: the daemon's control socket (proto/control.proto, wire.h).
 *
 * A connection is let in if its peer (SO_PEERCRED, SO_PEERGROUPS; unix(7)) is root, the daemon's own user, or a member
 * of the configured group; it carries one request. Bounded: CONTROL_PEERS connections, WIRE_FRAME_MAX bytes a message,
 * CONTROL_IDLE_MS until the request is complete. peer.c is one connection.
 *
 * Members of the group cannot keep root and the daemon's own user out: they have CONTROL_OTHERS of the places, each of
 * them CONTROL_OF_ONE, and who comes for more is told so at once, instead of waiting before all others.
 */
#pragma once

#include <sys/types.h>
#include <uv.h>

#include "core/core.h"
#include "jobs.h"

enum { CONTROL_PEERS = 16, CONTROL_OTHERS = 12, CONTROL_OF_ONE = 4, CONTROL_IDLE_MS = 10000 };

struct control;

struct control_spec {
    struct core *core; /* borrowed, like jobs */
    struct jobs *jobs;
    int64_t started; /* of the daemon, seconds since the epoch */
    void *ctx;
    void (*on_private_gone)(void *ctx); /* the one connection of a private daemon has ended */
    struct cycle *cycle;                /* for `status`; or NULL */
};

/*
 * Listens on the configured socket (socket_file.h): mode 0600, or 0660 and the configured group. A socket left behind
 * by a daemon that is no more is replaced; one that answers is an error. The caller frees. Errors: ERR_CONFIG (group,
 * path), ERR_BUSY (another daemon), ERR_RESOURCE.
 */
struct control *control_listen(const struct control_spec *spec, struct err *e);

/* Serves on a socket that listens already and is somebody else's to remove (sd_listen_fds(3)): `fd` is taken. Errors:
 * ERR_CONFIG (group; it does not listen), ERR_RESOURCE. */
struct control *control_serve_listener(const struct control_spec *spec, int fd, struct err *e);

/* Whether somebody is connected. */
bool control_is_used(const struct control *c);

/* Serves one connection that exists already, on `fd`, which is taken: a private daemon. Errors: ERR_RESOURCE. */
struct control *control_serve_fd(const struct control_spec *spec, int fd, struct err *e);

/*
 * The end is in two steps, so that who asked for the job that is running hears how it ended. The first closes the
 * socket, removes its file, and ends all connections but his (and those that have only their Done to read left, who get
 * CHANNEL_LAST_MS for it).
 */
void control_stop(struct control *c);

/* The second, when no job runs any more, ends the others in the same way; it may come without the first. Memory goes
 * with the loop's last close callbacks. NULL is fine. */
void control_free(struct control *c);
