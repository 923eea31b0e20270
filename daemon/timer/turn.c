#include "timer/turn.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "core/alarm.h"
#include "job/bucket/claim.h"
#include "job/bucket/listing.h"

enum {
    RENEWALS = 6,         /* in `takeover_ms` */
    LOST = 4,             /* so many of them without an answer */
    ANOTHER_SECOND = 200, /* ms, while this second's name has been used */
};

struct turn {
    struct core *core;
    struct turn_spec spec;
    struct listing *listing; /* under way */
    struct claim *claim;
    char dump[NAME_TEXT_MAX], name[NAME_TEXT_MAX]; /* name: of the claim */
    bool is_claimed, is_lost;
    uint64_t put_boot_ms, held_boot_ms; /* when the last put began; and the last of those that were answered well */
    uv_timer_t timer;                   /* the next second; or the next renewal */
    enum turn_outcome outcome;
    struct err why;
    void (*on_given)(void *ctx); /* not NULL: it is being given back */
};

/* ---- the end ---- */

static void tell(struct turn *t)
{
    if (t->on_given)
        t->on_given(t->spec.ctx);
    else
        t->spec.on_end(t->spec.ctx, t->outcome, t->outcome == TURN_UNKNOWN ? &t->why : NULL);
}

static void on_released(void *ctx)
{
    struct turn *t = ctx;

    t->is_claimed = false;
    tell(t);
}

static void on_later(uv_timer_t *timer)
{
    tell(CONTAINER_OF(timer, struct turn, timer));
}

/* Takes the claim back, if there is one. The caller may be told on the loop's next turn alone. */
static void step_back(struct turn *t)
{
    (void)uv_timer_stop(&t->timer);
    if (!t->claim || !claim_release(t->claim, t, on_released))
        (void)uv_timer_start(&t->timer, on_later, 0, 0);
}

static void end(struct turn *t, enum turn_outcome outcome, const struct err *why)
{
    t->outcome = outcome;
    if (why)
        t->why = *why;
    if (outcome != TURN_ANOTHERS)
        t->spec.memory->waits_since_boot_ms = 0;
    else if (t->spec.memory->waits_since_boot_ms == 0)
        t->spec.memory->waits_since_boot_ms = alarm_boot_ms();
    if (outcome == TURN_OURS)
        tell(t);
    else
        step_back(t);
}

/* ---- who else is at it ---- */

/* When it was first seen as it is now. */
static uint64_t seen_since(const struct turn_memory *m, const struct turn_claim *claim, uint64_t now)
{
    for (unsigned i = 0; i < m->n_seen; i++)
        if (m->seen[i].instant == claim->instant && m->seen[i].tag == claim->tag &&
                m->seen[i].last_modified == claim->last_modified)
            return m->seen[i].since_boot_ms;
    return now;
}

/* The newest are looked at; the list is in this order. */
static bool somebody_is_at_it(struct turn *t, const struct catalog_list *list)
{
    struct turn_memory *m = t->spec.memory, next = {.waits_since_boot_ms = m->waits_since_boot_ms};
    const uint64_t now = alarm_boot_ms();
    bool is_alive = false;

    for (size_t i = 0; i < catalog_list_count(list) && next.n_seen < TURN_SEEN_MAX; i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);
        struct turn_claim claim = {.instant = b->instant, .last_modified = b->last_modified};

        if (b->state != CATALOG_CLAIM || strcmp(b->name, t->name) == 0)
            continue;
        claim.tag = name_object_tag(b->etag, b->size);
        claim.since_boot_ms = seen_since(m, &claim, now);
        is_alive = is_alive || now - claim.since_boot_ms < t->spec.takeover_ms;
        next.seen[next.n_seen++] = claim;
    }
    *m = next;
    return is_alive &&
           (m->waits_since_boot_ms == 0 || now - m->waits_since_boot_ms < TURN_PATIENCE * t->spec.takeover_ms);
}

/* ---- taking it ---- */

