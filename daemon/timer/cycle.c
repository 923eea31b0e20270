#include "timer/cycle.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/timestamp.h"
#include "core/alarm.h"
#include "core/log.h"
#include "job/bucket/listing.h"
#include "job/keys/key_check.h"
#include "job/keys/keyring.h"
#include "timer/agenda.h"
#include "timer/shared.h"

enum {
    SCHEDULE_TEXT_MAX = 256,
    TURN_ASKS = 18, /* in the time after which somebody is taken for dead */
};

/* What is forgotten when another configuration is taken into use. */
struct cycle_facts {
    struct cycle_state state;
    char rotated_away[KEY_FINGERPRINT_MAX]; /* a master key that no backup may use any more; "" */
    char text[SCHEDULE_TEXT_MAX];
};

struct cycle {
    struct core *core;
    struct jobs *jobs;
    struct alarm *alarm;
    struct listing *lookup;    /* under way; the core is acquired */
    struct key_check *check;   /* likewise, after the lookup */
    struct catalog_list *list; /* what it has found, meanwhile */
    struct agenda agenda;
    struct verification *verification;
    struct shared *shared;
    struct cycle_facts facts;
    bool is_ours;    /* the running backup */
    bool is_stopped; /* by its owner: the observers stay with the jobs */
    void *left_ctx;
    void (*on_left)(void *ctx); /* or NULL */
};

static struct schedule_clock now(void)
{
    return (struct schedule_clock){.wall = timestamp_now(), .boot_ms = alarm_boot_ms()};
}

/* ---- starting what is due ---- */

static bool key_is_rotated_away(const struct cycle *c, struct err *why)
{
    char fingerprint[KEY_FINGERPRINT_MAX];
    struct err ignored;

    if (!c->facts.rotated_away[0] || keyring_current_fingerprint(core_conf(c->core), fingerprint, &ignored) < 0 ||
            strcmp(c->facts.rotated_away, fingerprint) != 0)
        return false;
    key_check_set_rotated_away(why, fingerprint, NULL);
    return true;
}

static void start_backup(struct cycle *c)
{
    struct backup_request request = {.key_is_checked = true}; /* by the look that brought us here */
    struct schedule_clock at = now();
    struct err e = ERR_INIT;

    c->is_ours = true;
    agenda_backup_began(&c->agenda, &at);
    if (key_is_rotated_away(c, &e)) {
        jobs_refuse_backup(c->jobs, &e);
        return;
    }
    if (jobs_start_backup(c->jobs, &request, NULL, &e) == 0)
        return;
    c->is_ours = false;
    log_error("backup failed: %s", e.text);
    agenda_backup_ended(&c->agenda, AGENDA_FAILED, true, &at);
    alarm_set(c->alarm, 0);
}

static void start_prune(struct cycle *c)
{
    struct prune_request request = {.policy = prune_policy(core_conf(c->core))};
    struct err e = ERR_INIT;

    agenda_prune_began(&c->agenda);
    if (jobs_start_prune(c->jobs, &request, NULL, &e) == 0)
        return;
    log_error("prune failed: %s", e.text);
    alarm_set(c->alarm, 0);
}

static bool is_looking(const struct cycle *c)
{
    return c->lookup || c->check;
}

static enum agenda_busy busy_of(const struct cycle *c)
{
    const struct jobs_state *jobs = jobs_state(c->jobs);

    if (jobs->changing.name)
        return AGENDA_TAKEN;
    if (jobs->reading.name) /* a new configuration that waits for its end keeps no backup away either */
        return AGENDA_READING;
    /* Else it waits for us to leave the clients alone: cycle_reload goes on. */
    return core_is_waiting(c->core) ? AGENDA_TAKEN : AGENDA_FREE;
}

static void look_up(struct cycle *c);

/* The next step of a round, or its end. */
static void verify_next(struct cycle *c)
{
    enum verification_step step = verification_next(c->verification);
    struct schedule_clock at = now();

    if (step == VERIFICATION_DONE || step == VERIFICATION_PAUSED)
        agenda_round_ended(&c->agenda, step == VERIFICATION_DONE, &at);
    alarm_set(c->alarm, 0); /* also beside the job that runs: a backup may be due before its end */
}

