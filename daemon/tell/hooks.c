#include "tell/hooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "core/log.h"
#include "program/program.h"
#include "tell/event.h"

struct hook {
    struct hooks *owner;
    struct program *tool; /* NULL: a free place */
    const char *name;
};

struct hooks {
    struct core *core;
    uv_timer_t grace; /* when we are to end */
    bool is_stopping;
    struct hook hooks[HOOKS_MAX];
};

/* ---- the event ---- */

/* A file in memory that holds the event, at its beginning; -1 with an error. */
static int make_input(const struct core *core, const struct event *event, struct err *e)
{
    _cleanup_close_ int fd = memfd_create("etcd-backupd-event", MFD_CLOEXEC);
    int writing = fd >= 0 ? dup(fd) : -1;
    FILE *out = writing >= 0 ? fdopen(writing, "w") : NULL;

    if (!out) {
        if (writing >= 0)
            close(writing);
        return err_errno(e, errno, "a file for the event");
    }
    event_write(out, core, event);
    if (fclose(out) != 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(e, errno, "writing the event");
    return TAKE_FD(fd);
}

/* ---- the command ---- */

static void on_line(void *ctx, const char *line)
{
    const struct hook *h = ctx;

    log_debug("%s: %s", h->name, line);
}

static void close_if_ended(struct hooks *h)
{
    if (h->is_stopping && !hooks_is_running(h) && !uv_is_closing((uv_handle_t *)&h->grace))
        uv_close((uv_handle_t *)&h->grace, NULL);
}

static void on_done(void *ctx, const struct err *err)
{
    struct hook *h = ctx;

    h->tool = NULL;
    if (err)
        log_warning("%s: %s", h->name, err->text);
    close_if_ended(h->owner);
}

static void run(struct hook *h, const char *name, const char *command, int input)
{
    const char *args[] = {"/bin/sh", "-c", command, NULL};
    struct program_spec spec = {
            .args = args,
            .inherit_fd = -1,
            .input = input,
            .has_input = true,
            .limit_ms = core_conf(h->owner->core)->hooks.timeout_ms,
            .ctx = h,
            .on_line = on_line,
            .on_done = on_done,
    };
    struct err e = ERR_INIT;

    h->name = name;
    h->tool = program_start(core_loop(h->owner->core), &spec, &e);
    if (!h->tool)
        log_warning("%s: %s", name, e.text);
}

static struct hook *find_place(struct hooks *h)
{
    for (unsigned i = 0; i < HOOKS_MAX; i++)
        if (!h->hooks[i].tool)
            return &h->hooks[i];
    return NULL;
}

static void tell(struct hooks *h, const struct event *event)
{
    const struct conf_hooks *conf = &core_conf(h->core)->hooks;
    const char *name = event->err ? "hooks.on_failure" : "hooks.on_success";
    const char *command = event->err ? conf->on_failure : conf->on_success;
    struct hook *place = find_place(h);
    _cleanup_close_ int input = -1;
    struct err e = ERR_INIT;

    if (h->is_stopping || !command)
        return;
    if (!place) {
        log_warning("%s: not run: %d of them are running already", name, HOOKS_MAX);
        return;
    }
    input = make_input(h->core, event, &e);
    if (input >= 0)
        run(place, name, command, input);
    else
        log_warning("%s: %s", name, e.text);
}

static void on_ended(void *ctx, const char *job, const struct job_result *result, const struct err *err)
{
    if (strcmp(job, "backup") == 0 && (!err || err->kind != ERR_CANCELLED))
        tell(ctx, &(struct event){.of = "backup", .result = err ? NULL : result->backup, .err = err});
}

void hooks_tell_verify_failed(struct hooks *h, const struct err *why)
{
    tell(h, &(struct event){.of = "verify", .err = why});
}

struct hooks *hooks_new(struct core *core, struct jobs *jobs, struct err *e)
{
    struct hooks *h = calloc(1, sizeof(*h));

    if (!h) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    h->core = core;
    (void)uv_timer_init(core_loop(core), &h->grace);
    h->grace.data = h;
    for (unsigned i = 0; i < HOOKS_MAX; i++)
        h->hooks[i].owner = h;
    jobs_observe(jobs, &(struct jobs_observer){.ctx = h, .ended = on_ended});
    return h;
}

bool hooks_is_running(const struct hooks *h)
{
    for (unsigned i = 0; h && i < HOOKS_MAX; i++)
        if (h->hooks[i].tool)
            return true;
    return false;
}

static void on_waited_enough(uv_timer_t *timer)
{
    const struct hooks *h = timer->data;

    for (unsigned i = 0; i < HOOKS_MAX; i++)
        if (h->hooks[i].tool)
            program_stop(h->hooks[i].tool);
}

void hooks_stop(struct hooks *h, uint64_t grace_ms)
{
    if (!h || h->is_stopping)
        return;
    h->is_stopping = true;
    if (hooks_is_running(h)) {
        log_info("a hook is running: waiting for its end");
        uv_update_time(core_loop(h->core));
        (void)uv_timer_start(&h->grace, on_waited_enough, grace_ms, 0);
    }
    close_if_ended(h);
}

void hooks_free(struct hooks *h)
{
    free(h);
}
