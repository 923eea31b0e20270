/*
 * output_file.h: a file that appears whole or not at all.
 *
 * The bytes go into a file without a name (O_TMPFILE) in the target's directory, or where the file system has none of
 * that into a hidden one of mode 0600. output_file_commit syncs it, gives it its name in one step over whatever was
 * there, and syncs the directory. Killed at any moment, the target is what it was before or whole.
 *
 * What is written goes to the disk, and out of the page cache, as it comes: whoever reads the file next reads the disk.
 *
 * A transient target never gets a name: it is for another program to read (output_file_hand_over) and gone when it is
 * closed, however we end. Its pages stay, since it is read at once.
 *
 * The directory is found once (path.h) and then held by its descriptor: whoever owns one on the way cannot have the
 * file written elsewhere. A target that is a link is refused, since it would be replaced and not what it leads to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

struct output_file;

/* `path` is copied; its directory must exist. The caller frees. Errors: ERR_NOT_FOUND, ERR_CONFIG (no name of a file,
 * or of something else than a file; a directory that may not be read or written), ERR_RESOURCE. */
struct output_file *output_file_open(const char *path, struct err *e);

/* Where it will be, without links. */
const char *output_file_path(const struct output_file *t);

/* The file that has the name now. */
struct output_file_old {
    bool exists;
    uint64_t size;   /* bytes */
    int64_t changed; /* seconds since the epoch */
};
const struct output_file_old *output_file_replaces(const struct output_file *t);

/* The file system that takes it: its device number, and the bytes free for us. Errors: ERR_RESOURCE. */
int output_file_room(const struct output_file *t, dev_t *dev, uint64_t *bytes, struct err *e);

/* A transient one, in the directory of `path`. Errors as above. */
struct output_file *output_file_open_transient(const char *path, struct err *e);

/*
 * Where another program that we start finds a transient target: a path that is valid while it runs, and in *fd the
 * descriptor that has to be its number TARGET_CHILD_FD, or -1 if it needs none (no /proc: then the file does have a
 * hidden name until it is freed).
 */
enum { TARGET_CHILD_FD = 3 };
const char *output_file_hand_over(const struct output_file *t, int *fd);

/* Another descriptor of a transient one, for reading, which the caller closes; the file goes with the last. Errors:
 * ERR_RESOURCE. */
int output_file_read(const struct output_file *t, struct err *e);

/* Appends. Blocks; for the thread pool. Errors: ERR_RESOURCE (disk full), naming the path. */
int output_file_write(struct output_file *t, struct bytes bytes, struct err *e);

/* Blocks; for the thread pool. Does nothing for a transient one. Errors as above; the target is then untouched, unless
 * the text says that it is written and only the directory could not be synced. */
int output_file_commit(struct output_file *t, struct err *e);

/* Whether it has its name, also when the commit failed after that. */
bool output_file_is_in_place(const struct output_file *t);

/* Without a commit nothing is left of it on disk. NULL is fine. */
void output_file_clean(struct output_file *t);

/* Cleans, and frees. NULL is fine. */
void output_file_free(struct output_file *t);
CLEANUP_FUNC(struct output_file *, output_file_free)
