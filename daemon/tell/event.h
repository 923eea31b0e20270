/*
 * event.h: what happened to a backup, as one line of JSON, for those outside: hooks and the heartbeat.
 */
#pragma once

#include <stdio.h>

#include "core/core.h"
#include "job/job.h"

/* `event` is backup-started (neither result nor err), backup-done with the fields of `etcd-backupctl --json backup`, or
 * backup-failed with kind and text. */
void event_write(FILE *out, const struct core *core, const struct backup_result *result, const struct err *err);
