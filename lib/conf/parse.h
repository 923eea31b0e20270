/*
 * parse.h: a configuration from bytes in memory: all of conf_load but the reading. Pure, so that it can be fuzzed.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "conf/conf.h"

/* As conf_load; `file` is the name for messages. */
struct conf *conf_parse(const char *file, struct bytes text, struct err *e);
