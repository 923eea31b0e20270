/*
 * check_policy.h: the smallest policy of Amazon's IAM that this configuration works with. Pure.
 *
 * What is in it are the operations that lib/s3 makes (s3/right.h names each with its right), with the rights that prune
 * and rotate-key need besides, for the objects of our prefix alone.
 */
#pragma once

#include "conf/conf.h"

/* JSON, in one line. The caller frees. NULL without memory. */
char *check_policy(const struct conf *conf);
