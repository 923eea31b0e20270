/*
 * talk.h: one request to a daemon, and its replies until Done.
 *
 * SIGINT and SIGTERM ask the daemon to cancel; it then ends the job in order and says so. A second one leaves at once.
 */
#pragma once

#include "base/err.h"
#include "control.pb-c.h"
#include "ctl/ctl.h"

struct talk {
    void *ctx;
    unsigned patience; /* seconds in which it must have answered, whatever comes; 0: as long as it takes */
    /* Any may be NULL. The messages end with the call. */
    void (*on_welcome)(void *ctx, const Control__Welcome *w); /* before a request with secrets is sent: it may change */
    void (*on_progress)(void *ctx, const Control__Progress *p);
    void (*on_note)(void *ctx, const Control__Note *note);
    void (*on_entry)(void *ctx, const Control__Entry *entry);
    void (*on_output)(void *ctx, const char *text);
    void (*on_verdict)(void *ctx, const Control__Verdict *verdict);
    void (*on_planned)(void *ctx, const Control__Planned *planned);
    void (*on_unrotated)(void *ctx, const Control__Unrotated *unrotated);
    int (*on_live_key)(void *ctx, const Control__LiveKey *key, struct err *e); /* -1: no more is wanted, for that */
    void (*on_finding)(void *ctx, const Control__Finding *f);
    void (*on_failure)(void *ctx, const char *kind, const char *text); /* then nothing is printed */
    /* Not for a failure, unless a result comes with it (rotate-key): then after the failure was told. */
    void (*on_done)(void *ctx, const Control__Done *done);
    /* A descriptor that came, before on_done; it is the callee's to close. NULL: none is wanted. */
    void (*on_descriptor)(void *ctx, int fd);
};

/* After a talk: signals mean again what they mean to any program. */
void talk_release_signals(void);

/* Connects, asks, and hands the replies over. Failures, where nobody takes them, are printed to stderr, one line each,
 * as JSON to stdout with --json. Returns the exit status. A request with master keys is sent only after Welcome, to a
 * daemon that may have them. */
int talk(const struct ctl *ctl, Control__Request *request, const struct talk *t);
