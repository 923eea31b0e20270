#include "timer/agenda.h"

enum {
    LOOK_FIRST_MS = 5000, /* after a look that failed; doubled up to: */
    LOOK_MAX_MS = 300000,
};

void agenda_start(struct agenda *a, const struct agenda_spec *spec)
{
    *a = (struct agenda){.spec = *spec, .look_wait_ms = LOOK_FIRST_MS};
}

/* ---- what is next ---- */

/* ms until a look is to make the bucket known; UINT64_MAX: nothing asks for one. */
static uint64_t until_look(const struct agenda *a, const struct schedule_clock *now)
{
    bool is_wanted = a->bucket == AGENDA_UNSEEN || a->spec.has_schedule || a->spec.wants_bucket;

    if (a->bucket == AGENDA_KNOWN || !is_wanted || a->look_boot_ms == UINT64_MAX)
        return UINT64_MAX;
    return a->look_boot_ms > now->boot_ms ? a->look_boot_ms - now->boot_ms : 0;
}

static uint64_t until_backup(const struct agenda *a, const struct schedule_clock *now)
{
    uint64_t due = a->is_scheduled ? schedule_wait(&a->schedule, now) : UINT64_MAX;
    uint64_t turn = a->turn_boot_ms > now->boot_ms ? a->turn_boot_ms - now->boot_ms : 0;

    return a->turn == AGENDA_NO_TURN && due < turn ? turn : due;
}

