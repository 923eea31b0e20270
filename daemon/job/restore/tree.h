/*
 * tree.h: trees of files, by descriptors alone.
 *
 * Somebody else may own a directory in the tree, or the one above it, and lay links or swap directories while we work.
 * Nothing here goes by a path, follows a link, or enters another file system: what is done is done to what was opened.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Directories in each other, beyond which nothing is done: etcd's are three. A descriptor is open for each. */
enum { TREE_DEPTH_MAX = 32 };

/* Another descriptor of the directory `fd`, to read it by; also of one that was opened with O_PATH. -1 and errno. */
int tree_reopen(int fd);

/* Removes all that is in the directory `fd`, and not itself. What cannot go stays. Returns whether all went. */
bool tree_empty(int fd);

/*
 * Gives the directory `fd` and all in it to uid and gid, and syncs it: each directory after what is in it, since from
 * then on its new owner may change it. A file with other names stays where it is and is an error: it may be anybody's.
 * Errors: ERR_CONFIG, ERR_RESOURCE; `text` is what the directory is called in them.
 */
int tree_give(int fd, uid_t uid, gid_t gid, const char *text, struct err *e);
