/*
 * s3_keys.h: what requests to the bucket are signed with, wherever the configuration has it from.
 *
 * A file is read again when it changes, and forgotten between jobs (credentials.h). All else is fetched from a cloud
 * and kept fresh by who serves for long (cloud/source.h); that is logged when it begins to fail and when it works
 * again, and can be seen by who asks, before a backup needs it.
 */
#pragma once

#include <uv.h>

#include "base/cleanup.h"
#include "cloud/source.h"
#include "conf/conf.h"
#include "s3/client.h"

struct s3_keys;

/* Borrows `conf`. `keeps_fresh`: also while nobody needs them. The caller frees. Errors: ERR_RESOURCE. */
struct s3_keys *s3_keys_new(uv_loop_t *loop, const struct conf *conf, bool keeps_fresh, struct err *e);

/* What was fetched for `before`, whose conf is still there, serves on where the new conf asks the same place: a reload
 * while that gives nothing makes nothing worse. */
void s3_keys_inherit(struct s3_keys *k, struct s3_keys *before);

/* Sets the callbacks of *out, and its proxy. Errors: those of reading the file; what is fetched is waited for by the
 * requests. */
int s3_keys_use(struct s3_keys *k, struct s3_conf *out, struct err *e);

/* Nobody needs them for a while: what a file held is forgotten. */
void s3_keys_rest(struct s3_keys *k);

/* False: they are a file's, of which nothing is to be told. */
bool s3_keys_state(const struct s3_keys *k, struct cloud_state *out);

/* No client that uses it may be left. Its memory goes in later turns of the loop. NULL is fine. */
void s3_keys_free(struct s3_keys *k);
CLEANUP_FUNC(struct s3_keys *, s3_keys_free)
