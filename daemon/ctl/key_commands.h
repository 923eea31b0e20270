/*
 * key_commands.h: `etcd-backupctl generate-key` and `key-fingerprint`: files of master keys, without a daemon.
 */
#pragma once

#include "ctl.h"

int generate_key_run(const struct ctl *ctl);
int key_fingerprint_run(const struct ctl *ctl);
