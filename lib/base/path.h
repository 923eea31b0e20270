/*
 * path.h: the place that a path names, found once and then held by a descriptor.
 *
 * Whoever owns a directory may lay a symbolic link where a directory was, at any moment: root who follows it writes,
 * gives away or removes somewhere else. So the way to a place is walked once, directory by directory (openat(2) with
 * O_NOFOLLOW), a link is followed only if root or we laid it, and what comes after goes by the descriptor and the name.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

/* The directory that `path` lies in, as it is written there: "." if it names none. The caller frees; NULL without
 * memory. */
char *path_dir(const char *path);

struct path_place {
    int dir_fd;     /* the directory above (O_PATH) */
    char *name;     /* in it; what has this name is no link, or was none a moment ago */
    char *text;     /* both, without links: for people */
    bool exists;    /* something has the name */
    bool is_linked; /* the last component of the path was a link, which was followed */
};

#define PATH_PLACE_INIT ((struct path_place){.dir_fd = -1})

/* All but the last component must exist. The caller clears. Errors, of the domain ERR_DOMAIN_ERRNO but the first:
 * ERR_CONFIG (a link that another user laid, or one into /proc; not to be entered; too many links; the root),
 * ERR_NOT_FOUND, ERR_RESOURCE. */
int path_find(const char *path, struct path_place *out, struct err *e);
void path_place_clear(struct path_place *p);

#define _cleanup_place_ _cleanup_(path_place_clear)
