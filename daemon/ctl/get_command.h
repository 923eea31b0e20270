/*
 * get_command.h: `etcd-backupctl get`: the value of one key, as it is; or all that is known of the key.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

extern const struct option get_options[];
extern const char get_usage[];

int get_set(int letter, const char *value);
int get_run(const struct ctl *ctl);
