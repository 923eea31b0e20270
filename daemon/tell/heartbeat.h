/*
 * heartbeat.h: a monitor elsewhere hears of each backup, and so also misses one that did not come.
 *
 * The convention of healthchecks: a POST to URL/start when a backup begins, to URL when it was made, to URL/fail when
 * it failed, each with the event (event.h) as its body. Whoever has the URL can say what he likes there: it comes from
 * a file, which is read anew for each call, and is never logged.
 *
 * Nothing waits for it, and it is no part of a backup's result: after HEARTBEAT_TRIES the log has a warning. Calls go
 * out one after the other, in order. A backup that was cancelled is no event, as for hooks.
 */
#pragma once

#include "core/core.h"
#include "jobs.h"

enum { HEARTBEAT_TRIES = 3, HEARTBEAT_QUEUE = 8 };

struct heartbeat;

/* Borrows both and observes the jobs; both outlive it. Without heartbeat.url_file it does nothing. The caller frees.
 * Errors: ERR_RESOURCE. */
struct heartbeat *heartbeat_new(struct core *core, struct jobs *jobs, struct err *e);

/* Whether something is still to be told. NULL: nothing is. */
bool heartbeat_is_busy(const struct heartbeat *h);

/* Takes no more, and gives what is there `grace_ms` at most. The loop goes on until then. NULL is fine. */
void heartbeat_stop(struct heartbeat *h, uint64_t grace_ms);

/* After the jobs are gone and the loop has run dry. NULL is fine. */
void heartbeat_free(struct heartbeat *h);
