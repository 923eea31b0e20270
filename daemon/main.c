/*
 * etcd-backupd: the table of contents of the program.
 *
 *     core/options.h       the command line               conf/conf.h            the configuration
 *     core/core.h          what jobs share                jobs.h                 which jobs run
 *     control/control.h    the socket of etcd-backupctl   job/backup/backup.h    a snapshot becomes an object
 *     timer/cycle.h        a backup when one is due       job/prune/prune.h      what is too old goes
 *     tell/metrics.h       numbers for Prometheus         job/restore/restore.h  an object becomes a data directory
 *     tell/hooks.h         the operator's own commands    job/verify/verify.h    is it good?
 *     tell/notify.h        what systemd hears             job/rotate/rotate.h    another master key
 *     tell/heartbeat.h     a monitor elsewhere            job/check/check.h      what would fail?
 *     core/initial_conf.h  what is wrong at the start     core/log.h             one line an event
 *
 * Life: everything is set up, the loop runs, and the first SIGTERM or SIGINT ends it: the control socket closes, the
 * job is asked to stop and takes back what it left in the bucket, who asked for it is told, and the loop runs dry. A
 * second signal leaves at once. SIGHUP reads the configuration anew. A daemon that was started by its socket and has no
 * schedule leaves when nobody has asked for anything for a while.
 */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/inherited.h"
#include "base/timestamp.h"
#include "conf/conf.h"
#include "control/activation.h"
#include "control/control.h"
#include "core/core.h"
#include "core/initial_conf.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/options.h"
#include "jobs.h"
#include "tell/heartbeat.h"
#include "tell/hooks.h"
#include "tell/metrics.h"
#include "tell/notify.h"
#include "timer/cycle.h"
#include "version.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { STOP_MS = 80000 };      /* within the TimeoutStopSec= of our unit */
enum { TURN_MS = 10000 };      /* for a turn that is to be given back, behind the end of a job */
enum { HEARTBEAT_MS = 40000 }; /* for what a monitor is still to be told: three tries */
enum { LAST_LINES_MS = 1000 }; /* for the end of the log, where nobody reads it */

/* What the daemon hears. The last two may come from a terminal, and reach the whole foreground group: of a private
 * daemon's, etcd-backupctl is the one to react, and its end is ours. */
static const struct {
    int number;
    const char *name;
    bool of_terminal;
} heard_signals[] = {
        {SIGTERM, "SIGTERM", false},
        {SIGINT, "SIGINT", true},
        {SIGHUP, "SIGHUP", true},
};
enum { N_SIGNALS = ARRAY_LEN(heard_signals) };

struct daemon {
    uv_loop_t loop;
    struct conf *conf;
    struct core *core;
    struct jobs *jobs;
    struct control *control;
    struct hooks *hooks;
    struct heartbeat *heartbeat;
    /* None of these in a private daemon. */
    struct notify *notify;
    struct cycle *cycle;
    struct metrics *metrics;
    uv_timer_t idle; /* until a daemon that was started by its socket leaves */
    uint64_t idle_exit_ms;
    bool is_activated;
    uv_signal_t signals[N_SIGNALS];
    bool is_private; /* serves one client and leaves with it */
    bool is_refused; /* the configuration that was read last, as STATUS= says */
    bool is_stopping;
    uint64_t stop_at; /* the latest, when it is; by the loop's clock */
};

/* ---- the end ---- */

