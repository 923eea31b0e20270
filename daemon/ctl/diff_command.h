/*
 * diff_command.h: `etcd-backupctl diff`: which keys came, went and changed between two backups, or two revisions of
 * one.
 *
 * Exit statuses as those of diff(1): 0 the same, 1 different; and 2 where other commands have CTL_FAILED.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

extern const struct option diff_options[];
extern const char diff_usage[];

int diff_set(int letter, const char *value);
int diff_run(const struct ctl *ctl);
