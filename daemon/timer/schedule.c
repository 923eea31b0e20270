#include "timer/schedule.h"

#include "base/backoff.h"

/* The grain of a cron line: a wall clock that was set back by no more has not served an instant that it shows again. */
static const int64_t grain_ms = 60 * INT64_C(1000);

/* Sums and differences of what a configuration or a clock may say end at the ends of the range. */
static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;

    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return b < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t span(uint64_t ms)
{
    return ms > INT64_MAX ? INT64_MAX : (int64_t)ms;
}

static int64_t in_ms(int64_t seconds)
{
    int64_t ms;

    if (!__builtin_mul_overflow(seconds, 1000, &ms))
        return ms;
    return seconds < 0 ? INT64_MIN : INT64_MAX;
}

/* 0 to spec.jitter_ms, both included, in the integers: the high and the low half of the product of 64 with 32 bits. */
static void draw_jitter(struct schedule *s)
{
    uint64_t values = (uint64_t)span(s->spec.jitter_ms) + 1, random;

    s->jitter_ms = 0;
    if (s->spec.jitter_ms == 0)
        return;
    random = s->spec.random();
    s->jitter_ms = (values >> 32) * random + ((values & UINT32_MAX) * random >> 32);
}

void schedule_start(
        struct schedule *s, const struct schedule_spec *spec, int64_t newest, const struct schedule_clock *now)
{
    *s = (struct schedule){.spec = *spec, .is_at_once = newest == 0};
    if (newest == 0 || newest > now->wall)
        newest = now->wall;
    s->served = newest;
    s->served_boot_ms = plus(span(now->boot_ms), in_ms(newest - now->wall));
    s->due_boot_ms = plus(s->served_boot_ms, span(spec->interval_ms));
    draw_jitter(s);
}

/*
 * The instant up to which a cron line was served, as the wall clock would have shown it then if it had gone as it goes
 * now; that is asked only of a clock that was set back since. The sum of all jumps is the difference between what the
 * two clocks have counted.
 */
static int64_t served(const struct schedule *s, const struct schedule_clock *now)
{
    int64_t by_wall = in_ms(now->wall - s->served), by_boot = span(now->boot_ms) - s->served_boot_ms;
    int64_t jumped = plus(by_wall, -by_boot);

    return jumped < -grain_ms ? now->wall - by_boot / 1000 : s->served;
}

/*
 * ms until the next instant of a cron line. Wherever the wall clock was set to meanwhile, a line that has a long gap
 * there does not wait for longer than it would have without: that wait ends by the other clock.
 */
static int64_t until_instant(const struct schedule *s, const struct schedule_clock *now)
{
    int64_t until = in_ms(plus(cron_next(&s->spec.cron, served(s, now)), -now->wall));
    int64_t gap = in_ms(plus(cron_next(&s->spec.cron, s->served), -s->served));
    int64_t at_most = plus(plus(s->served_boot_ms, grain_ms), -span(now->boot_ms));

    if (gap == INT64_MAX) /* never again */
        return until;
    at_most = plus(at_most, gap);
    return until < at_most ? until : at_most;
}

/*
 * All that was due up to this moment has its backup, or its failed cycle. A wall clock that was set back a little
 * stands before what was served already, which stays served. The jitter is drawn when what is due next is another one.
 */
static void serve_at(struct schedule *s, int64_t wall, int64_t boot_ms, int64_t before)
{
    int64_t due = plus(boot_ms, span(s->spec.interval_ms));
    bool is_another;

    if (s->spec.has_cron) {
        if (wall <= before)
            return;
        is_another = cron_next(&s->spec.cron, before) != cron_next(&s->spec.cron, wall);
        s->served = wall;
        s->served_boot_ms = boot_ms;
    } else {
        is_another = s->due_boot_ms != due;
        s->due_boot_ms = due;
    }
    if (is_another)
        draw_jitter(s);
}

static void serve(struct schedule *s, const struct schedule_clock *at)
{
    serve_at(s, at->wall, span(at->boot_ms), served(s, at));
}