/* Whatever is next. */
static void advance(struct cycle *c)
{
    struct schedule_clock at = now();
    enum agenda_step step;
    uint64_t wait;

    if (c->is_stopped)
        return;
    step = agenda_next(&c->agenda, busy_of(c), &at, &wait);
    if (shared_gives_back(c->shared, step, c->is_ours || is_looking(c)))
        return;
    switch (step) {
    case AGENDA_TURN:
        shared_take(c->shared);
        break;
    case AGENDA_LOOK:
        look_up(c);
        break;
    case AGENDA_BACKUP:
        start_backup(c);
        break;
    case AGENDA_PRUNE:
        start_prune(c);
        break;
    case AGENDA_VERIFY:
        verify_next(c);
        break;
    case AGENDA_WAIT:
        if (wait != UINT64_MAX)
            alarm_set(c->alarm, wait);
        break;
    }
}

static void on_alarm(void *ctx)
{
    advance(ctx);
}

/* ---- looking the bucket up ---- */

/* What is newer than all that counts, and known to be bad: whoever believes in the newest one believes in that. */
static void look_for_bad_newest(struct cycle *c, const struct catalog_list *list, int64_t newest)
{
    c->facts.state.bad_newest = ERR_INIT;
    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (b->doubt == CATALOG_BAD && b->instant > newest) {
            err_set(&c->facts.state.bad_newest, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                    "the newest backup, %s, was read and is bad", b->name);
            return;
        }
    }
}

/* Counts the backups that do; returns the instant of the newest, or 0. What lies in the future is none of them: it
 * would silence every alarm until then. */
static int64_t count_backups(struct cycle *c, const struct catalog_list *list)
{
    const struct catalog_backup *newest = catalog_list_newest(list);
    bool has_told = false;

    c->facts.state.backups = c->facts.state.bytes = 0;
    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (b->doubt == CATALOG_FUTURE && !has_told)
            log_warning("%s does not count as the newest backup: its time has not come yet; the clock is wrong, or was",
                    b->name);
        has_told = has_told || b->doubt == CATALOG_FUTURE;
        c->facts.state.backups += catalog_backup_counts(b);
        c->facts.state.bytes += catalog_backup_counts(b) ? b->size : 0;
    }
    return newest ? newest->instant : 0;
}

static void count(struct cycle *c, const struct catalog_list *list)
{
    int64_t newest = count_backups(c, list);

    if (!agenda_look_is_outdated(&c->agenda))
        look_for_bad_newest(c, list, newest);
    c->facts.state.is_known = true;
    c->facts.state.lookup = ERR_INIT;
    if (!agenda_look_is_outdated(&c->agenda) || newest > c->facts.state.newest)
        c->facts.state.newest = newest;
}

/* Whether it worked or not: what is next may begin. */
static void end_lookup(struct cycle *c)
{
    advance(c);
    core_release(c->core); /* may bring another configuration, for which this says nothing */
}

static void begin_round(struct cycle *c, const struct schedule_clock *at)
{
    bool is_retry = agenda_round_is_retry(&c->agenda, at);

    agenda_round_began(&c->agenda, at);
    if (!verification_begin(c->verification, c->list, is_retry))
        agenda_round_ended(&c->agenda, false, at);
}

static void end_good_lookup(struct cycle *c)
{
    struct schedule_clock at = now();

    count(c, c->list);
    agenda_looked(&c->agenda, c->facts.state.newest, &at);
    shared_looked(c->shared, c->facts.state.newest);
    if (agenda_wants_round(&c->agenda, &at))
        begin_round(c, &at);
    catalog_list_free(TAKE_PTR(c->list));
    end_lookup(c);
}

/* Of a bucket that was seen once, the backup will say more. */
static void tell_failed_lookup(struct cycle *c, bool was_scheduled, const struct err *err)
{
    const struct agenda *a = &c->agenda;
    char wait[DURATION_TEXT_MAX];

    if (a->bucket == AGENDA_KNOWN)
        log_debug("the bucket could not be looked at: %s", err->text);
    else if (!a->spec.has_schedule && !a->spec.wants_bucket) /* whoever asks for something will be told */
        log_debug("the newest backup is not known: %s", err->text);
    else if (a->is_scheduled)
        log_write(was_scheduled ? LOG_DEBUG : LOG_WARNING,
                "the newest backup is not known: %s; a backup is made all the same", err->text);
    else
        log_warning("the newest backup is not known yet: %s; tried again in %s", err->text,
                duration_format(a->look_boot_ms - alarm_boot_ms(), wait));
}

