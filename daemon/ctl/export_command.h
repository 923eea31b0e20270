/*
 * export_command.h: `etcd-backupctl export`: keys with their values, for programs: JSON, or a script that puts them
 * back.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

extern const struct option export_options[];
extern const char export_usage[];

int export_set(int letter, const char *value);
int export_run(const struct ctl *ctl);
