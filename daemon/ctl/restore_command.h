/*
 * restore_command.h: `etcd-backupctl restore`: its options, with the letters and defaults of the Go tool.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

extern const struct option restore_options[];
extern const char restore_usage[];

int restore_set(int letter, const char *value);
int restore_run(const struct ctl *ctl);
