/*
 * attempts.h: a backup, tried again where that may help.
 *
 * Attempts are whole: there is no resuming a snapshot in the middle, so another attempt is another snapshot, another
 * data key, another upload and another time stamp. Tried again, with backoff and jitter and within etcd_client.retries,
 * is what is transient, and what broke a protocol or sent wrong bytes, since the next member may not. All else ends at
 * once.
 *
 * A snapshot whose database is damaged is not stored: the next attempt asks another member. Only when none gives a
 * sound one the last of them is stored all the same, marked as damaged, at most once an hour; that is a failure
 * (backup.h). Where storing it fails, that is tried again as any other.
 *
 * Before the first, the master key is looked at (key_guard.h), unless whoever asks has just done so.
 */
#pragma once

#include "job/job.h"

struct attempts;

struct backup_request {
    bool key_is_checked;   /* by the caller, just now */
    bool tells_other_keys; /* a note, if backups are there that the configured keys do not open: nobody else says it */
};

/* Starts the first. Errors: ERR_RESOURCE; all else comes through `done`: ERR_CONFIG (the master key was rotated away),
 * those of the last backup; with a failure, too, how many there were and for how long etcd was read for them all. Frees
 * itself after `done`. */
struct attempts *attempts_start(
        struct core *core, const struct backup_request *request, const struct job_sink *sink, struct err *e);

/* Asks the running attempt to stop and makes no other. */
void attempts_cancel(struct attempts *a);
