/*
 * check.h: what would fail, before the first night: members, bucket, keys, this machine, the schedule.
 *
 * Each thing that was looked at is a finding, told to the sink: ok, a warning, or something by which a backup, a
 * restore or a prune would fail as it is configured. Nothing is changed that is a backup, and nothing is left
 * (check_bucket.h).
 */
#pragma once

#include "core/core.h"
#include "job/job.h"

struct check;

struct check_request {
    bool policy; /* only the smallest policy of IAM is wanted */
};

/* Starts. `done` comes with the result, and with ERR_CONFIG if something fails. Errors: ERR_RESOURCE. */
struct check *check_start(
        struct core *core, const struct check_request *request, const struct job_sink *sink, struct err *e);

/* Asks it to stop: `done` follows with ERR_CANCELLED. */
void check_cancel(struct check *c);
