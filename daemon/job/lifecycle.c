#include "job/lifecycle.h"

static void on_turn(uv_timer_t *timer)
{
    struct lifecycle *l = timer->data;

    if (l->is_cancelled)
        l->cancel(l);
    else
        l->step(l);
}

static void on_tick(uv_timer_t *timer)
{
    struct lifecycle *l = timer->data;

    l->ticked(l);
}

static void open_timer(struct lifecycle *l, uv_timer_t *timer)
{
    (void)uv_timer_init(core_loop(l->core), timer);
    timer->data = l;
    l->open_handles++;
}

void lifecycle_start(struct lifecycle *l, const struct lifecycle_spec *spec)
{
    core_acquire(spec->core);
    *l = (struct lifecycle){
            .core = spec->core,
            .sink = *spec->sink,
            .cancel = spec->cancel,
            .free_job = spec->free_job,
            .started_ms = uv_now(core_loop(spec->core)),
    };
    open_timer(l, &l->turn);
    open_timer(l, &l->tick);
    lifecycle_next(l, spec->first);
}

void lifecycle_next(struct lifecycle *l, lifecycle_step step)
{
    lifecycle_after(l, 0, step);
}

void lifecycle_after(struct lifecycle *l, uint64_t ms, lifecycle_step step)
{
    if (l->has_ended)
        return;
    l->step = step;
    (void)uv_timer_start(&l->turn, on_turn, l->is_cancelled ? 0 : ms, 0);
}

void lifecycle_every(struct lifecycle *l, uint64_t ms, lifecycle_step tick)
{
    if (l->has_ended)
        return;
    l->ticked = tick;
    (void)uv_timer_start(&l->tick, on_tick, ms, ms);
}

void lifecycle_note(struct lifecycle *l, const char *text)
{
    l->sink.note(l->sink.ctx, text);
}

void lifecycle_progress(struct lifecycle *l, const struct job_progress *progress)
{
    l->sink.progress(l->sink.ctx, progress);
}

void lifecycle_cancel(struct lifecycle *l)
{
    if (l->has_ended || l->is_cancelled)
        return;
    l->is_cancelled = true;
    (void)uv_timer_start(&l->turn, on_turn, 0, 0);
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

    if (--l->open_handles)
        return;
    l->free_job(l);
    core_release(core);
}

void lifecycle_end(struct lifecycle *l, const struct job_result *result, const struct err *err)
{
    l->has_ended = true;
    uv_close((uv_handle_t *)&l->turn, on_closed);
    uv_close((uv_handle_t *)&l->tick, on_closed);
    l->sink.done(l->sink.ctx, result, err);
}
