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
#include "timer/schedule.h"

enum {
    LOOKUP_FIRST_MS = 5000, /* after a lookup that failed; doubled up to: */
    LOOKUP_MAX_MS = 300000,
    LOOKUPS_PATIENT = 3, /* failures in a row before one is told as a failed backup: a network may be slow to come up */
    SCHEDULE_TEXT_MAX = 256,
};

struct cycle {
    struct core *core;
    struct jobs *jobs;
    struct alarm *alarm;
    struct listing *lookup;                 /* under way; the core is acquired */
    struct key_check *check;                /* likewise, after the lookup */
    bool is_outdated;                       /* the look under way: a backup or a rotation has ended since it began */
    bool is_looked_at;                      /* just now, for what advance() starts next */
    char rotated_away[KEY_FINGERPRINT_MAX]; /* a master key that no backup may use any more; "" */
    uint64_t lookup_wait_ms;
    unsigned lookups_failed; /* in a row, since the bucket is to be known */
    struct cycle_state state;
    char text[SCHEDULE_TEXT_MAX];
    bool has_tried;    /* to look the bucket up */
    bool needs_lookup; /* for the schedule, or for the metrics */
    bool has_schedule; /* in the configuration */
    bool is_scheduled; /* and it has begun */
    struct schedule schedule;
    bool is_ours; /* the running backup */
    bool wants_prune;
    bool wants_look; /* at the bucket, since something has changed there */
    bool is_stopped; /* by its owner: the observers stay with the jobs */
};

static struct schedule_clock now(void)
{
    return (struct schedule_clock){.wall = timestamp_now(), .boot_ms = alarm_boot_ms()};
}

/* ---- starting what is due ---- */

static void set_alarm(struct cycle *c)
{
    struct schedule_clock at = now();

    if (c->is_scheduled && !jobs_state(c->jobs)->running)
        alarm_set(c->alarm, schedule_wait(&c->schedule, &at));
}

static bool key_is_rotated_away(const struct cycle *c, struct err *why)
{
    char fingerprint[KEY_FINGERPRINT_MAX];
    struct err ignored;

    if (!c->rotated_away[0] || keyring_current_fingerprint(core_conf(c->core), fingerprint, &ignored) < 0 ||
            strcmp(c->rotated_away, fingerprint) != 0)
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
    schedule_began(&c->schedule, &at);
    if (key_is_rotated_away(c, &e)) {
        jobs_refuse_backup(c->jobs, &e);
        return;
    }
    if (jobs_start_backup(c->jobs, &request, NULL, &e) == 0)
        return;
    c->is_ours = false;
    log_error("backup failed: %s", e.text);
    schedule_failed(&c->schedule, &at);
    set_alarm(c);
}

static void start_prune(struct cycle *c)
{
    struct prune_request request = {.policy = prune_policy(core_conf(c->core))};
    struct err e = ERR_INIT;

    c->wants_prune = false;
    if (jobs_start_prune(c->jobs, &request, NULL, &e) == 0)
        return;
    log_error("prune failed: %s", e.text);
    set_alarm(c);
}

static bool is_looking(const struct cycle *c)
{
    return c->lookup || c->check;
}

static void look_up(struct cycle *c);

/* Whatever is next, if nothing runs. A look at the bucket serves what is due right behind it and nothing later: by then
 * somebody may have swapped the key. */
static void advance(struct cycle *c)
{
    struct schedule_clock at = now();
    bool is_looked_at = c->is_looked_at;

    c->is_looked_at = false;
    if (c->is_stopped || is_looking(c) || jobs_state(c->jobs)->running)
        return; /* its end brings us back */
    if (core_is_waiting(c->core))
        return; /* for us to leave the clients alone; cycle_reload goes on */
    if (c->wants_prune)
        start_prune(c);
    else if (c->wants_look)
        look_up(c);
    else if (c->is_scheduled && schedule_wait(&c->schedule, &at) == 0) {
        if (is_looked_at)
            start_backup(c);
        else
            look_up(c);
    } else
        set_alarm(c);
}

