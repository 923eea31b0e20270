/*
 * ls_command.h: `etcd-backupctl ls`: the keys in a backup, or what fills it.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

extern const struct option ls_options[];
extern const char ls_usage[];

int ls_set(int letter, const char *value);
int ls_run(const struct ctl *ctl);
