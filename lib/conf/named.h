/*
 * named.h: which files a configuration names. See conf_files_each and conf_uses_client_cert in conf.h, too.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"
#include "conf/schema.h"

/* The value of a key that is one string and names something on this machine (a file, a group); NULL for others, and
 * where it is left out. */
const char *conf_named_string(const struct conf *c, const struct conf_schema_key *key);

/* Whether it is one of the two that conf_uses_client_cert is about. */
bool conf_named_is_client_cert(const struct conf_schema_key *key);
