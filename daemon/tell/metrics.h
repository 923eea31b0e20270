/*
 * metrics.h: numbers for Prometheus at /metrics and a yes or no at /healthz, over plain HTTP (libmicrohttpd).
 *
 * libmicrohttpd runs on our loop: it waits in an epoll descriptor, which the loop polls. Names follow Prometheus'
 * conventions (prometheus.io/docs/practices/naming); counters begin at 0 with the process, what is about the bucket is
 * what cycle.h knows of it.
 */
#pragma once

#include "core/core.h"
#include "jobs.h"
#include "timer/cycle.h"

struct metrics;

/* Listens where metrics.listen says, at once or, with a warning, when that can be done: a port that somebody else has,
 * or a name that does not resolve, keeps no backup away. Observes the jobs. Borrows all three, which outlive it. The
 * caller frees. NULL with e->kind ERR_NONE: nothing is configured. Errors: ERR_RESOURCE. */
struct metrics *metrics_new(struct core *core, struct jobs *jobs, const struct cycle *cycle, struct err *e);

/* Listens no more and closes its handles, so that the loop can end. NULL is fine. */
void metrics_stop(struct metrics *m);

/* After the jobs are gone. NULL is fine. */
void metrics_free(struct metrics *m);
