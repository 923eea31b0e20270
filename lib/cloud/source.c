#include "cloud/source.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/timestamp.h"

#define MINUTE UINT64_C(60000) /* ms */

enum {
    RETRY_MS = 1000,
    RETRY_MAX_MS = 30000,
    NOT_AGAIN_MS =
            1000, /* after a fetch nobody gets another at once: an answer that is refused would call for the next */
    SHORTEST_MS = 500, /* between two fetches of what is nearly over */
};
#define MARGIN     (5 * MINUTE)
#define RARELY     (5 * MINUTE)
#define JITTER_MAX MINUTE

struct cloud_source {
    uv_loop_t *loop;
    struct cloud_source_spec spec;
    struct cloud_fetch *fetch;
    struct cloud_credentials current;
    bool is_refused;     /* by who uses them */
    uint64_t valid_till; /* of `current`, on the boot clock, ms; UINT64_MAX: they do not expire */
    uint64_t due;        /* of the next fetch */
    uint64_t fetched;    /* when the last ended, well or not; 0: none has */
    struct err trouble;
    struct backoff backoff;
    uv_timer_t timer;
    TAILQ_HEAD(, wait_link) waiting; /* in the order of their rounds */
    unsigned round;                  /* of telling them */
    bool is_freed;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

static bool is_valid(const struct cloud_source *s)
{
    return s->current.access_key && !s->is_refused && now_ms() < s->valid_till;
}

static void set_alarm(struct cloud_source *s);
static void fetch(struct cloud_source *s);

/* The timer stands still while the machine is suspended: it looks at the clock once a minute at least. */
static void on_alarm(uv_timer_t *timer)
{
    struct cloud_source *s = CONTAINER_OF(timer, struct cloud_source, timer);

    if (now_ms() >= s->due)
        fetch(s);
    else
        set_alarm(s);
}

static void set_alarm(struct cloud_source *s)
{
    const uint64_t now = now_ms(), left = s->due > now ? s->due - now : 0;

    if (s->is_freed || s->fetch || !s->spec.keeps_fresh || s->due == UINT64_MAX)
        return;
    uv_update_time(s->loop);
    (void)uv_timer_start(&s->timer, on_alarm, left, 0);
}

/* ---- what a fetch brings ---- */

/* One that waits again meanwhile is not told again. `s` lives until the loop's next turn. */
static void wake_all(struct cloud_source *s)
{
    struct wait_link *w;

    s->round++;
    while ((w = TAILQ_FIRST(&s->waiting)) && w->round != s->round) {
        cloud_source_leave(s, w);
        w->on_ready(w);
    }
}

static void fail(struct cloud_source *s, const struct err *err)
{
    uint64_t wait;

    s->trouble = *err;
    s->backoff.initial_ms = RETRY_MS;
    s->backoff.max_ms = err_is_transient(err) || err->kind == ERR_RESOURCE ? RETRY_MAX_MS : RARELY;
    wait = backoff_next(&s->backoff, randombytes_random());
    s->due = now_ms() + wait;
}

/* A cache that gives what it has, or clocks that differ: no better than no answer, and nothing to forget others for. */
static void fail_expired(struct cloud_source *s)
{
    struct err e = ERR_INIT;

    (void)err_set(&e, ERR_AUTH, ERR_DOMAIN_NONE, 0,
            "credentials from %s: what it gave has expired already, if the clocks are right",
            cloud_kind_name(s->spec.conf.kind));
    fail(s, &e);
}

static void take(struct cloud_source *s, struct cloud_credentials *got, int64_t date)
{
    const uint64_t now = now_ms();
    const int64_t left = got->expires - (date ? date : timestamp_now());
    uint64_t left_ms = left > 0 ? (uint64_t)left * 1000 : 0, wait;

    if (got->expires != 0 && left_ms == 0) {
        fail_expired(s);
        return;
    }
    cloud_credentials_clear(&s->current);
    s->current = *got;
    *got = (struct cloud_credentials){0};
    s->is_refused = false;
    s->trouble = ERR_INIT;
    s->backoff.attempt = 0;
    if (s->current.expires == 0) {
        s->valid_till = s->due = UINT64_MAX;
        return;
    }
    wait = left_ms >= 2 * MARGIN ? left_ms - MARGIN - randombytes_uniform((uint32_t)JITTER_MAX) : left_ms / 2;
    s->valid_till = now + left_ms;
    s->due = now + (wait > SHORTEST_MS ? wait : SHORTEST_MS);
}

static void on_fetched(void *ctx, struct cloud_credentials *got, int64_t date, const struct err *err)
{
    struct cloud_source *s = ctx;

    s->fetch = NULL;
    s->fetched = now_ms();
    if (err)
        fail(s, err);
    else
        take(s, got, date);
    set_alarm(s);
    wake_all(s);
    if (!s->is_freed && s->spec.on_fetched)
        s->spec.on_fetched(s->spec.ctx, s->trouble.kind ? &s->trouble : NULL);
}

static void fetch(struct cloud_source *s)
{
    struct err e = ERR_INIT;

    if (s->fetch || s->is_freed)
        return;
    (void)uv_timer_stop(&s->timer);
    s->fetch = cloud_fetch_start(s->loop, &s->spec.conf, s, on_fetched, &e);
    if (s->fetch)
        return;
    fail(s, &e);
    set_alarm(s);
}

/* ---- those who want some ---- */

static bool was_a_moment_ago(const struct cloud_source *s)
{
    return s->fetched && now_ms() < s->fetched + NOT_AGAIN_MS;
}

bool cloud_source_wait(struct cloud_source *s, struct wait_link *w)
{
    if (is_valid(s)) {
        if (now_ms() >= s->due)
            fetch(s);
        return false;
    }
    if (!s->fetch && was_a_moment_ago(s))
        return false;
    fetch(s);
    if (!s->fetch)
        return false;
    w->waits = true;
    w->round = s->round;
    TAILQ_INSERT_TAIL(&s->waiting, w, link);
    return true;
}

void cloud_source_leave(struct cloud_source *s, struct wait_link *w)
{
    if (!w->waits)
        return;
    w->waits = false;
    TAILQ_REMOVE(&s->waiting, w, link);
}

const struct cloud_credentials *cloud_source_get(struct cloud_source *s, struct err *e)
{
    if (is_valid(s))
        return &s->current;
    if (s->trouble.kind)
        *e = s->trouble;
    else if (s->is_refused)
        (void)err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "credentials from %s: the store does not accept them",
                cloud_kind_name(s->spec.conf.kind));
    else
        (void)err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "credentials from %s: the last have expired",
                cloud_kind_name(s->spec.conf.kind));
    return NULL;
}

