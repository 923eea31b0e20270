/*
 * owner.h: whose a directory will be: "USER[:GROUP]", names or numbers, and whether we may give it to him.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* The group is the user's own if it is left out; of a number, *gid stays what it is. Errors:
 * ERR_CONFIG (nobody is called so; we may not give him files, or not with that group). */
int owner_parse(const char *owner, uid_t *uid, gid_t *gid, struct err *e);

/* Root in a confined service may lack the capabilities for it. What was given away is then not ours to rename or to
 * remove any more, so it has to be known before. */
bool owner_may_give(void);

/* Whether what is ours may have this group: one that we are in, or any (root). */
bool owner_may_give_group(gid_t gid);

/* What the kernel said of `path`, as err_errno; and when it is a right of the daemon that lacks, as whom it runs and
 * what has the rights of whoever asks. Returns -1. */
int owner_errno(struct err *e, int number, const char *path);

/* "user:group", numbers where there is no name. `out` has room for OWNER_TEXT_MAX bytes; returns it. */
enum { OWNER_TEXT_MAX = 80 };
const char *owner_format(uid_t uid, gid_t gid, char *out);