static void note_failed_lookup(struct cycle *c, const struct err *err)
{
    bool was_scheduled = c->agenda.is_scheduled;
    struct schedule_clock at = now();

    agenda_look_failed(&c->agenda, &at);
    tell_failed_lookup(c, was_scheduled, err);
    if (!c->facts.state.is_known)
        c->facts.state.lookup = *err;
}

static void forget_key(struct cycle *c)
{
    c->facts.state.key_trouble = ERR_INIT;
    c->facts.state.needs_previous = false;
    c->facts.rotated_away[0] = '\0';
}

static void tell_unchecked(const struct cycle *c, const struct err *err)
{
    log_write(c->agenda.spec.has_schedule || c->agenda.spec.wants_bucket ? LOG_WARNING : LOG_DEBUG,
            "whether the master key is still that of the backups could not be found out: %s", err->text);
}

/* The next backup fails for it, and that says enough; unless there are backups that need the very key which everybody
 * else believes to be of no use any more. */
static void tell_rotated_away(const struct key_check_result *result)
{
    if (result->current)
        log_error("%u of %u backups looked at were made with a master key that was rotated away; %s", result->current,
                result->looked_at, result->trouble.text);
}

static void on_checked(void *ctx, const struct key_check_result *result, const struct err *err)
{
    struct cycle *c = ctx;

    if (err) {
        tell_unchecked(c, err);
    } else if (!agenda_look_is_outdated(&c->agenda)) {
        c->facts.state.key_is_checked = true;
        c->facts.state.key_trouble = result->is_rotated_away ? ERR_INIT : result->trouble;
        c->facts.state.needs_previous = result->needs_previous;
        (void)snprintf(c->facts.rotated_away, sizeof(c->facts.rotated_away), "%s", result->rotated_away);
        key_check_doubt(result, c->list);
        if (result->unreadable)
            log_warning("a key cannot be read, and its backup does not count: %s", result->why_unreadable.text);
        if (result->is_rotated_away)
            tell_rotated_away(result);
        else if (result->trouble.kind != ERR_NONE)
            log_error("%s", result->trouble.text);
        else if (result->needs_previous)
            log_warning("there are backups that only a key of previous_key_paths opens: rotate-key is not done");
    }
    key_check_free(TAKE_PTR(c->check));
    end_good_lookup(c);
}

static void check_key(struct cycle *c)
{
    struct key_check_spec spec = {.list = c->list, .ctx = c, .on_done = on_checked};
    struct err e = ERR_INIT;

    c->check = key_check_start(c->core, &spec, &e);
    if (c->check)
        return;
    if (e.kind != ERR_NONE)
        tell_unchecked(c, &e);
    else if (!agenda_look_is_outdated(&c->agenda))
        forget_key(c); /* no encrypted backup needs it */
    end_good_lookup(c);
}

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    struct cycle *c = ctx;
    struct err e = err ? *err : ERR_INIT;

    listing_free(TAKE_PTR(c->lookup));
    c->list = listed;
    if (!err) {
        check_key(c);
    } else {
        note_failed_lookup(c, &e);
        end_lookup(c);
    }
}

static void look_up(struct cycle *c)
{
    struct listing_spec spec = {.ctx = c, .on_done = on_listed};
    struct err e = ERR_INIT;

    agenda_look_began(&c->agenda);
    core_acquire(c->core);
    c->lookup = listing_start(c->core, &spec, &e);
    if (c->lookup)
        return;
    note_failed_lookup(c, &e);
    alarm_set(c->alarm, 0);
    core_release(c->core); /* may bring another configuration, with which all begins anew */
}

/* ---- what happens to jobs ---- */

