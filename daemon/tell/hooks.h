/*
 * hooks.h: the operator's own commands, run after a backup: hooks.on_success and hooks.on_failure; and the
 * latter when a verification by the daemon itself fails.
 *
 * Each is run by /bin/sh with the event as one line of JSON on its standard input, as a process of its own: nothing
 * waits for it. It is ended after hooks.timeout; what it prints goes to the log at debug level, how it failed as a
 * warning. At most HOOKS_MAX run at once; an event beyond that is told in the log alone. A backup that was cancelled is
 * no event: whoever did it knows.
 */
#pragma once

#include "core/core.h"
#include "jobs.h"

struct hooks;

enum { HOOKS_MAX = 4 };

/* Borrows both and observes the jobs; both outlive it. The caller frees. Errors: ERR_RESOURCE. */
struct hooks *hooks_new(struct core *core, struct jobs *jobs, struct err *e);

/* Whether a command runs. NULL: none does. */
bool hooks_is_running(const struct hooks *h);

/* A verification by the daemon itself has found a bad backup, or could not look at some: hooks.on_failure. */
void hooks_tell_verify_failed(struct hooks *h, const struct err *why);

/* Lets those that run go on to their own limit, but for `grace_ms` at most, and runs no more: what happened just before
 * the end is worth an alert, too. The loop goes on until they have ended. NULL is fine. */
void hooks_stop(struct hooks *h, uint64_t grace_ms);

/* After the jobs are gone and the loop has run dry. NULL is fine. */
void hooks_free(struct hooks *h);
