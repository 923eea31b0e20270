/*
 * round.h: one round of verifications by the daemon itself: which backups it is about, which is next, and what came of
 * it so far. Pure.
 *
 * A round is planned when it is due, from the list of that moment, and lasts as long as it takes: it is one job a
 * backup, and between two of them everything else has its turn. One that could not be looked at (no network, no room)
 * is put back, to be tried again when the others are done; after ROUND_ALIKE of them in a row the round pauses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/list.h"
#include "conf/conf.h"

enum { ROUND_SAMPLE = 3 /* beside the newest */, ROUND_ALIKE = 3 };

struct round_result {
    int64_t began, ended;        /* seconds since the epoch; ended 0: it is under way */
    unsigned good, bad;          /* backups */
    unsigned vouched;            /* that are sealed, and vouched for: nobody here can open them */
    unsigned left;               /* that are still to be looked at; of an ended one: that could not be */
    struct err first_bad;        /* kind ERR_NONE: none is */
    struct err last_unknown;     /* why one could not be looked at; ERR_NONE: all could */
    char left_out[ERR_TEXT_MAX]; /* why drills have unpacked nothing; "" */
};

/* A value; its members but `result` are for round.c alone. */
struct round {
    int64_t *instants; /* `left` of them, the next one first */
    unsigned alike;    /* in a row that could not be looked at */
    unsigned tried;    /* since the last pause, of those that are left */
    struct round_result result;
};

/* Plans one at `now` (seconds since the epoch); of those that count, newest first. What a round had before is
 * forgotten. `random` is uniform over 32 bits. Errors: ERR_RESOURCE. */
int round_plan(struct round *r, const struct catalog_list *list, enum conf_verify_what what, int64_t now,
        uint32_t (*random)(void), struct err *e);

/* The instant of the one that is next; 0: there is none for now, since all are done, or since it pauses. */
int64_t round_next(const struct round *r);

/* What came of it: good, bad; or neither: it is sealed, and vouched for, or gone meanwhile; or it could not be looked
 * at. */
enum round_outcome { ROUND_GOOD, ROUND_BAD, ROUND_VOUCHED, ROUND_GONE, ROUND_UNKNOWN };
void round_took(struct round *r, enum round_outcome outcome, const struct err *err);

/* The pause is over. */
void round_resume(struct round *r);

/* Also of one that was never planned, all zero. */
void round_clear(struct round *r);