bool cloud_source_refused(struct cloud_source *s, const char *access_key)
{
    if (!s->current.access_key || strcmp(s->current.access_key, access_key) != 0)
        return true;
    if (s->is_refused)
        return s->fetch != NULL;
    if (was_a_moment_ago(s))
        return false;
    s->is_refused = true;
    fetch(s);
    return true;
}

void cloud_source_state(const struct cloud_source *s, struct cloud_state *out)
{
    *out = (struct cloud_state){.kind = cloud_kind_name(s->spec.conf.kind), .trouble = s->trouble};
    out->is_there = s->current.access_key && !s->is_refused;
    out->expires = out->is_there ? s->current.expires : 0;
}

/* ---- beginning and end ---- */

struct cloud_source *cloud_source_new(uv_loop_t *loop, const struct cloud_source_spec *spec, struct err *e)
{
    struct cloud_source *s = calloc(1, sizeof(*s));

    if (!s) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    s->loop = loop;
    s->spec = *spec;
    TAILQ_INIT(&s->waiting);
    (void)uv_timer_init(loop, &s->timer);
    s->due = now_ms();
    set_alarm(s);
    return s;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_list(const char *const *a, const char *const *b)
{
    for (; *a && *b && strcmp(*a, *b) == 0; a++)
        b++;
    return !*a && !*b;
}

/* Whether the two would be given the same, but for what the places themselves have changed. */
static bool is_same_place(const struct cloud_conf *a, const struct cloud_conf *b)
{
    return a->kind == b->kind && is_same_text(a->region, b->region) && is_same_text(a->role_arn, b->role_arn) &&
           is_same_text(a->role_session_name, b->role_session_name) && is_same_text(a->external_id, b->external_id) &&
           is_same_text(a->token_file, b->token_file) && is_same_text(a->sts_endpoint, b->sts_endpoint) &&
           is_same_text(a->instance_endpoint, b->instance_endpoint) && is_same_text(a->ca_cert, b->ca_cert) &&
           is_same_list(a->process, b->process) && is_same_text(a->profile, b->profile) &&
           is_same_text(a->shared_credentials_file, b->shared_credentials_file);
}

void cloud_source_inherit(struct cloud_source *s, struct cloud_source *before)
{
    if (!is_valid(before) || !is_same_place(&s->spec.conf, &before->spec.conf))
        return;
    cloud_credentials_clear(&s->current);
    s->current = before->current;
    before->current = (struct cloud_credentials){0};
    s->valid_till = before->valid_till;
    s->due = before->due;
    s->trouble = before->trouble;
    s->backoff = before->backoff;
    set_alarm(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct cloud_source *s = CONTAINER_OF(handle, struct cloud_source, timer);

    cloud_credentials_clear(&s->current);
    free(s);
}

void cloud_source_free(struct cloud_source *s)
{
    if (!s)
        return;
    s->is_freed = true;
    cloud_fetch_cancel(TAKE_PTR(s->fetch));
    uv_close((uv_handle_t *)&s->timer, on_closed);
}
