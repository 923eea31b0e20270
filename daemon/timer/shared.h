/*
 * shared.h: the cycle's side of a schedule that is shared with daemons elsewhere: it asks for turns (turn.h) and gives
 * them back, and says what of the others' backups serves what is due here. Of use only while the agenda's spec says
 * that the schedule is shared; else nothing here does anything.
 *
 *     AGENDA_TURN => shared_take => a look, a backup => shared_gives_back
 */
#pragma once

#include "core/core.h"
#include "timer/agenda.h"

struct shared;

struct shared_spec {
    struct core *core;     /* borrowed, as is: */
    struct agenda *agenda; /* which is told of turns, and of others' backups */
    void *ctx;
    void (*wake)(void *ctx); /* the agenda is to be asked again, when the loop turns */
    void (*lost)(
            void *ctx); /* others will take the turn for theirs: a backup that runs because it was due is to stop */
    void (*left)(void *ctx); /* after shared_stop, once, if there was a turn: it has been given back */
};

/* The caller frees. Errors: ERR_RESOURCE. */
struct shared *shared_new(const struct shared_spec *spec, struct err *e);

/* What is due is to be made: asks for the turn. Acquires the core until it is another's, or has been given back. */
void shared_take(struct shared *s);

/* Whether a turn that we have is given back now, and nothing else done: `step` does not need it, or it is lost.
 * `is_at_work`: a look, or a backup that was due, is under way. */
bool shared_gives_back(struct shared *s, enum agenda_step step, bool is_at_work);

/* Whether the turn that we have is lost: what is cancelled then has failed. */
bool shared_has_lost(const struct shared *s);

/* A look has shown the newest backup that counts (seconds since the epoch; 0: there is none), or one was made here. */
void shared_looked(struct shared *s, int64_t newest);
void shared_made(struct shared *s, int64_t instant);

/* Another configuration was taken into use. No turn is held then. */
void shared_reload(struct shared *s);

/* Asks for nothing more, and gives back a turn that we have or are asking for: `left` follows, never inside the call.
 * Until then shared_is_leaving. shared_close leaves what is still on its way. */
void shared_stop(struct shared *s);
bool shared_is_leaving(const struct shared *s);
void shared_close(struct shared *s);

/* After shared_close. NULL is fine. */
void shared_free(struct shared *s);