static uint64_t until_round(const struct agenda *a, const struct schedule_clock *now)
{
    return a->verify_is_scheduled ? schedule_wait(&a->verify, now) : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

enum agenda_step agenda_next(
        struct agenda *a, enum agenda_busy busy, const struct schedule_clock *now, uint64_t *wait_ms)
{
    bool has_looked = a->look == AGENDA_LOOKED;
    uint64_t look = until_look(a, now), backup = until_backup(a, now);

    *wait_ms = UINT64_MAX;
    if (has_looked)
        a->look = AGENDA_NO_LOOK;
    if (a->look != AGENDA_NO_LOOK || a->turn == AGENDA_TAKING_TURN || busy == AGENDA_TAKEN)
        return AGENDA_WAIT; /* its end brings us back */
    if ((a->owed & AGENDA_OWES_PRUNE) && busy == AGENDA_FREE)
        return AGENDA_PRUNE;
    if ((a->owed & AGENDA_OWES_LOOK) && a->bucket == AGENDA_KNOWN)
        return AGENDA_LOOK;
    if (backup == 0 && a->spec.is_shared && a->turn == AGENDA_NO_TURN)
        return AGENDA_TURN;
    if (backup == 0)
        return has_looked ? AGENDA_BACKUP : AGENDA_LOOK;
    if (look == 0)
        return AGENDA_LOOK;
    *wait_ms = least(look, backup);
    if (busy != AGENDA_FREE)
        return AGENDA_WAIT; /* a round is brought back by the end of what runs */
    if (a->is_in_round)
        return AGENDA_VERIFY;
    if (until_round(a, now) == 0 && !has_looked)
        return AGENDA_LOOK;
    *wait_ms = least(*wait_ms, until_round(a, now));
    return AGENDA_WAIT;
}

/* ---- looks ---- */

void agenda_look_began(struct agenda *a)
{
    a->owed &= ~(unsigned)AGENDA_OWES_LOOK;
    a->look = AGENDA_LOOKING;
}

bool agenda_look_is_outdated(const struct agenda *a)
{
    return a->look == AGENDA_LOOKING_AT_THE_PAST;
}

static void begin_schedule(struct agenda *a, int64_t newest, const struct schedule_clock *now)
{
    if (!a->spec.has_schedule)
        return;
    schedule_start(&a->schedule, &a->spec.schedule, newest, now);
    a->is_scheduled = true;
}

static void begin_rounds(struct agenda *a, const struct schedule_clock *now)
{
    if (!a->spec.verifies)
        return;
    schedule_start(&a->verify, &a->spec.verify, a->spec.verified, now);
    a->verify_is_scheduled = true;
}

void agenda_looked(struct agenda *a, int64_t newest, const struct schedule_clock *now)
{
    if (a->bucket != AGENDA_KNOWN) {
        begin_schedule(a, newest, now);
        begin_rounds(a, now);
    }
    a->bucket = AGENDA_KNOWN;
    a->look = AGENDA_LOOKED;
}

void agenda_look_failed(struct agenda *a, const struct schedule_clock *now)
{
    a->look = AGENDA_LOOKED; /* what is wrong, the backup will tell */
    if (agenda_wants_round(a, now)) {
        agenda_round_began(a, now);
        agenda_round_ended(a, false, now);
    }
    if (a->bucket == AGENDA_KNOWN)
        return;
    a->bucket = AGENDA_UNKNOWN;
    if (++a->looks_failed >= AGENDA_PATIENCE && !a->is_scheduled)
        begin_schedule(a, 0, now);
    a->look_boot_ms = a->is_scheduled ? UINT64_MAX : now->boot_ms + a->look_wait_ms; /* what is due brings its own */
    a->look_wait_ms = 2 * a->look_wait_ms < LOOK_MAX_MS ? 2 * a->look_wait_ms : LOOK_MAX_MS;
}

void agenda_owe_look(struct agenda *a)
{
    a->owed |= AGENDA_OWES_LOOK;
    if (a->look == AGENDA_LOOKING)
        a->look = AGENDA_LOOKING_AT_THE_PAST; /* then there is another behind it */
}

/* ---- a schedule that is shared ---- */

void agenda_turn_began(struct agenda *a)
{
    a->turn = AGENDA_TAKING_TURN;
}

void agenda_turn_ended(struct agenda *a, bool is_ours, const struct schedule_clock *now)
{
    a->turn = is_ours ? AGENDA_HAS_TURN : AGENDA_NO_TURN;
    if (!is_ours)
        a->turn_boot_ms =
                now->boot_ms + a->spec.turn_wait_ms / 2 + a->spec.schedule.random() % (a->spec.turn_wait_ms + 1);
}

void agenda_turn_given_back(struct agenda *a)
{
    a->turn = AGENDA_NO_TURN;
}

bool agenda_seen(struct agenda *a, int64_t instant, const struct schedule_clock *now)
{
    if (!a->is_scheduled)
        return false;
    if (instant && schedule_seen(&a->schedule, instant, now))
        a->failures = 0;
    return schedule_wait(&a->schedule, now) == 0;
}

/* ---- backups and prunes ---- */

void agenda_backup_began(struct agenda *a, const struct schedule_clock *now)
{
    if (a->is_scheduled)
        schedule_began(&a->schedule, now);
}

static void take_success(struct agenda *a, bool was_due, const struct schedule_clock *now)
{
    a->failures = 0;
    if (a->spec.prunes)
        a->owed |= AGENDA_OWES_PRUNE;
    if (a->look == AGENDA_LOOKING)
        a->look = AGENDA_LOOKING_AT_THE_PAST;
    if (!was_due)
        a->owed |= AGENDA_OWES_LOOK;
    if (a->bucket == AGENDA_UNKNOWN) { /* the store is there again */
        a->look_boot_ms = now->boot_ms;
        a->look_wait_ms = LOOK_FIRST_MS;
    }
    if (a->is_scheduled)
        schedule_succeeded(&a->schedule, now);
}

void agenda_backup_ended(struct agenda *a, enum agenda_outcome outcome, bool was_due, const struct schedule_clock *now)
{
    if (outcome == AGENDA_MADE) {
        take_success(a, was_due, now);
        return;
    }
    if (!was_due)
        return;
    a->failures += outcome == AGENDA_FAILED;
    if (a->is_scheduled)
        schedule_failed(&a->schedule, now);
}

void agenda_prune_began(struct agenda *a)
{
    a->owed &= ~(unsigned)AGENDA_OWES_PRUNE;
}

int64_t agenda_next_backup(const struct agenda *a, const struct schedule_clock *now)
{
    return a->is_scheduled ? schedule_next(&a->schedule, now) : 0;
}

/* ---- rounds of verifications ---- */

bool agenda_wants_round(const struct agenda *a, const struct schedule_clock *now)
{
    return !a->is_in_round && until_round(a, now) == 0 && until_backup(a, now) > 0 && !(a->owed & AGENDA_OWES_PRUNE);
}

bool agenda_round_is_retry(const struct agenda *a, const struct schedule_clock *now)
{
    return schedule_is_retry(&a->verify, now);
}

void agenda_round_began(struct agenda *a, const struct schedule_clock *now)
{
    schedule_began(&a->verify, now);
    a->is_in_round = true;
}

void agenda_round_ended(struct agenda *a, bool is_done, const struct schedule_clock *now)
{
    a->is_in_round = false;
    if (is_done)
        schedule_succeeded(&a->verify, now);
    else
        schedule_failed(&a->verify, now);
}

int64_t agenda_next_round(const struct agenda *a, const struct schedule_clock *now)
{
    return a->verify_is_scheduled ? schedule_next(&a->verify, now) : 0;
}
