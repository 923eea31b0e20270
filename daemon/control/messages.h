/*
 * messages.h: what jobs report, as messages of the control protocol. Each function appends one frame to `out`.
 */
#pragma once

#include "base/bytes.h"
#include "core/core.h"
#include "etcd/messages.h"
#include "job/list/inventory.h"
#include "jobs.h"
#include "timer/cycle.h"

/* `socket`: of a private daemon, where one that runs with its configuration would listen; else NULL. */
int message_welcome(struct buf *out, const char *socket, struct err *e);
int message_progress(struct buf *out, const struct job_progress *p, uint64_t elapsed_ms, struct err *e);
/* `is_passing`: once all went well there is nothing to know of it. */
int message_note(struct buf *out, const char *text, bool is_passing, struct err *e);
int message_output(struct buf *out, const char *line, struct err *e);
int message_verdict(struct buf *out, const struct verdict *v, struct err *e);
int message_planned(struct buf *out, const struct planned *p, struct err *e);

int message_finding(struct buf *out, const struct finding *f, struct err *e);
int message_unrotated(struct buf *out, const struct unrotated *u, struct err *e);

int message_entry(struct buf *out, const struct inventory_entry *entry, struct known *known, struct err *e);

/* Errors also: ERR_CONFIG: its name is too long for a message. */
int message_live_key(struct buf *out, const struct etcd_messages_key *key, struct err *e);

/* The end of them, at that revision. */
int message_live(struct buf *out, int64_t revision, struct err *e);

/* The end of a request: the result (all its members NULL: done, with nothing to say), or the failure, or both, of a
 * rotation and of a prune that had begun to delete. */
int message_done(struct buf *out, const struct core *core, const struct job_result *result, const struct err *failure,
        struct err *e);

/* The end of a listing. */
int message_listed(struct buf *out, const struct core *core, struct err *e);

int message_status(struct buf *out, const struct core *core, const struct jobs_state *state,
        const struct cycle_state *cycle, int64_t started, struct err *e);
