/*
 * watch.h: what a job tells becomes messages to who watches it, as fast as he reads; to be a member of the peer.
 *
 * He may read slowly, or not at all. That must not lose him the job, whose end is the one thing that he has to hear,
 * nor fill our memory: so progress waits for what is on its way, a tool's lines and keys that failed are left out
 * beyond DETAILS_LIMIT bytes, and all else when half of CHANNEL_OUT_MAX is waiting; what was left out is counted, and
 * told before the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/channel.h"
#include "job/job.h"

struct watch_spec {
    uv_loop_t *loop;
    struct channel *channel; /* what is told is put into it; borrowed */
    bool is_private;         /* nobody can look up later what is not told now */
    void *ctx;
    void (*on_queued)(void *ctx, int result); /* something was put into the channel, or could not be (-1) */
    void (*on_done)(void *ctx, const struct job_result *result, const struct err *err); /* as job.h's */
};

struct watch {
    struct watch_spec spec;
    bool wants_progress;          /* the client does */
    uint64_t started_ms, told_ms; /* the first: of the attempt that is told of */
    unsigned attempt;
    const char *told_phase;
    unsigned unrotated, untold; /* keys that failed; of them, left out */
    unsigned left_out;          /* lines about other things */
};

void watch_init(struct watch *w, const struct watch_spec *spec);

/* The client's request has come: its time runs from now. */
void watch_begin(struct watch *w);

/* For the job; its ctx is `w`. */
struct job_sink watch_sink(struct watch *w);

/* What was left out, if anything was: before the end is told. */
void watch_tell_left_out(struct watch *w);

/* One line for a person, as the sink's. `is_passing`: once all went well there is nothing to know of it. */
void watch_note(struct watch *w, const char *text, bool is_passing);
