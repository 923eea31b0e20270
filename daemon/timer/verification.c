#include "timer/verification.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/timestamp.h"
#include "core/log.h"

enum { SCHEDULE_TEXT_MAX = 320 };

struct verification {
    struct core *core;
    struct jobs *jobs;
    struct verification_watcher watcher;
    struct round round;
    char *bucket; /* that all here is about; or NULL */
    char text[SCHEDULE_TEXT_MAX];
    int64_t served; /* when the round began that ended last; 0: none has */
    int64_t proven;
    uint64_t bad, unknown;
    bool is_ours;     /* the running job */
    bool has_verdict; /* it has told one, which is: */
    bool is_unknown;
    bool is_vouched;
    bool has_told_bad, has_told_unknown; /* of this round */
};

static const struct conf_verify *conf_of(const struct verification *v)
{
    return &core_conf(v->core)->verify;
}

/* ---- what came of one ---- */

static void on_verdict(void *ctx, const struct verdict *verdict)
{
    struct verification *v = ctx;

    v->has_verdict = true;
    v->is_unknown = verdict->is_unknown;
    v->is_vouched = verdict->is_vouched;
    if (!verdict->err)
        v->proven = timestamp_now();
    v->unknown += verdict->is_unknown && !verdict->is_vouched;
    v->bad += verdict->err && !verdict->is_unknown;
}

static void tell(const struct verification *v, const struct err *why)
{
    if (v->watcher.failed)
        v->watcher.failed(v->watcher.ctx, why);
}

static void take(struct verification *v, enum round_outcome outcome, const struct err *err)
{
    round_took(&v->round, outcome, err);
    if (outcome == ROUND_BAD && !v->has_told_bad) {
        v->has_told_bad = true;
        tell(v, err);
    }
}

bool verification_is_ours(const struct verification *v)
{
    return v->is_ours;
}

bool verification_took(struct verification *v, const struct job_result *result, const struct err *err)
{
    const bool was_ours = v->is_ours;

    v->is_ours = false;
    if (!was_ours || (err && err->kind == ERR_CANCELLED))
        return false; /* what was cancelled is still the next one */
    if (result && result->verify && result->verify->left_out)
        (void)snprintf(v->round.result.left_out, sizeof(v->round.result.left_out), "%s", result->verify->left_out);
    if (!err)
        take(v,
                !v->has_verdict ? ROUND_GONE
                : v->is_vouched ? ROUND_VOUCHED
                : v->is_unknown ? ROUND_GONE
                                : ROUND_GOOD,
                NULL);
    else
        take(v, v->has_verdict && !v->is_unknown ? ROUND_BAD : ROUND_UNKNOWN, err);
    return err && v->has_verdict && !v->is_unknown;
}

/* ---- a round ---- */

bool verification_begin(struct verification *v, const struct catalog_list *list, bool is_retry)
{
    struct err e = ERR_INIT;

    if (is_retry && v->round.result.left > 0) {
        round_resume(&v->round);
        return true;
    }
    v->has_told_bad = v->has_told_unknown = false;
    if (round_plan(&v->round, list, conf_of(v)->what, timestamp_now(), randombytes_random, &e) == 0)
        return true;
    log_error("verification: %s", e.text);
    return false;
}

static void end_round(struct verification *v)
{
    struct round_result *r = &v->round.result;
    const char *left_out = r->left_out[0] ? "; nothing could be unpacked: " : "";
    char vouched[64] = "";

    r->ended = timestamp_now();
    v->served = r->began;
    if (r->vouched)
        (void)snprintf(vouched, sizeof(vouched), ", %u vouched, not opened", r->vouched);
    if (r->bad)
        log_error("verification done: %u good%s, %u BAD, the first: %s", r->good, vouched, r->bad, r->first_bad.text);
    else
        log_info("verification done: %u good%s%s%s", r->good, vouched, left_out, r->left_out);
}

static void pause_round(struct verification *v)
{
    const struct round_result *r = &v->round.result;
    struct err e = r->last_unknown;

    err_prepend(&e, "%u backups could not be verified; the last: ", r->left);
    log_warning("verification: %s; tried again later", e.text);
    if (!v->has_told_unknown)
        tell(v, &e);
    v->has_told_unknown = true;
}

