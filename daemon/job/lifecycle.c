#include "job/lifecycle.h"

static void on_turn(uv_timer_t *timer)
{
    struct lifecycle *l = timer->data;
    lifecycle_step step = l->step;

    l->step = NULL;
    if (l->is_cancelled && !l->cancel_has_come) {
        l->cancel_has_come = true;
        l->cancel(l);
    } else if (step) {
        step(l);
    }
}

static void bring_turn(struct lifecycle *l)
{
    (void)uv_timer_start(&l->timer, on_turn, 0, 0);
}

void lifecycle_start(struct lifecycle *l, struct core *core, const struct lifecycle_spec *spec)
{
    core_acquire(core);
    *l = (struct lifecycle){
            .core = core,
            .cancel = spec->cancel,
            .free_job = spec->free_job,
            .started_ms = uv_now(core_loop(core)),
    };
    (void)uv_timer_init(core_loop(core), &l->timer);
    l->timer.data = l;
    lifecycle_next(l, spec->first);
}

void lifecycle_next(struct lifecycle *l, lifecycle_step step)
{
    if (l->has_ended)
        return;
    l->step = step;
    bring_turn(l);
}

void lifecycle_cancel(struct lifecycle *l)
{
    if (l->has_ended || l->is_cancelled)
        return;
    l->is_cancelled = true;
    bring_turn(l);
}

bool lifecycle_is_cancelled(const struct lifecycle *l)
{
    return l->is_cancelled;
}

uint64_t lifecycle_elapsed_ms(const struct lifecycle *l)
{
    return uv_now(core_loop(l->core)) - l->started_ms;
}

static void on_closed(uv_handle_t *h)
{
    struct lifecycle *l = h->data;
    struct core *core = l->core;

    l->free_job(l);
    core_release(core);
}

void lifecycle_end(struct lifecycle *l)
{
    l->has_ended = true;
    uv_close((uv_handle_t *)&l->timer, on_closed);
}