/* ms until what is due next, whatever failed; negative: since when. */
static int64_t until_due(const struct schedule *s, const struct schedule_clock *now)
{
    int64_t until;

    if (s->is_at_once)
        return plus(s->served_boot_ms, -span(now->boot_ms));
    if (!s->spec.has_cron)
        until = plus(s->due_boot_ms, -span(now->boot_ms));
    else
        until = until_instant(s, now);
    return plus(until, span(s->jitter_ms));
}

/* ms until a cycle should begin; negative: since when. The try that is being made is nothing to wait for. */
static int64_t until_begin(const struct schedule *s, const struct schedule_clock *now)
{
    int64_t until = until_due(s, now), retry = plus(span(s->retry_boot_ms), -span(now->boot_ms));

    return s->is_retrying && !s->is_running && retry < until ? retry : until;
}

uint64_t schedule_wait(const struct schedule *s, const struct schedule_clock *now)
{
    int64_t until = until_begin(s, now);

    return until > 0 ? (uint64_t)until : 0;
}

int64_t schedule_next(const struct schedule *s, const struct schedule_clock *now)
{
    int64_t until = until_begin(s, now);

    return plus(now->wall, until / 1000 + (until % 1000 > 0));
}

bool schedule_is_retry(const struct schedule *s, const struct schedule_clock *now)
{
    return s->is_retrying && until_due(s, now) > 0;
}

void schedule_began(struct schedule *s, const struct schedule_clock *now)
{
    s->is_running = true;
    s->began = *now;
    /* Another try of the same, or ahead of time: what will be due stays so until this one has succeeded. */
    if (until_due(s, now) > 0)
        return;
    s->tried_due_boot_ms = s->due_boot_ms;
    s->tried_served = served(s, now);
    s->is_at_once = false;
    s->is_retrying = false;
    s->failures = 0;
    serve(s, now);
}

/* Of a cycle that failed: whether what was due before it, and not what it served, is done. */
static bool is_news(const struct schedule *s, int64_t wall, int64_t boot_ms, const struct schedule_clock *now)
{
    if (s->is_at_once)
        return true;
    if (!s->spec.has_cron)
        return plus(boot_ms, span(s->spec.interval_ms)) > (s->is_retrying ? s->tried_due_boot_ms : s->due_boot_ms);
    if (s->is_retrying)
        return wall > s->tried_served && cron_next(&s->spec.cron, wall) > now->wall;
    return wall > served(s, now);
}

bool schedule_seen(struct schedule *s, int64_t instant, const struct schedule_clock *now)
{
    const int64_t wall = instant < now->wall ? instant : now->wall;
    const int64_t boot_ms = plus(span(now->boot_ms), in_ms(wall - now->wall));

    if (s->is_running || !is_news(s, wall, boot_ms, now))
        return false;
    serve_at(s, wall, boot_ms, s->is_retrying ? s->tried_served : served(s, now));
    s->is_at_once = false;
    s->is_retrying = false;
    s->failures = 0;
    return true;
}

/* The cycle that ended, for which the end stands if nobody told the beginning. */
static void end(struct schedule *s, const struct schedule_clock *now)
{
    if (!s->is_running)
        schedule_began(s, now);
    s->is_running = false;
}

void schedule_succeeded(struct schedule *s, const struct schedule_clock *now)
{
    end(s, now);
    s->is_retrying = false;
    s->failures = 0;
    /* Ahead of time or tried again: the interval begins anew, and the instants until then have their backup. */
    serve(s, &s->began);
}

void schedule_failed(struct schedule *s, const struct schedule_clock *now)
{
    struct backoff backoff = {.initial_ms = s->spec.retry_initial_ms, .max_ms = s->spec.retry_max_ms};

    end(s, now);
    backoff.attempt = s->failures++;
    s->is_retrying = true;
    s->retry_boot_ms = now->boot_ms + backoff_next(&backoff, s->spec.random());
}
