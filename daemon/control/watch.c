#include "control/watch.h"

#include <stdio.h>

#include "control/messages.h"

enum {
    DETAILS_LIMIT = 1 << 19, /* bytes that wait for the client, beyond which details are left out */
    UNROTATED_MAX = 100,     /* keys that are told one by one: the log has all */
    PROGRESS_EVERY_MS = 100, /* at most, while the phase stays the same */
};

static void queued(struct watch *w, int result)
{
    w->spec.on_queued(w->spec.ctx, result);
}

static void on_progress(void *ctx, const struct job_progress *progress)
{
    struct watch *w = ctx;
    uint64_t now = uv_now(w->spec.loop);
    struct err e = ERR_INIT;

    /* A rate, and the time that is left, follow from what an attempt has done by itself. */
    if (progress->attempt != w->attempt) {
        w->attempt = progress->attempt;
        w->started_ms = now;
    }
    if (!w->wants_progress || channel_is_writing(w->spec.channel) ||
            (progress->phase == w->told_phase && now - w->told_ms < PROGRESS_EVERY_MS))
        return;
    w->told_phase = progress->phase;
    w->told_ms = now;
    queued(w, message_progress(channel_out(w->spec.channel), progress, now - w->started_ms, &e));
}

void watch_note(struct watch *w, const char *text, bool is_passing)
{
    struct err e = ERR_INIT;

    queued(w, message_note(channel_out(w->spec.channel), text, is_passing, &e));
}

static void on_note(void *ctx, const char *text)
{
    watch_note(ctx, text, false);
}

/* Who does not read loses lines of a tool, not the job. */
static void on_output(void *ctx, const char *line)
{
    struct watch *w = ctx;
    struct err e = ERR_INIT;

    if (channel_out(w->spec.channel)->len < DETAILS_LIMIT)
        queued(w, message_output(channel_out(w->spec.channel), line, &e));
}

/* Who does not read as fast as is told loses lines, which he hears of, and not the job. Half is left for its end. */
static bool has_room(struct watch *w)
{
    bool has = channel_out(w->spec.channel)->len < CHANNEL_OUT_MAX / 2;

    w->left_out += !has;
    return has;
}

static void on_verdict(void *ctx, const struct verdict *v)
{
    struct watch *w = ctx;
    struct err e = ERR_INIT;

    if (has_room(w))
        queued(w, message_verdict(channel_out(w->spec.channel), v, &e));
}

static void on_planned(void *ctx, const struct planned *planned)
{
    struct watch *w = ctx;
    struct err e = ERR_INIT;

    if (has_room(w))
        queued(w, message_planned(channel_out(w->spec.channel), planned, &e));
}

static void on_finding(void *ctx, const struct finding *f)
{
    struct watch *w = ctx;
    struct err e = ERR_INIT;

    if (has_room(w))
        queued(w, message_finding(channel_out(w->spec.channel), f, &e));
}

/* Nobody can look up later what a private daemon does not tell now. */
static void on_unrotated(void *ctx, const struct unrotated *u)
{
    struct watch *w = ctx;
    bool fits = w->spec.is_private ? channel_out(w->spec.channel)->len < CHANNEL_OUT_MAX / 2
                                   : channel_out(w->spec.channel)->len < DETAILS_LIMIT && w->unrotated < UNROTATED_MAX;
    struct err e = ERR_INIT;

    w->unrotated++;
    if (fits)
        queued(w, message_unrotated(channel_out(w->spec.channel), u, &e));
    else
        w->untold++;
}

static void tell_untold(struct watch *w)
{
    char text[96];
    struct err e = ERR_INIT;

    (void)snprintf(
            text, sizeof(text), "and %u more failures%s", w->untold, w->spec.is_private ? "" : ", in the daemon's log");
    queued(w, message_note(channel_out(w->spec.channel), text, false, &e));
}

static void tell_left_out(struct watch *w)
{
    char text[96];
    struct err e = ERR_INIT;

    (void)snprintf(text, sizeof(text), "%u lines are left out: they were not read as fast as they came", w->left_out);
    queued(w, message_note(channel_out(w->spec.channel), text, false, &e));
}

static void on_done(void *ctx, const struct job_result *result, const struct err *err)
{
    struct watch *w = ctx;

    w->spec.on_done(w->spec.ctx, result, err);
}

void watch_tell_left_out(struct watch *w)
{
    if (w->untold)
        tell_untold(w);
    if (w->left_out)
        tell_left_out(w);
}

void watch_init(struct watch *w, const struct watch_spec *spec)
{
    *w = (struct watch){.spec = *spec};
}

void watch_begin(struct watch *w)
{
    w->started_ms = uv_now(w->spec.loop);
}

struct job_sink watch_sink(struct watch *w)
{
    return (struct job_sink){
            .ctx = w,
            .progress = on_progress,
            .note = on_note,
            .output = on_output,
            .verdict = on_verdict,
            .planned = on_planned,
            .unrotated = on_unrotated,
            .finding = on_finding,
            .done = on_done,
    };
}
