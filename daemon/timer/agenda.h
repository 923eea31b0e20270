/*
 * agenda.h: what the daemon does next by itself: a look at the bucket, a backup, a prune, a verification. Pure: it is
 * told what happened and what the clocks say; cycle.h does what it says.
 *
 * Two states, how the bucket is known and how far a look at it is, and one set of what is owed. Their rules:
 *
 * - The bucket is looked at first, for the schedule (schedule.h) begins at its newest backup; again and again until
 *   that works. Where it does not, AGENDA_PATIENCE times in a row, the schedule begins without: an access key that may
 *   not list can write all the same, and if nothing works, the backup that fails says so. The first look that works
 *   then begins it anew. Only time brings these looks nearer, and a backup that was made; what other jobs do does not.
 * - A backup that is due has a look before it, which serves nothing that comes later. That the look fails does not keep
 *   the backup away.
 * - After each backup that was made, by whomever, a prune is owed (if the configuration has one), and after one that
 *   was not ours a look. What changes in the bucket while a look is under way makes it outdated.
 * - Where the schedule is shared, a backup that is due has a turn before all that (turn.h), and what another daemon has
 *   made serves ours. Whoever holds a turn and finds nothing due any more, or has to wait, gives it back.
 * - Jobs that only read (AGENDA_READING) keep nothing away but a prune, which stays owed, and a verification.
 * - Verifications come in rounds (round.h), a job a backup, and each step of a round is the last of all things: what
 *   is due or owed meanwhile comes before the next step, and a backup need not wait even for that. A round has a
 *   schedule of its own, which begins when the bucket is known, and a look before it that shows what there is. One that
 *   could not look at all is tried again, as a backup is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "timer/schedule.h"

enum { AGENDA_PATIENCE = 3 };

enum agenda_bucket {
    AGENDA_UNSEEN,  /* not looked at yet */
    AGENDA_UNKNOWN, /* it could not be */
    AGENDA_KNOWN,
};

enum agenda_turn {
    AGENDA_NO_TURN,
    AGENDA_TAKING_TURN,
    AGENDA_HAS_TURN,
};

enum agenda_look {
    AGENDA_NO_LOOK,
    AGENDA_LOOKING,
    AGENDA_LOOKING_AT_THE_PAST, /* something has changed since it began */
    AGENDA_LOOKED,              /* just now, for what is next */
};

/* What is owed, a set. */
enum { AGENDA_OWES_LOOK = 1, AGENDA_OWES_PRUNE = 2 };

/* What is next. */
enum agenda_step { AGENDA_WAIT, AGENDA_TURN, AGENDA_LOOK, AGENDA_BACKUP, AGENDA_PRUNE, AGENDA_VERIFY };

/* What runs, whoever asked for it. */
enum agenda_busy {
    AGENDA_FREE,
    AGENDA_READING, /* jobs that change nothing */
    AGENDA_TAKEN,   /* one beside which nothing begins; its end asks again */
};

enum agenda_outcome { AGENDA_MADE, AGENDA_FAILED, AGENDA_CANCELLED };

struct agenda_spec {
    bool has_schedule;
    struct schedule_spec schedule; /* if it has */
    bool wants_bucket;             /* to be known, also without a schedule: somebody shows it, or it is verified */
    bool prunes;
    bool is_shared;        /* the schedule, with daemons elsewhere */
    uint64_t turn_wait_ms; /* about so long, by chance, after a turn that was another's; of use if it is shared */
    bool verifies;
    struct schedule_spec verify; /* if it does */
    int64_t verified;            /* when the last round began, from which that schedule begins, seconds since the epoch;
                                  * 0: one is due at once */
};

/* A value; its members are for reading. */
struct agenda {
    struct agenda_spec spec;
    enum agenda_bucket bucket;
    enum agenda_look look;
    enum agenda_turn turn;
    uint64_t turn_boot_ms; /* not before this it is asked for again */
    unsigned owed;
    bool is_scheduled; /* the schedule has begun */
    struct schedule schedule;
    bool verify_is_scheduled;
    bool is_in_round; /* it has begun, and has steps left */
    struct schedule verify;
    unsigned failures;     /* of backups that were due, in a row */
    unsigned looks_failed; /* in a row, since it was to be known */
    uint64_t look_wait_ms; /* after the next that fails */
    uint64_t look_boot_ms; /* when the next may begin, while the bucket is not known; UINT64_MAX: with a backup */
};

/* All begins anew: at the start, and with another configuration. */
void agenda_start(struct agenda *a, const struct agenda_spec *spec);

/* What is next. After AGENDA_WAIT: in *wait_ms at the latest it is to be asked again; UINT64_MAX: not before something
 * happens. What a look serves is served by this call. */
enum agenda_step agenda_next(
        struct agenda *a, enum agenda_busy busy, const struct schedule_clock *now, uint64_t *wait_ms);

/* A look begins. Then it ends: `newest` is the instant of the newest complete backup, 0: there is none. */
void agenda_look_began(struct agenda *a);
void agenda_looked(struct agenda *a, int64_t newest, const struct schedule_clock *now);
void agenda_look_failed(struct agenda *a, const struct schedule_clock *now);

/* Whether the look under way has seen what is there no more. */
bool agenda_look_is_outdated(const struct agenda *a);

/* A backup begins because it is due; and one ends, that was due or not. */
void agenda_backup_began(struct agenda *a, const struct schedule_clock *now);
void agenda_backup_ended(struct agenda *a, enum agenda_outcome outcome, bool was_due, const struct schedule_clock *now);

/* Asks for a turn; then it is ours, or not, and given back some time. */
void agenda_turn_began(struct agenda *a);
void agenda_turn_ended(struct agenda *a, bool is_ours, const struct schedule_clock *now);
void agenda_turn_given_back(struct agenda *a);

/* Another daemon has made a backup of this instant. Returns whether one is due all the same. */
bool agenda_seen(struct agenda *a, int64_t instant, const struct schedule_clock *now);

void agenda_prune_began(struct agenda *a);

/* After a look that worked: whether a round is due, and nothing before it. Then it begins; until it ends agenda_next
 * says AGENDA_VERIFY for each of its steps. */
bool agenda_wants_round(const struct agenda *a, const struct schedule_clock *now);

/* Whether that round is another try of one that could not look at all. */
bool agenda_round_is_retry(const struct agenda *a, const struct schedule_clock *now);

void agenda_round_began(struct agenda *a, const struct schedule_clock *now);

/* Nothing more of it can be done; `is_done`: nor is anything left. */
void agenda_round_ended(struct agenda *a, bool is_done, const struct schedule_clock *now);

/* When the next round is due, or was; as agenda_next_backup. */
int64_t agenda_next_round(const struct agenda *a, const struct schedule_clock *now);

/* Something else has changed in the bucket, or somebody doubts what is known. */
void agenda_owe_look(struct agenda *a);

/* When the next backup is due, or was, if it has not begun: seconds since the epoch; 0: nobody knows. */
int64_t agenda_next_backup(const struct agenda *a, const struct schedule_clock *now);