static void claim_it(struct turn *t);

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *list = listed;
    struct turn *t = ctx;
    const struct catalog_backup *newest = list ? catalog_list_newest(list) : NULL;
    const struct err e = err ? *err : ERR_INIT;

    listing_free(TAKE_PTR(t->listing));
    if (err)
        end(t, TURN_UNKNOWN, &e);
    else if (!t->spec.is_due(t->spec.ctx, newest ? newest->instant : 0))
        end(t, TURN_NOT_DUE, NULL);
    else if (somebody_is_at_it(t, list))
        end(t, TURN_ANOTHERS, NULL);
    else if (t->is_claimed)
        end(t, TURN_OURS, NULL);
    else
        claim_it(t);
}

static int look(struct turn *t, struct err *e)
{
    struct listing_spec spec = {.ctx = t, .on_done = on_listed};

    t->listing = listing_start(t->core, &spec, e);
    return t->listing ? 0 : -1;
}

/* Counted from when the last put that was answered well began: nobody has begun to count before that. */
static void renew(uv_timer_t *timer)
{
    struct turn *t = CONTAINER_OF(timer, struct turn, timer);
    const uint64_t now = alarm_boot_ms();

    if (claim_is_renewed(t->claim))
        t->held_boot_ms = t->put_boot_ms;
    /* A store that can be reached keeps nobody's turn from him, and a backup too many is cheap. */
    if (claim_is_refused(t->claim))
        t->held_boot_ms = now;
    if (claim_renew(t->claim))
        t->put_boot_ms = now;
    if (t->is_lost || t->listing || now - t->held_boot_ms < t->spec.takeover_ms / RENEWALS * LOST)
        return;
    t->is_lost = true;
    t->spec.on_lost(t->spec.ctx);
}

static void on_claimed(void *ctx, const struct err *err)
{
    struct turn *t = ctx;
    const uint64_t every = t->spec.takeover_ms / RENEWALS;
    struct err e = ERR_INIT;

    t->is_claimed = !err;
    if (err && claim_is_taken(err)) {
        end(t, TURN_ANOTHERS, NULL);
    } else if (err) {
        end(t, TURN_UNKNOWN, err);
    } else {
        (void)uv_timer_start(&t->timer, renew, every, every);
        if (look(t, &e) < 0)
            end(t, TURN_UNKNOWN, &e);
    }
}

static void on_another_second(uv_timer_t *timer)
{
    claim_it(CONTAINER_OF(timer, struct turn, timer));
}

static void claim_it(struct turn *t)
{
    const struct claim_spec spec = {.loop = core_loop(t->core), .dump = t->dump, .ctx = t, .on_claimed = on_claimed};
    const int64_t instant = core_new_instant(t->core);
    struct err e = ERR_INIT;
    struct s3_client *s3;

    if (instant == 0) {
        (void)uv_timer_start(&t->timer, on_another_second, ANOTHER_SECOND, 0);
        return;
    }
    t->put_boot_ms = t->held_boot_ms = alarm_boot_ms();
    s3 = core_s3(t->core, &e);
    if (s3 && name_format(t->dump, core_conf(t->core)->s3.objects_prefix, instant, NAME_DUMP, &e) == 0) {
        name_claim_of_dump(t->name, t->dump);
        t->claim = claim_start(s3, &spec, &e);
    }
    if (!t->claim)
        end(t, TURN_UNKNOWN, &e);
}

struct turn *turn_take(struct core *core, const struct turn_spec *spec, struct err *e)
{
    struct turn *t = calloc(1, sizeof(*t));

    if (!t) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    t->core = core;
    t->spec = *spec;
    if (look(t, e) < 0) {
        free(t);
        return NULL;
    }
    (void)uv_timer_init(core_loop(core), &t->timer);
    return t;
}

void turn_give_back(struct turn *t, void (*on_given)(void *ctx))
{
    t->on_given = on_given;
    listing_free(TAKE_PTR(t->listing)); /* what it would show does not matter any more */
    step_back(t);
}

static void on_closed(uv_handle_t *timer)
{
    free(CONTAINER_OF(timer, struct turn, timer));
}

void turn_free(struct turn *t)
{
    if (!t)
        return;
    listing_free(t->listing);
    claim_free(t->claim);
    uv_close((uv_handle_t *)&t->timer, on_closed);
}
