/*
 * credentials.h: a credentials file, read again when it changes on disk (short-lived credentials are rotated under us).
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "conf/conf.h"

struct credentials;

/* Borrows `path`. Reads nothing yet. The caller frees. Errors: ERR_RESOURCE. */
struct credentials *credentials_new(const char *path, enum conf_credentials_kind kind, struct err *e);

/*
 * What the file holds now: read again if its inode, size or modification time differ from those of the last reading. A
 * file that has become unreadable or is half-written is an error only if nothing good was read before. Valid until the
 * next call. Errors: those of conf_read_credentials; NULL then.
 */
const struct conf_credentials *credentials_get(struct credentials *c, struct err *e);

/* NULL is fine. */
void credentials_free(struct credentials *c);
CLEANUP_FUNC(struct credentials *, credentials_free)
