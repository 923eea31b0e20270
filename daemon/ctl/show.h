/*
 * show.h: results for people. Results go to stdout, progress and failures to stderr.
 *
 * Progress on a terminal is one line that is written over: phase, bar, bytes, rate, time left. Elsewhere it is a line
 * every ten seconds: a log wants no more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "control.pb-c.h"

struct show_progress {
    bool is_terminal;
    bool is_open;     /* an unfinished line stands on the terminal */
    uint64_t told_ms; /* elapsed when a line was last written elsewhere, in this attempt */
};

void show_progress_init(struct show_progress *s);
void show_progress(struct show_progress *s, const Control__Progress *p);

/* Removes the unfinished line, before something else is written. */
void show_progress_clear(struct show_progress *s);

void show_note(const char *text);
void show_output(const char *text); /* a line of etcdutl's */
void show_failure(const char *text);

void show_verdict(const Control__Verdict *v);
void show_verify(const Control__VerifyResult *v);
void show_prune(const Control__PruneResult *r, bool has_failed);
void show_unrotated(const Control__Unrotated *u);
void show_rotate(const Control__RotateResult *r, bool has_failed);
void show_listed(const Control__ListResult *l);
void show_backup(const Control__BackupResult *b);
void show_restore(const Control__RestoreResult *r);
void show_status(const Control__StatusResult *s, int64_t now);
