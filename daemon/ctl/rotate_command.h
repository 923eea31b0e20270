/*
 * rotate_command.h: `etcd-backupctl rotate-key` and its options, with the letter of the Go tool.
 *
 * The key files are read here, with the rights of the person, and handed over as bytes; they are in locked memory, and
 * wiped, all the way.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

extern const struct option rotate_options[];
extern const char rotate_usage[];

int rotate_set(int letter, const char *value);
int rotate_run(const struct ctl *ctl);