static void close_rest(struct daemon *d)
{
    const uint64_t left = d->stop_at > uv_now(&d->loop) ? d->stop_at - uv_now(&d->loop) : 0;

    for (size_t i = 0; i < N_SIGNALS; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    uv_close((uv_handle_t *)&d->idle, NULL);
    control_free(TAKE_PTR(d->control));
    hooks_stop(d->hooks, left);
    cycle_close(d->cycle);
    heartbeat_stop(d->heartbeat, left < HEARTBEAT_MS ? left : HEARTBEAT_MS);
    metrics_stop(d->metrics);
    notify_free(TAKE_PTR(d->notify));
    core_stop(d->core);
}

/* A store that answers nothing keeps an abort waiting for longer than anybody waits for us. */
static void on_stopped_too_slowly(uv_timer_t *timer)
{
    const struct daemon *d = timer->data;

    log_error("the %s did not end within %d s: leaving at once; what it left in the bucket goes with a later prune",
            jobs_running(d->jobs), STOP_MS / 1000);
    log_flush(LAST_LINES_MS);
    _exit(EXIT_FAILED);
}

/* Others wait for `schedule.takeover` then, and no longer. */
static void on_turn_kept_too_long(uv_timer_t *timer)
{
    log_warning("the turn could not be given back in time: who shares the schedule waits for `schedule.takeover`");
    close_rest(timer->data);
}

/* No job runs. */
static void stop_rest(struct daemon *d)
{
    const uint64_t left = d->stop_at > uv_now(&d->loop) ? d->stop_at - uv_now(&d->loop) : 0;

    if (cycle_is_leaving(d->cycle)) /* on_left follows */
        (void)uv_timer_start(&d->idle, on_turn_kept_too_long, left < TURN_MS ? left : TURN_MS, 0);
    else
        close_rest(d);
}

static void on_left(void *ctx)
{
    struct daemon *d = ctx;

    if (!jobs_running(d->jobs)) /* else on_idle follows */
        close_rest(d);
}

static void stop(struct daemon *d)
{
    d->is_stopping = true;
    d->stop_at = uv_now(&d->loop) + STOP_MS;
    notify_stopping(d->notify);
    control_stop(d->control);
    cycle_stop(d->cycle, d, on_left);
    if (jobs_running(d->jobs)) {
        (void)uv_timer_start(&d->idle, on_stopped_too_slowly, STOP_MS, 0);
        jobs_stop(d->jobs); /* on_idle follows */
    } else {
        stop_rest(d);
    }
}

/* Started by its socket, without a schedule: nothing to stay for. */
static void on_idle_long_enough(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    char limit[DURATION_TEXT_MAX];

    if (control_is_used(d->control) || jobs_running(d->jobs) || hooks_is_running(d->hooks) ||
            heartbeat_is_busy(d->heartbeat)) {
        (void)uv_timer_start(timer, on_idle_long_enough, d->idle_exit_ms, 0);
        return;
    }
    log_info("nobody has asked for anything for %s: leaving until somebody does",
            duration_format(d->idle_exit_ms, limit));
    stop(d);
}

static void leave_when_idle(struct daemon *d)
{
    const struct conf_schedule *schedule = &core_conf(d->core)->schedule;
    const struct conf_verify *verify = &core_conf(d->core)->verify;

    uv_update_time(&d->loop); /* at the start the loop has not turned yet, and its time is that of its making */
    if (d->is_activated && !schedule->interval_ms && !schedule->cron && !verify->interval_ms && !verify->cron)
        (void)uv_timer_start(&d->idle, on_idle_long_enough, d->idle_exit_ms, 0);
    else
        (void)uv_timer_stop(&d->idle);
}

static void on_idle(void *ctx)
{
    struct daemon *d = ctx;

    if (!d->is_stopping)
        leave_when_idle(d);
    else if (!jobs_running(d->jobs))
        stop_rest(d);
}

/* ---- another configuration ---- */

static enum log_level threshold_of(const struct conf *conf, bool is_private);
static void warn(void *ctx, const char *text);

static const char *source_of(const struct conf *conf)
{
    return conf->etcd.n_endpoints ? conf->etcd.endpoints[0] : "no backups (no etcd_client.endpoints)";
}

/* What cannot change while the daemon runs. */
static void warn_of_restart(const struct conf *old, const struct conf *new)
{
    if (strcmp(old->control.socket, new->control.socket) != 0 ||
            strcmp(old->control.group ? old->control.group : "", new->control.group ? new->control.group : "") != 0)
        log_warning("control.socket and control.group change with a restart alone");
    if (strcmp(old->metrics.listen ? old->metrics.listen : "", new->metrics.listen ? new->metrics.listen : "") != 0)
        log_warning("metrics.listen changes with a restart alone");
}

static bool is_other_bucket(const struct conf_s3 *a, const struct conf_s3 *b)
{
    return strcmp(a->endpoint, b->endpoint) != 0 || strcmp(a->bucket, b->bucket) != 0 ||
           strcmp(a->objects_prefix, b->objects_prefix) != 0;
}

static void on_conf_taken(void *ctx, struct conf *unused)
{
    struct daemon *d = ctx;
    bool is_new = unused == d->conf;

    if (is_new) { /* else it is one that another has overtaken */
        d->conf = (struct conf *)(uintptr_t)core_conf(d->core);
        warn_of_restart(unused, d->conf);
        if (is_other_bucket(&unused->s3, &d->conf->s3))
            jobs_forget(d->jobs);
        conf_warnings(d->conf, warn, NULL);
        log_set_threshold(threshold_of(d->conf, false));
        log_info("the configuration was read anew: %s to %s", source_of(d->conf), core_bucket_url(d->core));
        if (d->is_refused)
            notify_status(d->notify, "ready");
        d->is_refused = false;
    }
    conf_free(unused);
    if (d->is_stopping || core_is_waiting(d->core))
        return;
    cycle_reload(d->cycle);
    leave_when_idle(d);
}

/* Of several objections the service manager shows the last. */
static void refuse_conf(void *ctx, const struct err *why)
{
    struct daemon *d = ctx;

    log_error("the configuration stays as it was: %s", why->text);
    notify_status(d->notify, "the configuration stays as it was: %s", why->text);
    d->is_refused = true;
}

static void reload(struct daemon *d)
{
    struct err e = ERR_INIT;
    struct conf *conf;

    notify_reloading(d->notify);
    conf = conf_load(d->conf->file, &e);
    if (!conf)
        refuse_conf(d, &e);
    if (conf && conf_check_files(conf, CONF_SCOPE_ALL, refuse_conf, d) == 0) {
        core_reload(d->core, conf, d, on_conf_taken);
        jobs_give_up_verification(d->jobs);
        if (core_conf(d->core) != conf)
            log_info("the new configuration is good; it is taken into use when nothing runs any more");
    } else {
        conf_free(conf);
    }
    notify_ready(d->notify);
}

/* ---- signals ---- */

static const char *signal_name(int number)
{
    for (size_t i = 0; i < N_SIGNALS; i++)
        if (heard_signals[i].number == number)
            return heard_signals[i].name;
    return "a signal";
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *d = handle->data;

    if (number == SIGHUP) {
        if (!d->is_stopping)
            reload(d);
        return;
    }
    if (d->is_stopping) {
        log_warning("%s again: leaving at once", signal_name(number));
        log_flush(LAST_LINES_MS);
        _exit(EXIT_FAILED);
    }
    log_info("%s: stopping%s", signal_name(number), jobs_running(d->jobs) ? ", the running job is taken back" : "");
    stop(d);
}

static void on_private_gone(void *ctx)
{
    struct daemon *d = ctx;

    if (!d->is_stopping)
        stop(d);
}

/* ---- the beginning ---- */

/* No core dumps: memory holds keys, and the snapshot holds the secrets of a whole cluster. */
static void harden_process(void)
{
    struct rlimit none = {0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
}

static enum log_level threshold_of(const struct conf *conf, bool is_private)
{
    static const enum log_level levels[] = {
            [CONF_LOG_ERROR] = LOG_ERROR,
            [CONF_LOG_WARNING] = LOG_WARNING,
            [CONF_LOG_INFO] = LOG_INFO,
            [CONF_LOG_DEBUG] = LOG_DEBUG,
    };
    enum log_level level = levels[conf->log_level];

    /* The person in front of a private daemon is told by etcd-backupctl what there is to tell. */
    return is_private && level == LOG_INFO ? LOG_WARNING : level;
}

static void warn(void *ctx, const char *text)
{
    (void)ctx;
    log_warning("%s", text);
}

static void watch_signals(struct daemon *d)
{
    for (size_t i = 0; i < N_SIGNALS; i++) {
        (void)uv_signal_init(&d->loop, &d->signals[i]);
        d->signals[i].data = d;
        if (d->is_private && heard_signals[i].of_terminal)
            (void)signal(heard_signals[i].number, SIG_IGN);
        else
            (void)uv_signal_start(&d->signals[i], on_signal, heard_signals[i].number);
    }
}

static int listen_for_clients(struct daemon *d, const struct control_spec *spec, struct err *e)
{
    int fd = activation_take();

    if (fd == -2)
        return err_set(
                e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the service manager hands over more than the control socket");
    d->is_activated = fd >= 0;
    d->control = fd >= 0 ? control_serve_listener(spec, fd, e) : control_listen(spec, e);
    return d->control ? 0 : -1;
}

static void on_verify_failed(void *ctx, const struct err *why)
{
    hooks_tell_verify_failed(ctx, why);
}

/* What a daemon has that stays. The order of the observers is that of being told. */
static int set_up_service(struct daemon *d, struct control_spec *control, struct err *e)
{
    notify_watch(d->notify, d->jobs);
    if (!(d->cycle = cycle_new(d->core, d->jobs, e)))
        return -1;
    d->metrics = metrics_new(d->core, d->jobs, d->cycle, e);
    if (!d->metrics && e->kind)
        return -1;
    cycle_watch_verification(d->cycle, &(struct verification_watcher){.ctx = d->hooks, .failed = on_verify_failed});
    control->cycle = d->cycle;
    return listen_for_clients(d, control, e);
}

static int set_up(struct daemon *d, const struct options *o, struct err *e)
{
    struct control_spec control = {.started = timestamp_now(), .ctx = d};

    d->core = core_new(&d->loop, d->conf, !d->is_private, e);
    if (!d->core || !(d->jobs = jobs_new(d->core, d->is_private, e)))
        return -1;
    control.core = d->core;
    control.jobs = d->jobs;
    if (!(d->hooks = hooks_new(d->core, d->jobs, e)) || !(d->heartbeat = heartbeat_new(d->core, d->jobs, e)))
        return -1;
    if (!d->is_private) {
        if (set_up_service(d, &control, e) < 0)
            return -1;
    } else {
        control.on_private_gone = on_private_gone;
        d->control = control_serve_fd(&control, o->control_fd, e);
    }
    /* The last to be told that nothing runs: by then the cycle may have started what is next. */
    jobs_observe(d->jobs, &(struct jobs_observer){.ctx = d, .idle = on_idle});
    return d->control ? 0 : -1;
}

static void tell_ready(struct daemon *d)
{
    log_info("etcd-backupd " VERSION " is ready: %s to %s, control socket %s", source_of(d->conf),
            core_bucket_url(d->core), d->is_activated ? "of the service manager" : d->conf->control.socket);
    notify_ready(d->notify);
    notify_status(d->notify, "ready");
    leave_when_idle(d);
    memory_give_back(); /* what only the start needed */
}

static int run(struct daemon *d, const struct options *o)
{
    struct err e = ERR_INIT;
    int status = EXIT_OK;

    d->is_private = o->control_fd >= 0;
    d->idle_exit_ms = o->idle_exit_ms;
    conf_warnings(d->conf, warn, NULL);
    watch_signals(d);
    (void)uv_timer_init(&d->loop, &d->idle);
    d->idle.data = d;
    d->notify = d->is_private ? NULL : notify_new(&d->loop);
    if (set_up(d, o, &e) < 0) {
        log_error("%s", e.text);
        cycle_stop(d->cycle, NULL, NULL);
        close_rest(d);
        status = e.kind == ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    } else if (!d->is_private) {
        tell_ready(d);
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    jobs_free(d->jobs);
    cycle_free(d->cycle);
    metrics_free(d->metrics);
    hooks_free(d->hooks);
    heartbeat_free(d->heartbeat);
    core_free(d->core);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT); /* what core_free closed */
    return status;
}

int main(int argc, char **argv)
{
    struct daemon d = {0};
    struct options o;
    bool may_pass;
    int status = inherited_clean() < 0 ? EXIT_FAILED : options_parse(argc, argv, &o);

    if (status >= 0)
        return status;
    harden_process();
    memory_tune();
    if (sodium_init() < 0) {
        (void)fputs("etcd-backupd: libsodium does not start\n", stderr);
        return EXIT_FAILED;
    }
    d.conf = initial_conf_load(&o, &may_pass);
    if (!d.conf)
        return may_pass ? EXIT_FAILED : EXIT_USAGE;
    status = EXIT_OK;
    if (o.check_config) {
        initial_conf_tell(d.conf);
    } else if (uv_loop_init(&d.loop) < 0) {
        (void)fputs("etcd-backupd: no event loop (out of descriptors?)\n", stderr);
        status = EXIT_FAILED;
    } else {
        log_set_threshold(threshold_of(d.conf, o.control_fd >= 0));
        log_start();
        status = run(&d, &o);
        log_flush(LAST_LINES_MS);
        (void)uv_loop_close(&d.loop);
    }
    conf_free(d.conf);
    return status;
}