enum verification_step verification_next(struct verification *v)
{
    struct verify_request request = {
            .choice = {.instant = round_next(&v->round)}, .drill = conf_of(v)->drill, .may_be_gone = true};
    struct err e = ERR_INIT;

    if (request.choice.instant == 0 && v->round.result.left == 0) {
        end_round(v);
        return VERIFICATION_DONE;
    }
    if (request.choice.instant == 0) {
        pause_round(v);
        return VERIFICATION_PAUSED;
    }
    v->has_verdict = false;
    v->is_ours = true;
    if (jobs_start_verify(v->jobs, &request, NULL, &e) == 0)
        return VERIFICATION_STARTED;
    v->is_ours = false;
    log_error("verify failed: %s", e.text);
    take(v, ROUND_UNKNOWN, &e);
    return VERIFICATION_AGAIN;
}

/* ---- what is configured ---- */

static const char *what_text(enum conf_verify_what what)
{
    static const char *const texts[] = {
            [CONF_VERIFY_NEWEST] = "the newest",
            [CONF_VERIFY_SAMPLE] = "the newest and three others",
            [CONF_VERIFY_ALL] = "all",
    };

    return texts[what];
}

static void describe(struct verification *v)
{
    const struct conf_verify *conf = conf_of(v);
    const char *drill = conf->drill ? ", as a drill" : "";
    char interval[DURATION_TEXT_MAX];

    v->text[0] = '\0';
    if (conf->cron)
        (void)snprintf(v->text, sizeof(v->text), "cron %.200s: %s%s", conf->cron, what_text(conf->what), drill);
    else if (conf->interval_ms)
        (void)snprintf(v->text, sizeof(v->text), "every %s: %s%s", duration_format(conf->interval_ms, interval),
                what_text(conf->what), drill);
}

static bool is_other_bucket(const struct verification *v)
{
    return v->bucket && strcmp(v->bucket, core_bucket_url(v->core)) != 0;
}

void verification_reload(struct verification *v)
{
    if (is_other_bucket(v)) {
        v->served = v->proven = 0;
        round_clear(&v->round);
    }
    free(v->bucket);
    v->bucket = strdup(core_bucket_url(v->core));
    describe(v);
}

bool verification_spec(const struct verification *v, struct schedule_spec *schedule, int64_t *verified)
{
    const struct conf_verify *conf = conf_of(v);
    const struct conf_schedule *backups = &core_conf(v->core)->schedule;
    const struct round_result *r = &v->round.result;
    struct err ignored = ERR_INIT; /* conf_load has parsed it */

    *schedule = (struct schedule_spec){
            .interval_ms = conf->interval_ms,
            .has_cron = conf->cron != NULL,
            .jitter_ms = conf->jitter_ms,
            .retry_initial_ms = backups->retry_initial_ms,
            .retry_max_ms = backups->retry_max_ms,
            .random = randombytes_random,
    };
    *verified = v->served;
    if (r->began && !r->ended) /* it was under way, and is wanted all the same */
        *verified = 0;
    else if (!v->served && conf->cron)
        *verified = timestamp_now();
    if (conf->cron && cron_parse(conf->cron, &schedule->cron, &ignored) < 0)
        return false;
    return conf->cron || conf->interval_ms;
}

void verification_get_state(const struct verification *v, struct verification_state *out)
{
    *out = (struct verification_state){
            .schedule = v->text,
            .owes_proof = v->text[0] && core_conf(v->core)->n_encryption_recipients == 0,
            .round = v->round.result,
            .proven = v->proven,
            .bad = v->bad,
            .unknown = v->unknown,
    };
}

/* ---- beginning and end ---- */

void verification_watch(struct verification *v, const struct verification_watcher *watcher)
{
    v->watcher = *watcher;
}

struct verification *verification_new(struct core *core, struct jobs *jobs, struct err *e)
{
    struct verification *v = calloc(1, sizeof(*v));

    if (!v) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    v->core = core;
    v->jobs = jobs;
    jobs_observe(jobs, &(struct jobs_observer){.ctx = v, .verdict = on_verdict});
    return v;
}

void verification_free(struct verification *v)
{
    if (!v)
        return;
    round_clear(&v->round);
    free(v->bucket);
    free(v);
}