static void on_backup_ended(struct cycle *c, const struct backup_result *result, const struct err *err)
{
    const bool is_given_up = err && err->kind == ERR_CANCELLED && !(c->is_ours && shared_has_lost(c->shared));
    enum agenda_outcome outcome = !err ? AGENDA_MADE : is_given_up ? AGENDA_CANCELLED : AGENDA_FAILED;
    struct schedule_clock at = now();

    if (!err) {
        shared_made(c->shared, result->instant);
        c->facts.state.newest = result->instant;
        c->facts.state.bad_newest = ERR_INIT;
        c->facts.state.backups++;
        c->facts.state.bytes += result->stored_size;
    } else if (!c->is_ours && key_check_is_rotated_away(err)) {
        agenda_owe_look(&c->agenda); /* so that `status` and the metrics know it, too */
    }
    agenda_backup_ended(&c->agenda, outcome, c->is_ours, &at);
    c->is_ours = false;
}

/* Whether it ended well or not: what the previous key wraps from now on would have to be rotated again. What the bucket
 * holds now the next look will show. A master key that goes on vouching is not rotated away. */
static void on_rotated(struct cycle *c, const struct rotate_result *r)
{
    if (r->dry_run || (r->rotated == 0 && r->already == 0))
        return;
    forget_key(c);
    agenda_owe_look(&c->agenda);
    if (r->failed == 0 && r->previous[0] && strcmp(r->next, r->previous) != 0 &&
            strcmp(r->configured, r->previous) == 0)
        (void)snprintf(c->facts.rotated_away, sizeof(c->facts.rotated_away), "%s", r->previous);
}

/* What was found bad does not count any more, and what was found good does. Of ours, which all counted before, the
 * former alone is news. */
static void on_verified(struct cycle *c, const struct job_result *result, const struct err *err)
{
    bool is_ours = verification_is_ours(c->verification), is_bad = verification_took(c->verification, result, err);

    if (is_bad || !is_ours)
        agenda_owe_look(&c->agenda);
}

/* What makes it go may have been done to the bucket, or to the key's file, of which nothing tells us. */
static void look_again_in_trouble(struct cycle *c)
{
    const struct cycle_state *known = &c->facts.state;

    if (known->key_trouble.kind != ERR_NONE || known->needs_previous || c->facts.rotated_away[0])
        agenda_owe_look(&c->agenda);
}

static void on_ended(void *ctx, const char *job, const struct job_result *result, const struct err *err)
{
    struct cycle *c = ctx;

    if (c->is_stopped)
        return;
    if (strcmp(job, "backup") == 0)
        on_backup_ended(c, result ? result->backup : NULL, err);
    else if (result && result->prune && (!err || result->prune->has_begun) && !result->prune->dry_run) {
        c->facts.state.backups = result->prune->remaining;
        c->facts.state.bytes = result->prune->remaining_bytes;
    } else if (result && result->rotate) {
        on_rotated(c, result->rotate);
    } else if (strcmp(job, "verify") == 0) {
        on_verified(c, result, err);
    }
    if (strcmp(job, "backup") != 0) /* which has looks of its own */
        look_again_in_trouble(c);
}

static void on_idle(void *ctx)
{
    advance(ctx);
}

/* ---- beginning and end ---- */

static void describe(struct cycle *c)
{
    const struct conf_schedule *conf = &core_conf(c->core)->schedule;
    const char *shared = conf->is_shared ? ", shared" : "";
    char interval[DURATION_TEXT_MAX], *text = c->facts.text;

    if (conf->cron)
        (void)snprintf(text, SCHEDULE_TEXT_MAX, "cron %.200s%s", conf->cron, shared);
    else if (conf->interval_ms)
        (void)snprintf(text, SCHEDULE_TEXT_MAX, "every %s%s", duration_format(conf->interval_ms, interval), shared);
}

