/*
 * service_user.h: what root can read and the service's own user cannot. A check of the configuration by root says good
 * to all that; the unit then fails.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

/* Whether this file is one that our units start the daemon with. */
bool service_user_has_file(const char *file);

/* Calls `each` for every file of *c, and its own, that `user` cannot read: a line, valid during the call. For root;
 * does nothing for others, and where there is no such user. Forks. */
void service_user_check(const struct conf *c, const char *user, void (*each)(void *ctx, const char *text), void *ctx);
