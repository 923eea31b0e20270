/*
 * scratch_dir.h: a hidden directory that only we can enter, in a directory that may be somebody else's.
 *
 * Its mode is 0700 and its lock (flock) is held for as long as somebody works in it. Whoever owns the directory above
 * can rename it, and give its name to another directory of ours: so it is known by its descriptor, and what is swept
 * later by a file in it (SCRATCH_MARK), which nobody else can have put there.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define SCRATCH_PREFIX ".etcd-backupd-unpack."
#define SCRATCH_MARK   "etcd-backupd.scratch"

enum { SCRATCH_NAME_MAX = sizeof(SCRATCH_PREFIX) + 8 };

struct scratch_dir {
    int fd; /* to read it, and the lock; -1: there is none */
    char name[SCRATCH_NAME_MAX];
};

/* Whether a directory of this name may be one. */
bool scratch_dir_has_name(const char *name);

/* Makes one in the directory `above`, which is called `text`. Errors: ERR_RESOURCE, ERR_CONFIG. */
int scratch_dir_make(struct scratch_dir *s, int above, const char *text, struct err *e);

/* Removes it and all in it; what somebody has made of its name meanwhile stays. */
void scratch_dir_remove(struct scratch_dir *s, int above);

/* Removes those that a process left behind that is no more. */
void scratch_dir_sweep(int above);
