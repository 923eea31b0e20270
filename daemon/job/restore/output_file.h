/*
 * output_file.h: a file that appears whole or not at all.
 *
 * The bytes go into a file without a name (O_TMPFILE) in the target's directory, or where the file system has none of
 * that into a hidden one of mode 0600. output_file_commit syncs it, gives it its name in one step over whatever was
 * there, and syncs the directory. Killed at any moment, the target is what it was before or whole.
 *
 * A transient target never gets a name: it is for another program to read (output_file_hand_over) and gone when it is
 * closed, however we end.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

struct output_file;

/* `path` is copied; its directory must exist. The caller frees. Errors: ERR_NOT_FOUND, ERR_CONFIG (no name of a file,
 * or of something else than a file; a directory that may not be read or written), ERR_RESOURCE. */
struct output_file *output_file_open(const char *path, struct err *e);

/* A transient one, in the directory of `path`. Errors as above. */
struct output_file *output_file_open_transient(const char *path, struct err *e);

/*
 * Where another program that we start finds a transient target: a path that is valid while it runs, and in *fd the
 * descriptor that has to be its number TARGET_CHILD_FD, or -1 if it needs none (no /proc: then the file does have a
 * hidden name until it is freed).
 */
enum { TARGET_CHILD_FD = 3 };
const char *output_file_hand_over(const struct output_file *t, int *fd);

/* Appends. Blocks; for the thread pool. Errors: ERR_RESOURCE (disk full), naming the path. */
int output_file_write(struct output_file *t, struct bytes bytes, struct err *e);

/* Blocks; for the thread pool. Does nothing for a transient one. Errors as above; the target is then untouched, unless
 * the text says that it is written and only the directory could not be synced. */
int output_file_commit(struct output_file *t, struct err *e);

/* Whether it has its name, also when the commit failed after that. */
bool output_file_is_in_place(const struct output_file *t);

/* Without a commit nothing is left of it. NULL is fine. */
void output_file_free(struct output_file *t);
CLEANUP_FUNC(struct output_file *, output_file_free)
