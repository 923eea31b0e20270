/*
 * data_dir.h: a directory that appears whole or not at all.
 *
 *     plan      looks, and says everything that would be in the way; touches nothing
 *     open      makes a scratch directory beside the place (mode 0700), in which somebody fills data_dir_inside
 *     prepare   syncs what was filled, and gives it its owner and mode
 *     settle    renames it into place
 *     free      removes what did not settle
 *
 * The place must be absent or an empty directory. Where it is the root of a file system of its own nothing can be
 * renamed onto it: the scratch directory is then inside, and its entries move up one by one (etcd's data directory has
 * just one: member), replacing nothing that came there meanwhile; lost+found and what is called *.old may be there,
 * since such a disk cannot be moved aside, only its content. Killed at any moment the place is absent, empty but for a
 * hidden scratch directory, or whole; the next open beside it removes scratch directories that nobody holds the lock of
 * (scratch_dir.h).
 *
 * The directory above may be somebody else's, who can swap what is in it for links at any moment: the plan finds it
 * once (path.h), and all that follows goes by descriptors. What was put into place for another owner is his, and he may
 * have changed it: it is never taken back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

struct data_dir;

/* `path` is absolute; symbolic links are followed if root or we laid them. The caller frees. Errors: ERR_CONFIG (not
 * empty, no directory, the directory above does not exist or may not be written, another user's link), ERR_RESOURCE. */
struct data_dir *data_dir_plan(const char *path, struct err *e);

/* Who it will belong to: as owner_parse takes it; NULL or "": an empty directory's own owner, else that of the
 * directory above; which, if that may not be done, becomes us, or our group alone. The mode is that of the empty
 * directory, or 0700. Errors: ERR_CONFIG. */
int data_dir_set_owner(struct data_dir *p, const char *owner, struct err *e);

/* Resolved: without links. */
const char *data_dir_path(const struct data_dir *p);

/* Whether `inner` is `outer` or below it. */
bool data_dir_lies_in(const struct data_dir *inner, const struct data_dir *outer);

/* As owner_format. */
const char *data_dir_owner(const struct data_dir *p, char *out);

/* The file system that takes it: its device number, and the bytes free for us. Errors: ERR_RESOURCE. */
int data_dir_room(const struct data_dir *p, dev_t *dev, uint64_t *bytes, struct err *e);

/* Blocks a little. Errors: ERR_RESOURCE, ERR_CONFIG. */
int data_dir_open(struct data_dir *p, struct err *e);

/* The path that does not exist yet and is to be filled, in the scratch directory. */
const char *data_dir_inside(const struct data_dir *p);

/*
 * The same for a program that we start: a path in which the scratch directory is the program's descriptor `child_fd`,
 * and in *fd the one to make that of; or by name, and -1 (no /proc). With the descriptor the program shares the lock:
 * as long as it lives nobody sweeps. Valid until the next call. NULL without memory.
 */
const char *data_dir_hand_over(struct data_dir *p, int child_fd, int *fd);

/* All that can fail and leaves nothing in place: of several directories, do this for all before the first settles.
 * Blocks; for the thread pool. Errors: ERR_NOT_FOUND (nothing was filled), ERR_RESOURCE, ERR_CONFIG. */
int data_dir_prepare(struct data_dir *p, struct err *e);

/* Prepares, if that was not done. Blocks; for the thread pool. Errors: ERR_RESOURCE, ERR_CONFIG: nothing of it is in
 * place then, unless data_dir_is_in_place says so. */
int data_dir_settle(struct data_dir *p, struct err *e);

/* Whether something of it has its name, also when settling failed after that. */
bool data_dir_is_in_place(const struct data_dir *p);

/* After data_dir_settle and before data_dir_free: away with it again. False: it stays, since it was given to another
 * owner, or lies where others may write. Blocks. */
bool data_dir_take_back(struct data_dir *p);

/* Removes the scratch directory and all in it. Blocks when something was filled and not settled. NULL is fine. */
void data_dir_clean(struct data_dir *p);

/* Cleans, and frees. NULL is fine. */
void data_dir_free(struct data_dir *p);
CLEANUP_FUNC(struct data_dir *, data_dir_free)
