/*
 * alarm.h: one call at a time to come, on the clock that runs on while the machine is suspended; and a call whenever
 * somebody sets the wall clock.
 *
 * libuv's timers stand still in suspension. This is timerfd_create(2): CLOCK_BOOTTIME for the time, and CLOCK_REALTIME
 * with TFD_TIMER_CANCEL_ON_SET to hear of jumps. Between calls nothing wakes up.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "base/err.h"

struct alarm;

/* `on_call` comes when the time has come, and after the wall clock was set: then it may be early. The caller frees.
 * Errors: ERR_RESOURCE. */
struct alarm *alarm_new(uv_loop_t *loop, void *ctx, void (*on_call)(void *ctx), struct err *e);

/* In so many ms, instead of what was set before; 0: as soon as the loop turns. */
void alarm_set(struct alarm *a, uint64_t ms);
void alarm_clear(struct alarm *a);

/* CLOCK_BOOTTIME now, in ms. */
uint64_t alarm_boot_ms(void);

/* The memory goes with libuv's close callbacks. NULL is fine. */
void alarm_free(struct alarm *a);
