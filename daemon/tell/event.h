/*
 * event.h: what happened to a backup, or to a verification, as one line of JSON, for those outside: hooks and the
 * heartbeat.
 */
#pragma once

#include <stdio.h>

#include "core/core.h"
#include "job/job.h"

/* backup-started (neither result nor err), backup-done with the fields of `etcd-backupctl --json backup`, or
 * backup-failed or verify-failed with kind and text. */
struct event {
    const char *of; /* "backup" or "verify"; static */
    const struct backup_result *result;
    const struct err *err;
};

void event_write(FILE *out, const struct core *core, const struct event *event);
