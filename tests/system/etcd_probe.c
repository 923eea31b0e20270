/*
 * etcd_probe: lib/etcd in the hands of a test. What it can be asked for: etcd_probe_options.h.
 *
 * What happens is told on standard output, a line each, at once. The exit status is 0 if the last thing went well, 1 if
 * it failed, 2 for a wrong command line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/members.h"
#include "etcd/client.h"
#include "etcd/snapshot.h"
#include "etcd_probe_options.h"
#include "failing.h"

struct probe {
    struct probe_options o;

    uv_loop_t loop;
    uv_signal_t go_on;
    bool stopped;
    struct etcd_client *client;
    struct etcd_session *session;
    struct etcd_snapshot *snapshot;
    struct secret *password;
    char first[ETCD_ENDPOINT_MAX]; /* of `rotate` */
    uint64_t total, consumed;
    int fd, exit_status;
};

/* With a sanitizer's report in mind a line is never lost in a buffer. */
#define say(...) (void)(printf(__VA_ARGS__), fflush(stdout))

static void say_status(const char *what, const struct etcd_status *s)
{
    say("%s endpoint=%s name=%s version=%s learner=%d leader=%d revision=%" PRId64 " db_size=%" PRIu64
        " in_use=%" PRIu64 " alarms=%s\n",
            what, s->endpoint, s->name, s->version, s->is_learner, s->leader_id == s->member_id, s->revision,
            s->db_size, s->db_size_in_use, s->alarms);
}

static int read_password(void *ctx, const char **username, const struct secret **password, struct err *e)
{
    struct probe *p = ctx;

    secret_free(p->password);
    p->password = secret_read_file(p->o.password_file, 1024, true, e);
    if (!p->password)
        return -1;
    *username = p->o.user;
    *password = p->password;
    return 0;
}

static void finish(struct probe *p, int exit_status)
{
    p->exit_status = exit_status;
    etcd_snapshot_free(TAKE_PTR(p->snapshot));
    etcd_session_close(TAKE_PTR(p->session));
    if (!uv_is_closing((uv_handle_t *)&p->go_on))
        uv_close((uv_handle_t *)&p->go_on, NULL);
}

/* Whether the test wants all of it to be closed within this callback; then it is, the other way round. */
static bool quits_in(struct probe *p, const char *callback)
{
    if (!p->o.quit_in || strcmp(p->o.quit_in, callback) != 0)
        return false;
    say("quit in %s\n", callback);
    etcd_session_close(TAKE_PTR(p->session));
    finish(p, 0);
    return true;
}

static void open_session(struct probe *p);

static void failed(struct probe *p, const char *what, const struct err *err)
{
    say("%s failed %s %s\n", what, err_kind_name(err->kind), err->text);
    if (--p->o.attempts == 0) {
        finish(p, 1);
        return;
    }
    if (p->session)
        etcd_session_blame(p->session, err);
    etcd_snapshot_free(TAKE_PTR(p->snapshot));
    etcd_session_close(TAKE_PTR(p->session));
    open_session(p);
}

static void on_session_failed(void *ctx, const struct err *err)
{
    if (!quits_in(ctx, "session_failed"))
        failed(ctx, "session", err);
}

static void on_status_after(void *ctx, const struct etcd_status *status, const struct err *err)
{
    struct probe *p = ctx;

    if (quits_in(p, "status"))
        return;
    if (err) {
        failed(p, "status", err);
        return;
    }
    say_status("after", status);
    if (--p->o.sessions == 0) {
        finish(p, 0);
        return;
    }
    etcd_snapshot_free(TAKE_PTR(p->snapshot));
    etcd_session_close(TAKE_PTR(p->session));
    open_session(p);
}

static void use_chunk(struct probe *p, struct bytes chunk)
{
    struct err e = ERR_INIT;

    while (chunk.len > 0) {
        ssize_t n = write(p->fd, chunk.data, chunk.len);

        if (n < 0) {
            err_errno(&e, errno, "%s", p->o.file);
            say("file %s\n", e.text);
            exit(1);
        }
        chunk.data += n;
        chunk.len -= (size_t)n;
        p->consumed += (uint64_t)n;
    }
}

static void stop(struct probe *p)
{
    p->o.stop_at = UINT64_MAX;
    p->stopped = true;
    say("stopped %" PRIu64 "\n", p->consumed);
}

static void start_snapshot(struct probe *p);

static void cancel(struct probe *p)
{
    say("cancelled %" PRIu64 "\n", p->consumed);
    if (p->o.again == 0) {
        finish(p, 0);
        return;
    }
    if (--p->o.again == 0)
        p->o.cancel_at = UINT64_MAX;
    etcd_snapshot_free(TAKE_PTR(p->snapshot));
    start_snapshot(p);
}

/* Consumes what there is. Returns whether all has been, the last chunk included. */
static bool pump(struct probe *p)
{
    struct bytes chunk;
    bool last = false;

    while (!p->stopped && !last && (chunk = etcd_snapshot_peek(p->snapshot, &last)).len > 0) {
        use_chunk(p, chunk);
        etcd_snapshot_consume(p->snapshot);
        if (p->consumed >= p->o.cancel_at) {
            cancel(p);
            return false;
        }
        if (p->consumed >= p->o.stop_at)
            stop(p);
    }
    return last;
}

