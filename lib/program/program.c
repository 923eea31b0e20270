#include "program/program.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "base/cleanup.h"
#include "base/secret.h"

enum {
    KILL_AFTER_MS = 3000, /* of being asked to end */
    STALL_LOOKS = 4,      /* within stall_ms */
    DRAIN_MS = 1000,      /* for the last words of a program that has ended, if somebody else holds its output */
    INHERITED_FD = 3,
    N_VARIABLES = 3,
};

struct program {
    struct program_spec spec;
    char *path;
    uv_process_t process;
    uv_pipe_t output; /* stdout and stderr are one pipe: the order of lines is kept */
    uv_pipe_t raw;    /* stdout, if somebody wants it as it is */
    uv_timer_t timer;
    unsigned open_handles;
    bool exited, drained, raw_drained, stopping, late, stalled;
    uint64_t used;       /* processor time and lines, when something was done last */
    unsigned idle_looks; /* since then */
    int64_t status;
    int signal;
    unsigned lines;
    char line[TOOL_LINE_MAX + 1];
    size_t line_len;
    char last[200]; /* what was said last, for the error */
    char buffer[4096];
};

/* ---- the end ---- */

static void set_error(const struct program *t, struct err *e)
{
    if (t->stopping && !t->late)
        err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    else if (t->stalled)
        err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s did nothing for %u s, and was ended", t->path,
                (unsigned)(t->spec.stall_ms / 1000));
    else if (t->late)
        err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s did not end within %u s", t->path,
                (unsigned)(t->spec.limit_ms / 1000));
    else if (t->signal)
        err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s was ended by signal %d (%s)", t->path, t->signal,
                strsignal(t->signal));
    else
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, t->status, "%s ended with status %d%s%s", t->path, (int)t->status,
                t->last[0] ? ": " : "", t->last);
}

static void on_closed(uv_handle_t *h)
{
    struct program *t = h->data;
    struct program_spec spec = t->spec;
    struct err e = ERR_INIT;

    if (--t->open_handles)
        return;
    if (t->stopping || t->status || t->signal)
        set_error(t, &e);
    free(t->path);
    free(t);
    spec.on_done(spec.ctx, e.kind ? &e : NULL);
}

