/*
 * verify_command.h: `etcd-backupctl verify` and its options.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

extern const struct option verify_options[];
extern const char verify_usage[];

int verify_set(int letter, const char *value);
int verify_run(const struct ctl *ctl);
