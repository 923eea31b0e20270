/*
 * socket_file.h: the file of a listening Unix socket: of one daemon at a time, never open to more than it should be,
 * and gone when the daemon goes.
 *
 * The socket that a killed daemon left behind refuses connections, and is replaced. But so does, for a moment, the one
 * of a daemon that is just starting. So whoever looks holds a lock, flock(2) on the file PATH.lock, from before he
 * looks until he removes his own.
 */
#pragma once

#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

struct socket_file;

/*
 * Makes the file at `path`, which is copied, and in *fd a socket bound to it that does not listen yet; the caller
 * closes it. Mode 0600; with `group`, which may be NULL, 0660 and that group. Blocks for nothing. The caller removes.
 * Errors: ERR_BUSY (another daemon listens there, or is about to), ERR_CONFIG (too long, no socket, not allowed),
 * ERR_RESOURCE.
 */
struct socket_file *socket_file_make(const char *path, const gid_t *group, int *fd, struct err *e);

/* Removes the file unless it is another by now, and gives the lock back. NULL is fine. */
void socket_file_remove(struct socket_file *f);
CLEANUP_FUNC(struct socket_file *, socket_file_remove)