static void end_if_all_said(struct program *t)
{
    if (!t->exited || !t->drained || !t->raw_drained)
        return;
    t->drained = false; /* once */
    uv_close((uv_handle_t *)&t->process, on_closed);
    uv_close((uv_handle_t *)&t->output, on_closed);
    uv_close((uv_handle_t *)&t->raw, on_closed);
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

/* ---- what it says ---- */

static void end_line(struct program *t)
{
    t->line[t->line_len] = '\0';
    if (t->line_len)
        (void)snprintf(t->last, sizeof(t->last), "%.199s", t->line);
    if (t->line_len && t->lines < TOOL_LINES_MAX) {
        t->lines++;
        t->spec.on_line(t->spec.ctx, t->line);
    }
    t->line_len = 0;
}

static void take_output(struct program *t, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n' || data[i] == '\r')
            end_line(t);
        else if (t->line_len < TOOL_LINE_MAX)
            t->line[t->line_len++] = data[i] == '\t' ? ' ' : data[i] ? data[i] : '?';
    }
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct program *t = h->data;

    (void)suggested;
    *buf = uv_buf_init(t->buffer, sizeof(t->buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct program *t = stream->data;

    if (n > 0) {
        take_output(t, buf->base, (size_t)n);
    } else if (n < 0 && !t->drained) {
        (void)uv_read_stop(stream);
        end_line(t);
        t->drained = true;
        end_if_all_said(t);
    }
}

static void on_read_raw(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct program *t = stream->data;

    if (n > 0) {
        t->spec.on_output(t->spec.ctx, (const uint8_t *)buf->base, (size_t)n);
        secret_wipe(buf->base, (size_t)n);
    } else if (n < 0 && !t->raw_drained) {
        (void)uv_read_stop(stream);
        t->raw_drained = true;
        end_if_all_said(t);
    }
}

/* ---- how long ---- */

static void on_drained_enough(uv_timer_t *timer)
{
    struct program *t = timer->data;

    if (t->drained && t->raw_drained)
        return;
    (void)uv_read_stop((uv_stream_t *)&t->output);
    (void)uv_read_stop((uv_stream_t *)&t->raw);
    if (!t->drained)
        end_line(t);
    t->drained = t->raw_drained = true;
    end_if_all_said(t);
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
    struct program *t = process->data;

    t->exited = true;
    t->status = status;
    t->signal = signal;
    (void)uv_timer_start(&t->timer, on_drained_enough, DRAIN_MS, 0);
    end_if_all_said(t);
}

/* To all of its session's first group, which is its own: not to ours. */
static void send_signal(const struct program *t, int number)
{
    (void)kill(-uv_process_get_pid(&t->process), number);
}

static void kill_it(uv_timer_t *timer)
{
    struct program *t = timer->data;

    send_signal(t, SIGKILL);
}

void program_stop(struct program *t)
{
    if (t->stopping || t->exited)
        return;
    t->stopping = true;
    send_signal(t, SIGTERM);
    (void)uv_timer_start(&t->timer, kill_it, KILL_AFTER_MS, 0);
}

static void on_too_late(uv_timer_t *timer)
{
    struct program *t = timer->data;

    t->late = true;
    program_stop(t);
}

/* Clock ticks that a process of this session has used, with its children that have ended; 0: it is of another one. The
 * name, in parentheses, may hold anything (proc_pid_stat(5)). */
static uint64_t ticks_of(const char *pid, int session)
{
    unsigned long long times[4];
    char path[64], text[1024];
    const char *rest;
    int of = -1;
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    n = fread(text, 1, sizeof(text) - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    rest = strrchr(text, ')');
    if (!rest || sscanf(rest, ") %*c %*d %*d %d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu", &of, &times[0],
                         &times[1], &times[2], &times[3]) != 5)
        return 0;
    return of == session ? times[0] + times[1] + times[2] + times[3] : 0;
}

static uint64_t used_by(const struct program *t)
{
    DIR *proc = opendir("/proc");
    uint64_t used = t->lines;

    for (const struct dirent *d; proc && (d = readdir(proc));)
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
            used += ticks_of(d->d_name, uv_process_get_pid(&t->process));
    if (proc)
        (void)closedir(proc);
    return used;
}

static void watch_for_stall(struct program *t);

static void on_look(uv_timer_t *timer)
{
    struct program *t = timer->data;
    uint64_t used = used_by(t);

    t->idle_looks = used == t->used ? t->idle_looks + 1 : 0;
    t->used = used;
    if (t->idle_looks < STALL_LOOKS) {
        watch_for_stall(t);
        return;
    }
    t->late = t->stalled = true;
    program_stop(t);
}

static void watch_for_stall(struct program *t)
{
    (void)uv_timer_start(&t->timer, on_look, t->spec.stall_ms / STALL_LOOKS, 0);
}

/* ---- the beginning ---- */

static char *variable(const char *name, const char *by_default)
{
    const char *value = getenv(name);
    char *out;

    return asprintf(&out, "%s=%s", name, value && *value ? value : by_default) < 0 ? NULL : out;
}

/* A pipe that `output` reads; the other end goes to *theirs, which the caller closes. Returns libuv's error, or 0. */
static int open_output(uv_pipe_t *output, int *theirs)
{
    uv_file ends[2];
    int r = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);

    if (r < 0)
        return r;
    *theirs = ends[1];
    r = uv_pipe_open(output, ends[0]);
    if (r < 0)
        close(ends[0]);
    return r;
}

static int start_reading(struct program *t)
{
    int r = uv_read_start((uv_stream_t *)&t->output, on_alloc, on_read);

    if (r >= 0 && t->spec.on_output)
        r = uv_read_start((uv_stream_t *)&t->raw, on_alloc, on_read_raw);
    return r;
}

static int spawn(struct program *t, uv_loop_t *loop)
{
    _cleanup_free_ char *path = variable("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    _cleanup_free_ char *home = variable("HOME", "/");
    char api[] = "ETCDCTL_API=3";
    char *environment[N_VARIABLES + 1] = {path, home, api, NULL};
    uv_stdio_container_t stdio[] = {
            {.flags = t->spec.has_input ? UV_INHERIT_FD : UV_IGNORE, .data.fd = t->spec.input},
            {.flags = UV_INHERIT_FD},
            {.flags = UV_INHERIT_FD},
            {.flags = t->spec.inherit_fd >= 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = t->spec.inherit_fd},
            {.flags = UV_IGNORE},
            {.flags = UV_IGNORE},
    };
    uv_process_options_t options = {
            .exit_cb = on_exit_of,
            .file = t->path,
            .args = (char **)(uintptr_t)t->spec.args, /* libuv does not write to them */
            .env = environment,
            .stdio = stdio,
            .stdio_count = INHERITED_FD + 1 + (int)t->spec.n_more,
            .flags = UV_PROCESS_DETACHED,
    };
    int errors = -1, raw = -1, r;

    if (!path || !home)
        return UV_ENOMEM;
    for (unsigned i = 0; i < t->spec.n_more; i++)
        if (t->spec.more_fds[i] >= 0)
            stdio[INHERITED_FD + 1 + i] =
                    (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = t->spec.more_fds[i]};
    (void)close_range(INHERITED_FD, ~0U, CLOSE_RANGE_CLOEXEC); /* not each library that we use says so itself */
    r = open_output(&t->output, &errors);
    if (r >= 0 && t->spec.on_output)
        r = open_output(&t->raw, &raw);
    stdio[1].data.fd = raw >= 0 ? raw : errors;
    stdio[2].data.fd = errors;
    if (r >= 0)
        r = uv_spawn(loop, &t->process, &options);
    if (raw >= 0)
        close(raw);
    if (errors >= 0)
        close(errors);
    return r;
}

static void on_closed_unused(uv_handle_t *h)
{
    struct program *t = h->data;

    if (--t->open_handles)
        return;
    free(t->path);
    free(t);
}

struct program *program_start(uv_loop_t *loop, const struct program_spec *spec, struct err *e)
{
    struct program *t = calloc(1, sizeof(*t));
    int r;

    if (!t || !(t->path = strdup(spec->args[0]))) {
        free(t);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    t->spec = *spec;
    t->process.data = t->output.data = t->raw.data = t->timer.data = t;
    t->raw_drained = !spec->on_output;
    (void)uv_pipe_init(loop, &t->output, 0);
    (void)uv_pipe_init(loop, &t->raw, 0);
    (void)uv_timer_init(loop, &t->timer);
    t->open_handles = 4; /* uv_spawn initialises the process also when it fails */
    r = spawn(t, loop);
    if (r >= 0)
        r = start_reading(t);
    t->spec.args = NULL;
    if (r >= 0) {
        if (spec->limit_ms)
            (void)uv_timer_start(&t->timer, on_too_late, spec->limit_ms, 0);
        else if (spec->stall_ms)
            watch_for_stall(t);
        return t;
    }
    err_errno(e, -r, "%s", t->path);
    if (t->process.type != UV_PROCESS)
        t->open_handles--;
    else
        uv_close((uv_handle_t *)&t->process, on_closed_unused);
    uv_close((uv_handle_t *)&t->output, on_closed_unused);
    uv_close((uv_handle_t *)&t->raw, on_closed_unused);
    uv_close((uv_handle_t *)&t->timer, on_closed_unused);
    return NULL;
}
