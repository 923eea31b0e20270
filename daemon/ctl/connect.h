/*
 * connect.h: a daemon to talk to: the running one by its socket, or a private one, started for this call, over a socket
 * pair. One code path, two ways to reach it.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "core/purpose.h"
#include "ctl/ctl.h"

struct connection {
    int fd;        /* blocking stream socket */
    pid_t private; /* the private daemon's, or 0 */
};

/* A private daemon starts with what `purpose` needs: on a machine that lost everything etcd's certificates and password
 * may come back last. Errors: ERR_NOT_FOUND (no daemon listens there), ERR_AUTH (may not use
 * the socket), ERR_RESOURCE; ERR_TRANSIENT (a running one takes no connection for `patience` seconds; 0: as long as it
 * takes). */
int connect_daemon(const struct ctl *ctl, enum purpose purpose, unsigned patience, struct connection *c, struct err *e);

/* Closes it and waits for a private daemon to end. Returns that one's exit status, or CONNECT_SIGNAL and the number of
 * the signal that ended it; 0 for a running daemon. */
enum { CONNECT_SIGNAL = 256 };
int connect_close(struct connection *c);
