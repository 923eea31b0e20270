/*
 * lifecycle.h: how every job begins, goes on, tells, is cancelled and ends; to be a member of the job.
 *
 *     lifecycle_start => first step => ... lifecycle_next => step ... => lifecycle_end -> done => freed, core released
 *
 * Steps come from the loop, never inside the call that asks for them, so that no callback comes inside a start and a
 * job may be ended by whoever it calls. At most one is awaited.
 *
 * A cancellation has one rule: from the moment at which it is asked for no step begins any more. In the loop's next
 * turn `cancel` comes, and again in the place of each step that is asked for later. It asks what is at work to end; if
 * nothing is, it ends the job. So who goes on by a step need not ask whether he may; who begins something elsewhere,
 * in a callback, may ask, or leave it to `cancel` to end that, too. After the end there is nothing left to cancel.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/core.h"
#include "job/job.h"

struct lifecycle;

typedef void (*lifecycle_step)(struct lifecycle *l);

struct lifecycle {
    struct core *core;    /* these two are the job's to use */
    struct job_sink sink; /* but for `done` */

    uv_timer_t turn; /* brings what is awaited */
    uv_timer_t tick; /* of lifecycle_every */
    lifecycle_step step, ticked;
    lifecycle_step cancel, free_job;
    uint64_t started_ms; /* by the loop's clock */
    bool is_cancelled, has_ended;
    unsigned open_handles;
};

struct lifecycle_spec {
    struct core *core;
    const struct job_sink *sink; /* copied */
    lifecycle_step first;
    lifecycle_step cancel;
    lifecycle_step free_job; /* after the end, when nothing of it is used any more: frees what it stands in */
};

/* Acquires the core. `first` comes in the loop's next turn. Does not fail. */
void lifecycle_start(struct lifecycle *l, const struct lifecycle_spec *spec);

/* `step` comes in the loop's next turn, or after that many ms, unless a cancellation does. */
void lifecycle_next(struct lifecycle *l, lifecycle_step step);
void lifecycle_after(struct lifecycle *l, uint64_t ms, lifecycle_step step);

/* `tick` comes every so many ms (> 0) until the end, also of one that is cancelled: to tell how far it is, and for
 * nothing else. */
void lifecycle_every(struct lifecycle *l, uint64_t ms, lifecycle_step tick);

/* Tell the sink: one line for a person; where it is. Not after the end. */
void lifecycle_note(struct lifecycle *l, const char *text);
void lifecycle_progress(struct lifecycle *l, const struct job_progress *progress);

/* Asks for the end. A second time, and after the end, it does nothing. */
void lifecycle_cancel(struct lifecycle *l);

/* Whether it was asked to end. */
bool lifecycle_is_cancelled(const struct lifecycle *l);

/* Since the start, ms. */
uint64_t lifecycle_elapsed_ms(const struct lifecycle *l);

/* Once, when nothing of the job is at work any more: `done` is told this (job.h). No step comes after it; free_job does
 * in a later turn, then the core is released. So what the result points to may be freed after this returns. */
void lifecycle_end(struct lifecycle *l, const struct job_result *result, const struct err *err);
