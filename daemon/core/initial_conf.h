/*
 * initial_conf.h: the configuration at the start of the program, before there is a log: what is wrong with it, or with
 * the files that it names, is said on stderr, an objection a line.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"
#include "core/options.h"

/*
 * With all the files that are going to be used; NULL when it was said what is wrong. Then *may_pass says whether that
 * goes by itself, such as a lack of memory, or has to be mended by somebody. For a service that is to be started every
 * file that could not be read may come: with a mount, from an agent. The caller frees.
 */
struct conf *initial_conf_load(const struct options *o, bool *may_pass);

/* --check-config of one that is good: says so on stdout, and warns on stderr of what is hardly meant. */
void initial_conf_tell(const struct conf *conf);
