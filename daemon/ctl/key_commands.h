/*
 * key_commands.h: `etcd-backupctl generate-key` and `key-fingerprint`: files of master keys, and of identities of age,
 * without a daemon.
 */
#pragma once

#include <getopt.h>

#include "base/err.h"
#include "ctl/ctl.h"

extern const struct option generate_key_options[];
extern const char generate_key_usage[];
int generate_key_set(int letter, const char *value);
int generate_key_run(const struct ctl *ctl);
int key_fingerprint_run(const struct ctl *ctl);

/* Tells a person, and a program that wants JSON, why a key file could not be read or written. Returns the exit status:
 * CTL_USAGE if that is the file's fault, else CTL_FAILED. For rotate-key, too. */
int key_commands_failed(const struct ctl *ctl, const struct err *e);
