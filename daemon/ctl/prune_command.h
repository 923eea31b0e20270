/*
 * prune_command.h: `etcd-backupctl prune` and its options, with the letters of the Go tool.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

extern const struct option prune_options[];
extern const char prune_usage[];

int prune_set(int letter, const char *value);
int prune_run(const struct ctl *ctl);
