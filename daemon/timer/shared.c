#include "timer/shared.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "core/alarm.h"
#include "core/log.h"
#include "timer/turn.h"

struct shared {
    struct shared_spec spec;
    struct turn *turn;         /* is asked for, held or given back; the core is acquired */
    struct turn_memory others; /* who share the schedule */
    bool has_told;             /* that one of them is at what is due */
    bool has_lost;             /* the turn */
    int64_t own;               /* instant of the newest backup that was made here; 0: none was */
    int64_t listed;            /* newest that was only listed, and serves what is due if it counts; 0: none */
    int64_t distrusted;        /* one that did not */
    bool is_stopped;
};

static struct schedule_clock now(void)
{
    return (struct schedule_clock){.wall = timestamp_now(), .boot_ms = alarm_boot_ms()};
}

/* ---- giving it back ---- */

/* Nothing of ours is left of it. */
static void drop(struct shared *s)
{
    turn_free(TAKE_PTR(s->turn));
    s->has_lost = false;
    core_release(s->spec.core); /* may bring another configuration */
}

static void on_given_back(void *ctx)
{
    struct shared *s = ctx;

    if (!s->is_stopped) {
        agenda_turn_given_back(s->spec.agenda);
        s->spec.wake(s->spec.ctx);
    }
    drop(s);
    if (s->is_stopped && s->spec.left)
        s->spec.left(s->spec.ctx);
}

bool shared_gives_back(struct shared *s, enum agenda_step step, bool is_at_work)
{
    if (s->spec.agenda->turn != AGENDA_HAS_TURN || is_at_work ||
            (!s->has_lost && (step == AGENDA_LOOK || step == AGENDA_BACKUP)))
        return false;
    if (s->turn) {
        agenda_turn_began(s->spec.agenda); /* and nothing else does, until it has been */
        turn_give_back(s->turn, on_given_back);
    } else { /* we went on without */
        agenda_turn_given_back(s->spec.agenda);
        s->spec.wake(s->spec.ctx);
    }
    return true;
}

/* Another will make it: one of ours that came later would be the second of this interval. */
static void on_lost(void *ctx)
{
    struct shared *s = ctx;

    log_warning("the bucket does not take the claim of this backup any more: it is another daemon's turn");
    s->has_lost = true;
    s->spec.lost(s->spec.ctx);
    s->spec.wake(s->spec.ctx);
}

bool shared_has_lost(const struct shared *s)
{
    return s->has_lost;
}

/* ---- the others' backups ---- */

/* As a bare listing has it. What it is worth the look says that follows, and then it counts, or never again. */
static bool is_still_due(void *ctx, int64_t newest)
{
    struct shared *s = ctx;
    struct agenda probe = *s->spec.agenda;
    struct schedule_clock at = now();

    if (newest == s->own || newest == s->distrusted || agenda_seen(&probe, newest, &at))
        return true;
    s->listed = newest;
    return false;
}

/* Does what the listing had count? Anybody who can write to the bucket can put what looks like a backup. */
static void judge_listed(struct shared *s, int64_t newest)
{
    if (s->listed > newest)
        s->distrusted = s->listed;
    s->listed = 0;
}

void shared_looked(struct shared *s, int64_t newest)
{
    struct schedule_clock at = now();

    if (!s->spec.agenda->spec.is_shared)
        return;
    judge_listed(s, newest);
    if (!agenda_seen(s->spec.agenda, newest != s->own ? newest : 0, &at))
        s->others.waits_since_boot_ms = 0;
}

void shared_made(struct shared *s, int64_t instant)
{
    s->own = instant;
    s->others.waits_since_boot_ms = 0;
}

/* ---- asking for it ---- */

static void tell(struct shared *s, enum turn_outcome outcome, const struct err *err)
{
    char text[TIMESTAMP_TEXT_MAX];

    if (outcome == TURN_UNKNOWN)
        log_warning("whose turn it is cannot be found out: %s; a backup is made all the same", err->text);
    else if (outcome == TURN_NOT_DUE)
        log_info("another daemon has made the backup that is due: %s", timestamp_format(s->listed, text));
    else if (outcome == TURN_ANOTHERS && !s->has_told)
        log_info("another daemon is at the backup that is due");
    s->has_told = outcome == TURN_ANOTHERS;
}

static void on_end(void *ctx, enum turn_outcome outcome, const struct err *err)
{
    struct shared *s = ctx;
    struct schedule_clock at = now();

    tell(s, outcome, err);
    agenda_turn_ended(s->spec.agenda, outcome == TURN_OURS || outcome == TURN_UNKNOWN, &at);
    if (outcome == TURN_NOT_DUE)
        agenda_owe_look(s->spec.agenda); /* which says whether it counts */
    s->spec.wake(s->spec.ctx);
    if (outcome != TURN_OURS)
        drop(s);
}

void shared_take(struct shared *s)
{
    struct turn_spec spec = {
            .memory = &s->others,
            .takeover_ms = core_conf(s->spec.core)->schedule.takeover_ms,
            .ctx = s,
            .is_due = is_still_due,
            .on_end = on_end,
            .on_lost = on_lost,
    };
    struct err e = ERR_INIT;

    agenda_turn_began(s->spec.agenda);
    core_acquire(s->spec.core);
    s->turn = turn_take(s->spec.core, &spec, &e);
    if (!s->turn)
        on_end(s, TURN_UNKNOWN, &e);
}

/* ---- beginning and end ---- */

struct shared *shared_new(const struct shared_spec *spec, struct err *e)
{
    struct shared *s = calloc(1, sizeof(*s));

    if (!s) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    s->spec = *spec;
    return s;
}

void shared_reload(struct shared *s)
{
    s->others = (struct turn_memory){0};
    s->listed = s->distrusted = 0;
}

void shared_stop(struct shared *s)
{
    s->is_stopped = true;
    if (s->turn) /* so that nobody waits for us; on its way already, it is only once */
        turn_give_back(s->turn, on_given_back);
}

bool shared_is_leaving(const struct shared *s)
{
    return s->is_stopped && s->turn;
}

void shared_close(struct shared *s)
{
    if (s->turn)
        drop(s);
}

void shared_free(struct shared *s)
{
    free(s);
}
