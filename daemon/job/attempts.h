/*
 * attempts.h: a backup, tried again where that may help.
 *
 * Attempts are whole: there is no resuming a snapshot in the middle, so another attempt is another snapshot, another
 * data key, another upload and another time stamp. Tried again, with backoff and jitter and within etcd_client.retries,
 * is what is transient, and what broke a protocol, since the next member may not. All else ends at once.
 */
#pragma once

#include "job.h"

struct attempts;

/* Starts the first. Errors: ERR_RESOURCE; all else comes through `done`, with a failure, too, how many there were and
 * for how long etcd was read for them all. Frees itself after `done`. */
struct attempts *attempts_start(struct core *core, const struct job_sink *sink, struct err *e);

/* Asks the running attempt to stop and makes no other. */
void attempts_cancel(struct attempts *a);