static void on_begin(void *ctx, uint64_t total)
{
    struct probe *p = ctx;

    p->total = total;
    say("begin %" PRIu64 "\n", total);
    (void)quits_in(p, "begin");
}

static void on_readable(void *ctx)
{
    if (!quits_in(ctx, "readable"))
        pump(ctx);
}

static void on_end(void *ctx)
{
    struct probe *p = ctx;
    struct err e = ERR_INIT;

    if (quits_in(p, "end"))
        return;
    p->stopped = false; /* what still waits is here already */
    pump(p);
    say("end %" PRIu64 "\n", p->consumed);
    if (etcd_session_status(p->session, p, on_status_after, &e) < 0)
        failed(p, "status", &e);
}

static void on_failed(void *ctx, const struct err *err)
{
    if (!quits_in(ctx, "failed"))
        failed(ctx, "snapshot", err);
}

static void start_snapshot(struct probe *p)
{
    const struct etcd_snapshot_spec spec = {.chunk = p->o.chunk,
            .ctx = p,
            .on_begin = on_begin,
            .on_readable = on_readable,
            .on_end = on_end,
            .on_failed = on_failed};
    struct err e = ERR_INIT;

    p->consumed = 0;
    if (ftruncate(p->fd, 0) < 0 || lseek(p->fd, 0, SEEK_SET) < 0)
        abort();
    p->snapshot = etcd_snapshot_start(p->session, &spec, &e);
    if (!p->snapshot)
        failed(p, "snapshot", &e);
}

static void rotate(struct probe *p, const char *endpoint)
{
    if (strcmp(p->first, endpoint) == 0) {
        finish(p, 0);
        return;
    }
    if (!p->first[0])
        (void)snprintf(p->first, sizeof(p->first), "%s", endpoint);
    etcd_session_blame(p->session, &(struct err){.kind = ERR_TRANSIENT});
    etcd_session_close(TAKE_PTR(p->session));
    open_session(p);
}

static void on_ready(void *ctx, const struct etcd_status *status)
{
    struct probe *p = ctx;

    say_status("ready", status);
    if (quits_in(p, "ready"))
        return;
    if (strcmp(p->o.command, "snapshot") == 0 && p->o.stop_at == 0)
        stop(p);
    else if (strcmp(p->o.command, "snapshot") == 0)
        start_snapshot(p);
    else if (strcmp(p->o.command, "rotate") == 0)
        rotate(p, status->endpoint);
    else
        finish(p, 0);
}

static void open_session(struct probe *p)
{
    const struct etcd_session_spec spec = {.ctx = p, .on_ready = on_ready, .on_failed = on_session_failed};
    struct err e = ERR_INIT;

    p->session = etcd_session_open(p->client, &spec, &e);
    if (!p->session)
        failed(p, "session", &e);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct probe *p = CONTAINER_OF(signal, struct probe, go_on);

    (void)number;
    p->stopped = false;
    if (p->snapshot)
        pump(p);
    else if (p->session)
        start_snapshot(p);
}

static struct etcd_blame blame_of(void *ctx, const char *endpoint)
{
    return members_blame(ctx, endpoint, uv_hrtime() / 1000000);
}

static void remember(void *ctx, const char *endpoint, const struct err *why)
{
    members_tell(ctx, endpoint, why, uv_hrtime() / 1000000);
}

static int run(struct probe *p)
{
    struct err e = ERR_INIT;
    struct members *members = members_new();

    if (!members)
        return 2;
    p->o.conf.memory_ctx = members;
    p->o.conf.blame = blame_of;
    p->o.conf.remember = remember;

    uv_loop_init(&p->loop);
    uv_signal_init(&p->loop, &p->go_on);
    /* SIGURG, since it may come when this handle is closed already, and must not kill then. */
    uv_signal_start(&p->go_on, on_signal, SIGURG);
    failing_arm(p->o.fail_allocation);
    p->client = etcd_client_new(&p->loop, &p->o.conf, &e);
    if (!p->client) {
        say("client failed %s %s\n", err_kind_name(e.kind), e.text);
        finish(p, 1);
    } else {
        open_session(p);
    }
    uv_run(&p->loop, UV_RUN_DEFAULT);
    if (p->o.fail_allocation > 0)
        say("allocation %s\n", failing_disarm() ? "failed" : "none failed");
    etcd_client_free(p->client);
    secret_free(p->password);
    members_free(members);
    /* Whoever left a handle behind is found here. */
    if (uv_loop_close(&p->loop) != 0)
        abort();
    return p->exit_status;
}

int main(int argc, char **argv)
{
    struct probe p = {.fd = -1};

    if (sodium_init() < 0 || probe_options_read(&p.o, argc, argv) < 0)
        return 2;
    if (p.o.user) {
        p.o.conf.password = read_password;
        p.o.conf.password_ctx = &p;
    }
    if (p.o.file && (p.fd = open(p.o.file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    return run(&p);
}