/* ---- looking the bucket up ---- */

static void begin_schedule(struct cycle *c)
{
    const struct conf_schedule *conf = &core_conf(c->core)->schedule;
    struct schedule_spec spec = {
            .interval_ms = conf->interval_ms,
            .has_cron = conf->cron != NULL,
            .jitter_ms = conf->jitter_ms,
            .retry_initial_ms = conf->retry_initial_ms,
            .retry_max_ms = conf->retry_max_ms,
            .random = randombytes_random,
    };
    struct schedule_clock at = now();
    struct err ignored; /* conf_load has parsed it */

    if (!c->has_schedule || (conf->cron && cron_parse(conf->cron, &spec.cron, &ignored) < 0))
        return;
    schedule_start(&c->schedule, &spec, c->state.newest, &at);
    c->is_scheduled = true;
}

/* Counts the complete backups; returns the instant of the newest, or 0. What lies in the future, for which prune
 * refuses, is not the newest: it would silence every alarm until then. */
static int64_t count_backups(struct cycle *c, const struct catalog_list *list)
{
    int64_t latest = timestamp_now() + PRUNE_SKEW_MAX, newest = 0;

    c->state.backups = c->state.bytes = 0;
    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (!catalog_backup_counts(b))
            continue;
        if (c->state.backups++ == 0 && b->instant > latest)
            log_warning("%s does not count as the newest backup: its time has not come yet; the clock is wrong, or was",
                    b->name);
        if (newest == 0 && b->instant <= latest) /* the newest comes first */
            newest = b->instant;
        c->state.bytes += b->size;
    }
    return newest;
}

static void count(struct cycle *c, const struct catalog_list *list)
{
    int64_t newest = count_backups(c, list);

    if (c->lookups_failed >= LOOKUPS_PATIENT)
        c->state.failures = 0;
    c->lookups_failed = 0;
    c->state.is_known = true;
    if (!c->is_outdated || newest > c->state.newest)
        c->state.newest = newest;
}

/* A bucket that cannot be looked at is one that gets no backups, and everybody who waits for those must hear of it. */
static bool tell_as_failure(struct cycle *c, const struct err *err)
{
    struct err e = *err;

    if (!c->has_schedule || ++c->lookups_failed < LOOKUPS_PATIENT || jobs_state(c->jobs)->running)
        return false;
    err_prepend(&e, "none can begin before the bucket has been looked at: ");
    c->is_ours = true;
    jobs_refuse_backup(c->jobs, &e);
    return true;
}

static void look_up_later(struct cycle *c, const struct err *err)
{
    char wait[DURATION_TEXT_MAX];

    c->state.lookup = *err;
    if (!c->needs_lookup) { /* whoever asks for something will be told */
        log_debug("the newest backup is not known: %s", err->text);
        return;
    }
    (void)duration_format(c->lookup_wait_ms, wait);
    if (tell_as_failure(c, err))
        log_info("the bucket is looked at again in %s", wait);
    else
        log_warning("the newest backup is not known yet: %s; tried again in %s", err->text, wait);
    alarm_set(c->alarm, c->lookup_wait_ms);
    c->lookup_wait_ms = 2 * c->lookup_wait_ms < LOOKUP_MAX_MS ? 2 * c->lookup_wait_ms : LOOKUP_MAX_MS;
}

/* The bucket is known, and so is the key, as far as it can be. */
static void end_lookup(struct cycle *c)
{
    c->is_looked_at = true;
    if (!c->is_scheduled)
        begin_schedule(c);
    advance(c);
    core_release(c->core); /* may bring another configuration, for which this says nothing */
}

static void forget_key(struct cycle *c)
{
    c->state.key_trouble = ERR_INIT;
    c->state.needs_previous = false;
    c->rotated_away[0] = '\0';
}

