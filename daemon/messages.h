/*
 * messages.h: what jobs report, as messages of the control protocol. Each function appends one frame to `out`.
 */
#pragma once

#include "base/bytes.h"
#include "catalog/list.h"
#include "core.h"
#include "jobs.h"

int message_welcome(struct buf *out, struct err *e);
int message_progress(struct buf *out, const struct job_progress *p, uint64_t elapsed_ms, struct err *e);
int message_note(struct buf *out, const char *text, struct err *e);
int message_entry(struct buf *out, const struct catalog_backup *b, struct err *e);

/* The end of a request: the result (all its members NULL: done, with nothing to say), or the failure. */
int message_done(struct buf *out, const struct job_result *result, const struct err *failure, struct err *e);

int message_status(
        struct buf *out, const struct core *core, const struct jobs_state *state, int64_t started, struct err *e);
