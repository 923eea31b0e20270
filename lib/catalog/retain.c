#include "catalog/retain.h"

#include <inttypes.h>
#include <time.h>

#include "base/duration.h"

/* The longest period first: its rule holds a backup for the longest time. */
enum { YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, RULES };

struct retain_plan {
    size_t n;
    struct retain_verdict verdicts[];
};

/* What must be known of a plan while it is made, newest first. */
struct planning {
    const struct retain_policy *policy;
    int64_t now;
    uint64_t complete; /* that count, in the whole list */
    uint64_t seen;     /* of them so far */
    struct rule {
        uint64_t left; /* so many periods may still have one */
        int64_t last;  /* the period of the one seen last */
    } rules[RULES];
};

static void start(struct planning *p, const struct catalog_list *list, const struct retain_policy *policy, int64_t now)
{
    *p = (struct planning){
            .policy = policy,
            .now = now,
            .rules = {[YEARLY] = {policy->keep_yearly, INT64_MIN},
                    [MONTHLY] = {policy->keep_monthly, INT64_MIN},
                    [WEEKLY] = {policy->keep_weekly, INT64_MIN},
                    [DAILY] = {policy->keep_daily, INT64_MIN},
                    [HOURLY] = {policy->keep_hourly, INT64_MIN}},
    };
    for (size_t i = 0; i < catalog_list_count(list); i++)
        p->complete += catalog_backup_counts(catalog_list_at(list, i));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Numbers the periods that an instant lies in: equal within one period. */
static void periods_of(int64_t instant, const struct tm *tm, int64_t periods[RULES])
{
    int64_t day = floor_div(instant, 86400);

    periods[YEARLY] = tm->tm_year;
    periods[MONTHLY] = (int64_t)tm->tm_year * 12 + tm->tm_mon;
    periods[WEEKLY] = floor_div(day + 3, 7); /* weeks begin on Monday (ISO 8601), and day 0 was a Thursday */
    periods[DAILY] = day;
    periods[HOURLY] = floor_div(instant, 3600);
}

/* The rule that holds a backup, or RULES. Each rule counts its periods, also when another one holds; but a period that
 * has nothing but a backup in doubt still wants one. */
static size_t held_by(struct planning *p, int64_t instant, const struct tm *tm, bool counts)
{
    size_t holds = RULES;
    int64_t periods[RULES];

    periods_of(instant, tm, periods);
    for (size_t i = 0; i < RULES; i++) {
        struct rule *rule = &p->rules[i];

        if (rule->left == 0 || rule->last == periods[i])
            continue;
        if (counts) {
            rule->left--;
            rule->last = periods[i];
        }
        holds = holds < i ? holds : i;
    }
    return holds;
}

enum { PERIOD_TEXT_MAX = 32 };

static char *format_period(size_t rule, const struct tm *tm, char out[PERIOD_TEXT_MAX])
{
    out[0] = '\0';
    switch (rule) {
    case YEARLY:
        (void)strftime(out, PERIOD_TEXT_MAX, "%Y", tm);
        break;
    case MONTHLY:
        (void)strftime(out, PERIOD_TEXT_MAX, "%Y-%m", tm);
        break;
    case WEEKLY:
        (void)strftime(out, PERIOD_TEXT_MAX, "%G-W%V", tm);
        break;
    case DAILY:
        (void)strftime(out, PERIOD_TEXT_MAX, "%Y-%m-%d", tm);
        break;
    default:
        (void)strftime(out, PERIOD_TEXT_MAX, "%Y-%m-%dT%H", tm);
        break;
    }
    return out;
}

/* Seconds; what lies in the future has the age 0. */
static uint64_t age_at(int64_t now, int64_t then)
{
    return now > then ? (uint64_t)now - (uint64_t)then : 0;
}

static char *format_seconds(uint64_t seconds, char out[DURATION_TEXT_MAX])
{
    return duration_format(seconds > UINT64_MAX / 1000 ? UINT64_MAX : seconds * 1000, out);
}

/* "16d old" when it goes, "younger than 15d" when it stays. */
static void judge_age(struct retain_verdict *v, const char *what, uint64_t age, uint64_t limit)
{
    char text[DURATION_TEXT_MAX];

    v->goes = age > limit;
    if (v->goes)
        (void)snprintf(v->reason, sizeof(v->reason), "%s%s old", what, format_seconds(age, text));
    else
        (void)snprintf(v->reason, sizeof(v->reason), "%syounger than %s", what, format_seconds(limit, text));
}

static void stay_in_floor(struct retain_verdict *v, const char *what, uint64_t min_count)
{
    v->goes = false;
    if (min_count == 1)
        (void)snprintf(v->reason, sizeof(v->reason), "%sthe newest", what);
    else
        (void)snprintf(v->reason, sizeof(v->reason), "%sone of the %" PRIu64 " newest", what, min_count);
}

/* One that is complete, or may be: `what` says why it does not count. */
static void judge_complete(struct planning *p, struct retain_verdict *v, const char *what)
{
    bool counts = catalog_backup_counts(v->backup), is_in_floor = p->seen < p->policy->min_count;
    time_t t = v->backup->instant;
    char period[PERIOD_TEXT_MAX];
    struct tm tm;
    size_t rule;

    p->seen += counts;
    gmtime_r(&t, &tm);
    rule = held_by(p, v->backup->instant, &tm, counts);
    judge_age(v, what, age_at(p->now, v->backup->instant), p->policy->max_age);
    if (!v->goes)
        return;
    if (rule < RULES) {
        v->goes = false;
        (void)snprintf(v->reason, sizeof(v->reason), "%snewest of %s", what, format_period(rule, &tm, period));
    } else if (is_in_floor) {
        stay_in_floor(v, what, p->policy->min_count);
    }
}

/* What cannot be read, for `why`. The complete ones that stay are min_count or all of them. */
static void judge_broken(const struct planning *p, struct retain_verdict *v, const char *why)
{
    char what[32];

    (void)snprintf(what, sizeof(what), "%s, ", why);
    judge_age(v, what, age_at(p->now, v->backup->instant), p->policy->max_age);
    if (v->goes && p->complete < p->policy->min_count) {
        v->goes = false;
        (void)snprintf(v->reason, sizeof(v->reason), "%s, but only %" PRIu64 " are complete", why, p->complete);
    }
}

/* What nobody can judge, or nobody here may. */
static void stay(struct retain_verdict *v, const char *why)
{
    v->goes = false;
    (void)snprintf(v->reason, sizeof(v->reason), "%s", why);
}

static void judge_dump(struct planning *p, struct retain_verdict *v)
{
    switch (v->backup->doubt) {
    case CATALOG_WRONG_SIZE:
        judge_broken(p, v, "wrong size");
        break;
    case CATALOG_MAY_BE_PLAIN:
        judge_complete(p, v, "key missing or plain, ");
        break;
    case CATALOG_PLAIN:
        judge_complete(p, v, "not encrypted, ");
        break;
    case CATALOG_BAD:
        judge_complete(p, v, "bad, ");
        break;
    case CATALOG_UNOPENED:
        judge_complete(p, v, "not opened, ");
        break;
    case CATALOG_KEY_UNKNOWN:
        stay(v, "cannot be looked at");
        break;
    case CATALOG_KEY_GONE:
        stay(v, "part of it is gone");
        break;
    case CATALOG_OTHER_CLUSTER:
        stay(v, "of another cluster");
        break;
    case CATALOG_FUTURE:
        stay(v, "its time has not come yet");
        break;
    case CATALOG_SURE:
        if (v->backup->state == CATALOG_KEY_MISSING)
            judge_broken(p, v, "key missing");
        else
            judge_complete(p, v, "");
        break;
    }
}

static void judge(struct planning *p, struct retain_verdict *v)
{
    switch (v->backup->state) {
    case CATALOG_COMPLETE:
    case CATALOG_KEY_MISSING:
        judge_dump(p, v);
        break;
    case CATALOG_UNREADABLE:
        stay(v, "its name cannot be read");
        break;
    case CATALOG_ORPHAN_KEY:
        judge_age(v, "lone key, ", age_at(p->now, v->backup->last_modified), RETAIN_LONE_AGE);
        break;
    case CATALOG_CLAIM:
        judge_age(v, "claim, ", age_at(p->now, v->backup->last_modified), RETAIN_LONE_AGE);
        break;
    case CATALOG_CHECK:
        judge_age(v, "left by a check, ", age_at(p->now, v->backup->last_modified), RETAIN_LONE_AGE);
        break;
    case CATALOG_ORPHAN_MARK:
        judge_age(v, "lone mark, ", age_at(p->now, v->backup->last_modified), RETAIN_LONE_AGE);
        break;
    }
}

struct retain_plan *retain_plan_new(
        const struct catalog_list *list, const struct retain_policy *policy, int64_t now, struct err *e)
{
    size_t n = catalog_list_count(list); /* at most CATALOG_MAX: the product does not overflow */
    struct retain_plan *plan = calloc(1, sizeof(*plan) + n * sizeof(plan->verdicts[0]));
    struct planning p;

    if (!plan) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a plan of %zu backups", n);
        return NULL;
    }
    start(&p, list, policy, now);
    for (; plan->n < n; plan->n++) {
        plan->verdicts[plan->n].backup = catalog_list_at(list, plan->n);
        judge(&p, &plan->verdicts[plan->n]);
    }
    return plan;
}

size_t retain_plan_count(const struct retain_plan *p)
{
    return p->n;
}

const struct retain_verdict *retain_plan_at(const struct retain_plan *p, size_t i)
{
    return &p->verdicts[i];
}

void retain_plan_free(struct retain_plan *p)
{
    free(p);
}
