/*
 * lifecycle.h: how every job begins, goes on, is cancelled and ends; to be a member of the job.
 *
 *     lifecycle_start => first step => ... lifecycle_next => step ... => lifecycle_end => freed, core released
 *
 * Steps come from the loop, never inside the call that asks for them, so that no callback comes inside a start and a
 * job may be ended by whoever it calls. At most one is awaited.
 *
 * A cancellation has one rule: from the moment at which it is asked for no step begins any more; in the loop's next
 * turn `cancel` comes in the place of the step that was awaited, once, also where the step before ended in the same
 * turn. What a job goes through after that to wind down are steps again. After the end there is nothing left to cancel.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/core.h"

struct lifecycle;

typedef void (*lifecycle_step)(struct lifecycle *l);

struct lifecycle {
    struct core *core;
    uv_timer_t timer;    /* brings what is next to the loop's next turn */
    lifecycle_step step; /* that is awaited; or NULL */
    lifecycle_step cancel, free_job;
    uint64_t started_ms; /* by the loop's clock */
    bool is_cancelled, cancel_has_come, has_ended;
};

struct lifecycle_spec {
    lifecycle_step first;
    lifecycle_step cancel;   /* ends the job, or asks what is at work to end, whose end then leads to the job's */
    lifecycle_step free_job; /* after lifecycle_end, when nothing of it is used any more: frees what it stands in */
};

/* Acquires the core. `first` comes in the loop's next turn. Does not fail. */
void lifecycle_start(struct lifecycle *l, struct core *core, const struct lifecycle_spec *spec);

/* `step` comes in the loop's next turn, unless a cancellation does. */
void lifecycle_next(struct lifecycle *l, lifecycle_step step);

/* Asks for the end. A second time, and after the end, it does nothing. */
void lifecycle_cancel(struct lifecycle *l);

/* Whether it was asked to end: what would be begun now is not to be. */
bool lifecycle_is_cancelled(const struct lifecycle *l);

/* Since the start, ms. */
uint64_t lifecycle_elapsed_ms(const struct lifecycle *l);

/* Once, before the job tells its end. No step comes any more; free_job does, then the core is released. */
void lifecycle_end(struct lifecycle *l);
