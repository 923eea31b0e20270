/*
 * schedule.h: when the next backup is due. Pure: it is told what happened and what the clocks say, and keeps no timer.
 *
 * An interval is counted on the clock that runs on through suspension and that nobody sets (CLOCK_BOOTTIME): the wall
 * clock jumping changes nothing. It begins at the newest backup of the bucket, once, at the start, and after that at
 * the beginning of each cycle that was due or succeeded. A cron line is about the wall clock: it is due at the first of
 * its instants after the last one that was served, which a cycle does for all instants up to its beginning. When the
 * clock jumps forward, what was missed is made up once. When it jumps back by a minute at most, what was served is not
 * repeated; by more, it was wrong before, and the line goes on where the clock is now. Nothing that the clock does
 * makes it wait for longer, by the clock that nobody sets, than it would have without, and a minute: a backup too many
 * is cheap, and a backup that is missing is not.
 *
 * A failed cycle is tried again after retry_initial, doubling up to retry_max (each time a random part of up to the
 * half less, see base/backoff.h), until it succeeds or the next one is due, which begins anew with retry_initial.
 * Jitter is drawn once for each due instant, so that many daemons do not come at once.
 *
 *     schedule_start, then for ever: schedule_wait until it is 0; schedule_began; schedule_succeeded or schedule_failed
 *
 * Whoever waits must ask again when the wall clock was set and after suspension: timers of CLOCK_MONOTONIC, as libuv's,
 * notice neither.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cron.h"

struct schedule_clock {
    int64_t wall;     /* seconds since the epoch */
    uint64_t boot_ms; /* CLOCK_BOOTTIME */
};

struct schedule_spec {
    uint64_t interval_ms; /* > 0, or: */
    bool has_cron;
    struct cron cron;
    uint64_t jitter_ms; /* 0: none */
    uint64_t retry_initial_ms, retry_max_ms;
    uint32_t (*random)(void); /* uniform over 32 bits, for the jitter and the retries; not NULL */
};

/* A value; its members are for schedule.c alone. */
struct schedule {
    struct schedule_spec spec;
    bool is_at_once;             /* the bucket is empty: due since the start */
    bool is_running;             /* a cycle has begun and not ended */
    struct schedule_clock began; /* that cycle */
    bool is_retrying;
    unsigned failures;      /* in a row */
    uint64_t retry_boot_ms; /* when to try again */
    int64_t due_boot_ms;    /* of an interval: without jitter; negative: before the machine started */
    int64_t served;         /* of a cron line: the instant up to which it was served, and the same by the other clock */
    int64_t served_boot_ms;
    int64_t tried_due_boot_ms; /* the two as they were before the cycle that is tried again */
    int64_t tried_served;
    uint64_t jitter_ms; /* for what is due next */
};

/* Begins; `newest` is the instant of the newest complete backup in the bucket, 0 if there is none (then it is due at
 * once). A `newest` in the future counts as now. */
void schedule_start(
        struct schedule *s, const struct schedule_spec *spec, int64_t newest, const struct schedule_clock *now);

/* ms until a cycle should begin; 0: now. Of use while none is running; while one is, it tells about the one after. */
uint64_t schedule_wait(const struct schedule *s, const struct schedule_clock *now);

/* When that will be by the wall clock as it goes now, or was, if it has not begun: seconds since the epoch, rounded
 * up. */
int64_t schedule_next(const struct schedule *s, const struct schedule_clock *now);

/* Whether what should begin is another try of what failed, and nothing else is due yet. */
bool schedule_is_retry(const struct schedule *s, const struct schedule_clock *now);

/* A cycle begins, because it is due, or because somebody asked for one. Left out, it counts as begun when it ends. */
void schedule_began(struct schedule *s, const struct schedule_clock *now);

/* Somebody else has made a backup of this instant (seconds since the epoch), as the bucket shows: what was due up to it
 * has its backup, also one that was tried and failed. One of before what was served changes nothing, and while a cycle
 * is running nothing does. Returns whether it has changed anything. */
bool schedule_seen(struct schedule *s, int64_t instant, const struct schedule_clock *now);

/* It has ended. */
void schedule_succeeded(struct schedule *s, const struct schedule_clock *now);
void schedule_failed(struct schedule *s, const struct schedule_clock *now);