void cycle_reload(struct cycle *c)
{
    const struct conf *conf = core_conf(c->core);
    struct agenda_spec spec = {
            .has_schedule = conf->schedule.interval_ms || conf->schedule.cron,
            .schedule =
                    {
                            .interval_ms = conf->schedule.interval_ms,
                            .has_cron = conf->schedule.cron != NULL,
                            .jitter_ms = conf->schedule.jitter_ms,
                            .retry_initial_ms = conf->schedule.retry_initial_ms,
                            .retry_max_ms = conf->schedule.retry_max_ms,
                            .random = randombytes_random,
                    },
            .wants_bucket = conf->metrics.listen != NULL,
            .prunes = conf->prune.max_age_ms > 0,
            .is_shared = conf->schedule.is_shared,
            .turn_wait_ms = conf->schedule.takeover_ms / TURN_ASKS,
    };
    struct err ignored = ERR_INIT; /* conf_load has parsed it */

    verification_reload(c->verification);
    spec.verifies = verification_spec(c->verification, &spec.verify, &spec.verified);
    spec.wants_bucket = spec.wants_bucket || spec.verifies;
    if (conf->schedule.cron && cron_parse(conf->schedule.cron, &spec.schedule.cron, &ignored) < 0)
        spec.has_schedule = false;
    agenda_start(&c->agenda, &spec);
    c->facts = (struct cycle_facts){0};
    shared_reload(c->shared);
    describe(c);
    alarm_set(c->alarm, 0);
}

static void wake(void *ctx)
{
    struct cycle *c = ctx;

    alarm_set(c->alarm, 0);
}

static void on_turn_lost(void *ctx)
{
    struct cycle *c = ctx;

    if (c->is_ours)
        jobs_give_up_backup(c->jobs);
}

static void tell_left(void *ctx)
{
    struct cycle *c = ctx;

    if (c->on_left)
        c->on_left(c->left_ctx);
}

struct cycle *cycle_new(struct core *core, struct jobs *jobs, struct err *e)
{
    struct cycle *c = calloc(1, sizeof(*c));
    const struct shared_spec shared = {.core = core,
            .agenda = c ? &c->agenda : NULL,
            .ctx = c,
            .wake = wake,
            .lost = on_turn_lost,
            .left = tell_left};

    if (!c) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    c->verification = verification_new(core, jobs, e);
    c->shared = c->verification ? shared_new(&shared, e) : NULL;
    c->alarm = c->shared ? alarm_new(core_loop(core), c, on_alarm, e) : NULL;
    if (!c->alarm) {
        shared_free(c->shared);
        verification_free(c->verification);
        free(c);
        return NULL;
    }
    c->core = core;
    c->jobs = jobs;
    jobs_observe(jobs, &(struct jobs_observer){.ctx = c, .ended = on_ended, .idle = on_idle});
    cycle_reload(c);
    return c;
}

void cycle_watch_verification(struct cycle *c, const struct verification_watcher *watcher)
{
    verification_watch(c->verification, watcher);
}

void cycle_was_listed(struct cycle *c)
{
    if (c->is_stopped)
        return;
    look_again_in_trouble(c);
    alarm_set(c->alarm, 0);
}

bool cycle_refuses_backup(struct cycle *c, struct err *why)
{
    if (!key_is_rotated_away(c, why))
        return false;
    agenda_owe_look(&c->agenda);
    alarm_set(c->alarm, 0);
    return true;
}

void cycle_get_state(const struct cycle *c, struct cycle_state *out)
{
    struct schedule_clock at = now();
    struct err e = ERR_INIT;

    *out = c->facts.state;
    if (key_is_rotated_away(c, &e))
        out->key_trouble = e;
    out->schedule = c->facts.text;
    out->failures = c->agenda.failures;
    out->next = agenda_next_backup(&c->agenda, &at);
    verification_get_state(c->verification, &out->verify);
    out->next_verify = agenda_next_round(&c->agenda, &at);
}

void cycle_stop(struct cycle *c, void *ctx, void (*on_left)(void *ctx))
{
    if (!c || c->is_stopped)
        return;
    c->is_stopped = true;
    c->left_ctx = ctx;
    c->on_left = on_left;
    if (is_looking(c)) {
        listing_free(TAKE_PTR(c->lookup));
        key_check_free(TAKE_PTR(c->check));
        catalog_list_free(TAKE_PTR(c->list));
        core_release(c->core);
    }
    alarm_free(TAKE_PTR(c->alarm));
    shared_stop(c->shared);
}

bool cycle_is_leaving(const struct cycle *c)
{
    return c && shared_is_leaving(c->shared);
}

void cycle_close(struct cycle *c)
{
    if (c)
        shared_close(c->shared);
}

void cycle_free(struct cycle *c)
{
    if (!c)
        return;
    cycle_stop(c, NULL, NULL);
    shared_free(c->shared);
    verification_free(c->verification);
    free(c);
}