static void tell_unchecked(const struct cycle *c, const struct err *err)
{
    log_write(c->needs_lookup ? LOG_WARNING : LOG_DEBUG,
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
    } else if (!c->is_outdated) {
        c->state.key_is_checked = true;
        c->state.key_trouble = result->is_rotated_away ? ERR_INIT : result->trouble;
        c->state.needs_previous = result->needs_previous;
        (void)snprintf(c->rotated_away, sizeof(c->rotated_away), "%s", result->rotated_away);
        if (result->is_rotated_away)
            tell_rotated_away(result);
        else if (result->trouble.kind != ERR_NONE)
            log_error("%s", result->trouble.text);
        else if (result->needs_previous)
            log_warning("there are backups that only a key of previous_key_paths opens: rotate-key is not done");
    }
    key_check_free(TAKE_PTR(c->check));
    end_lookup(c);
}

static void check_key(struct cycle *c, const struct catalog_list *list)
{
    struct key_check_spec spec = {.list = list, .ctx = c, .on_done = on_checked};
    struct err e = ERR_INIT;

    c->check = key_check_start(c->core, &spec, &e);
    if (c->check)
        return;
    if (e.kind != ERR_NONE)
        tell_unchecked(c, &e);
    else if (!c->is_outdated)
        forget_key(c); /* no encrypted backup needs it */
    end_lookup(c);
}

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    struct cycle *c = ctx;
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *list = listed;
    struct err e = err ? *err : ERR_INIT;

    listing_free(TAKE_PTR(c->lookup));
    if (!err) {
        count(c, list);
        check_key(c, list);
    } else if (c->state.is_known) { /* a backup is due, and will say more of what is wrong */
        log_debug("the bucket could not be looked at: %s", e.text);
        end_lookup(c);
    } else {
        look_up_later(c, &e);
        core_release(c->core);
    }
}

static void look_up(struct cycle *c)
{
    struct listing_spec spec = {.ctx = c, .on_done = on_listed};
    struct err e = ERR_INIT;

    c->has_tried = true;
    c->wants_look = c->is_outdated = false;
    core_acquire(c->core);
    c->lookup = listing_start(c->core, &spec, &e);
    if (c->lookup)
        return;
    if (c->state.is_known) {
        c->is_looked_at = true; /* what is wrong, the backup will tell */
        alarm_set(c->alarm, 0);
    } else {
        look_up_later(c, &e);
    }
    core_release(c->core); /* may bring another configuration, with which all begins anew */
}

static void on_alarm(void *ctx)
{
    struct cycle *c = ctx;

    if (c->state.is_known)
        advance(c);
    else if ((c->needs_lookup || !c->has_tried) && !is_looking(c) && !jobs_state(c->jobs)->running &&
             !core_is_waiting(c->core))
        look_up(c);
}

/* ---- what happens to jobs ---- */

static void on_backup_ended(struct cycle *c, const struct backup_result *result, const struct err *err)
{
    struct schedule_clock at = now();
    bool was_ours = c->is_ours;

    c->is_ours = false;
    if (result) {
        c->state.newest = result->instant;
        c->state.backups++;
        c->state.bytes += result->stored_size;
        c->state.failures = 0;
        c->wants_prune = was_ours && core_conf(c->core)->prune.max_age_ms;
        c->wants_look = !was_ours;
        c->is_outdated = is_looking(c);
    } else if (was_ours) {
        c->state.failures++;
    } else if (key_check_is_rotated_away(err)) {
        c->wants_look = true; /* so that `status` and the metrics know it, too */
    }
    if (c->is_scheduled && result)
        schedule_succeeded(&c->schedule, &at);
    else if (c->is_scheduled && was_ours)
        schedule_failed(&c->schedule, &at);
}

/* Whether it ended well or not: what the previous key wraps from now on would have to be rotated again. What the bucket
 * holds now the next look will show. */
