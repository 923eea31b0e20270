/*
 * notify.h: what the service manager wants to know: that we are ready, what we are doing, that we are alive.
 *
 * The protocol of sd_notify(3), datagrams to $NOTIFY_SOCKET, which its manual page invites to speak without libsystemd.
 * Without that variable every call does nothing. The variables are removed at the start, so that no child inherits
 * them.
 */
#pragma once

#include <uv.h>

#include "jobs.h"

struct notify;

/* Never fails: without a service manager, or memory, there is nothing to do. Starts to say WATCHDOG=1 at half the time
 * of $WATCHDOG_USEC: from the loop, so that a loop that stands still is noticed. */
struct notify *notify_new(uv_loop_t *loop);

/* STATUS= follows what the jobs do. */
void notify_watch(struct notify *n, struct jobs *jobs);

void notify_ready(struct notify *n);
void notify_reloading(struct notify *n); /* notify_ready follows */
void notify_stopping(struct notify *n);

/* One line for `systemctl status`. */
void notify_status(struct notify *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Closes the handles; the memory goes with libuv's close callbacks. NULL is fine. */
void notify_free(struct notify *n);