static void on_rotated(struct cycle *c, const struct rotate_result *r)
{
    if (r->dry_run || (r->rotated == 0 && r->already == 0))
        return;
    forget_key(c);
    c->wants_look = true;
    c->is_outdated = is_looking(c); /* what it has read may be of before: then there is another behind it */
    if (r->failed == 0 && strcmp(r->configured, r->previous) == 0)
        (void)snprintf(c->rotated_away, sizeof(c->rotated_away), "%s", r->previous);
}

static void on_ended(void *ctx, const char *job, const struct job_result *result, const struct err *err)
{
    struct cycle *c = ctx;

    if (c->is_stopped)
        return;
    if (strcmp(job, "backup") == 0)
        on_backup_ended(c, err ? NULL : result->backup, err);
    else if (!err && result->prune && !result->prune->dry_run) {
        c->state.backups = result->prune->remaining;
        c->state.bytes = result->prune->remaining_bytes;
    } else if (result && result->rotate) {
        on_rotated(c, result->rotate);
    }
}

static void on_idle(void *ctx)
{
    struct cycle *c = ctx;

    if (c->is_stopped)
        return;
    if (c->state.is_known)
        advance(c);
    else if (c->needs_lookup && !is_looking(c))
        alarm_set(c->alarm, 0); /* what ran has put a lookup off */
}

/* ---- beginning and end ---- */

static void describe(struct cycle *c)
{
    const struct conf_schedule *conf = &core_conf(c->core)->schedule;
    char interval[DURATION_TEXT_MAX];

    c->has_schedule = conf->interval_ms || conf->cron;
    c->needs_lookup = c->has_schedule || core_conf(c->core)->metrics.listen;
    c->text[0] = '\0';
    if (conf->cron)
        (void)snprintf(c->text, sizeof(c->text), "cron %.200s", conf->cron);
    else if (conf->interval_ms)
        (void)snprintf(c->text, sizeof(c->text), "every %s", duration_format(conf->interval_ms, interval));
}

void cycle_reload(struct cycle *c)
{
    describe(c);
    c->state.is_known = c->is_scheduled = c->wants_prune = false;
    c->is_looked_at = c->wants_look = c->state.key_is_checked = false;
    forget_key(c);
    c->lookup_wait_ms = LOOKUP_FIRST_MS;
    c->lookups_failed = 0;
    c->state.lookup = ERR_INIT;
    c->has_tried = false;
    alarm_set(c->alarm, 0);
}

struct cycle *cycle_new(struct core *core, struct jobs *jobs, struct err *e)
{
    struct cycle *c = calloc(1, sizeof(*c));

    if (!c || !(c->alarm = alarm_new(core_loop(core), c, on_alarm, e))) {
        if (!c)
            err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        free(c);
        return NULL;
    }
    c->core = core;
    c->jobs = jobs;
    jobs_observe(jobs, &(struct jobs_observer){.ctx = c, .ended = on_ended, .idle = on_idle});
    cycle_reload(c);
    return c;
}

bool cycle_refuses_backup(struct cycle *c, struct err *why)
{
    if (!key_is_rotated_away(c, why))
        return false;
    c->wants_look = true;
    alarm_set(c->alarm, 0);
    return true;
}

void cycle_get_state(const struct cycle *c, struct cycle_state *out)
{
    struct schedule_clock at = now();
    struct err e = ERR_INIT;

    *out = c->state;
    if (key_is_rotated_away(c, &e))
        out->key_trouble = e;
    out->schedule = c->text;
    out->next = c->is_scheduled ? schedule_next(&c->schedule, &at) : 0;
}

void cycle_stop(struct cycle *c)
{
    if (!c || c->is_stopped)
        return;
    c->is_stopped = true;
    if (is_looking(c)) {
        listing_free(TAKE_PTR(c->lookup));
        key_check_free(TAKE_PTR(c->check));
        core_release(c->core);
    }
    alarm_free(TAKE_PTR(c->alarm));
}

void cycle_free(struct cycle *c)
{
    if (!c)
        return;
    cycle_stop(c);
    free(c);
}
