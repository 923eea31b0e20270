/*
 * etcd-backupd: the table of contents of the program.
 *
 *     options.h      the command line                    conf/conf.h    the configuration
 *     core.h         what jobs share                     jobs.h         one job at a time
 *     control.h      the socket that etcd-backupctl uses  job/backup.h   a snapshot becomes an object
 *     log.h          one line an event                   job/restore.h  an object becomes a file
 *
 * Life: everything is set up, the loop runs, and the first SIGTERM, SIGINT or SIGHUP ends it: the control socket
 * closes, the job is asked to stop and takes back what it left in the bucket, and the loop runs dry. A second signal
 * leaves at once.
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
#include "base/timestamp.h"
#include "conf/conf.h"
#include "control.h"
#include "core.h"
#include "jobs.h"
#include "log.h"
#include "memory.h"
#include "options.h"
#include "version.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What ends the daemon. The last two come from a terminal, and reach the whole foreground group: of a private daemon's,
 * etcd-backupctl is the one to react, and its end is ours. */
static const struct {
    int number;
    const char *name;
    bool of_terminal;
} ending_signals[] = {
        {SIGTERM, "SIGTERM", false},
        {SIGINT, "SIGINT", true},
        {SIGHUP, "SIGHUP", true},
};
enum { N_SIGNALS = ARRAY_LEN(ending_signals) };

struct daemon {
    uv_loop_t loop;
    struct conf *conf;
    struct core *core;
    struct jobs *jobs;
    struct control *control;
    uv_signal_t signals[N_SIGNALS];
    bool is_private; /* serves one client and leaves with it */
    bool is_stopping;
};

/* ---- the end ---- */

static void close_rest(struct daemon *d)
{
    for (size_t i = 0; i < N_SIGNALS; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
}

static void on_idle(void *ctx)
{
    struct daemon *d = ctx;

    if (d->is_stopping)
        close_rest(d);
}

static void stop(struct daemon *d)
{
    d->is_stopping = true;
    control_free(TAKE_PTR(d->control));
    if (jobs_state(d->jobs)->running)
        jobs_cancel(d->jobs); /* on_idle follows */
    else
        close_rest(d);
}

static const char *signal_name(int number)
{
    for (size_t i = 0; i < N_SIGNALS; i++)
        if (ending_signals[i].number == number)
            return ending_signals[i].name;
    return "a signal";
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *d = handle->data;

    if (d->is_stopping) {
        log_warning("%s again: leaving at once", signal_name(number));
        _exit(EXIT_FAILED);
    }
    log_info("%s: stopping%s", signal_name(number),
            jobs_state(d->jobs)->running ? ", the running job is taken back" : "");
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

static void print_warning(void *ctx, const char *text)
{
    (void)ctx;
    (void)fprintf(stderr, "warning: %s\n", text);
}

static int check_config(const struct conf *conf)
{
    struct err e = ERR_INIT;

    if (conf_check_files(conf, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.text);
        return EXIT_USAGE;
    }
    conf_warnings(conf, print_warning, NULL);
    (void)printf("%s: the configuration is good\n", conf->file);
    return EXIT_OK;
}

static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void watch_signals(struct daemon *d)
{
    for (size_t i = 0; i < N_SIGNALS; i++) {
        (void)uv_signal_init(&d->loop, &d->signals[i]);
        d->signals[i].data = d;
        if (d->is_private && ending_signals[i].of_terminal)
            (void)signal(ending_signals[i].number, SIG_IGN);
        else if (ending_signals[i].number != SIGHUP || !is_ignored(SIGHUP)) /* nohup(1) wants it so */
            (void)uv_signal_start(&d->signals[i], on_signal, ending_signals[i].number);
    }
}

static int set_up(struct daemon *d, const struct options *o, struct err *e)
{
    struct control_spec control = {.started = timestamp_now(), .ctx = d};

    d->core = core_new(&d->loop, d->conf, e);
    if (!d->core || !(d->jobs = jobs_new(d->core, d->is_private, e)))
        return -1;
    jobs_observe(d->jobs, &(struct jobs_observer){.ctx = d, .idle = on_idle});
    control.core = d->core;
    control.jobs = d->jobs;
    if (d->is_private) {
        control.on_private_gone = on_private_gone;
        d->control = control_serve_fd(&control, o->control_fd, e);
    } else
        d->control = control_listen(&control, e);
    return d->control ? 0 : -1;
}

static int run(struct daemon *d, const struct options *o)
{
    struct err e = ERR_INIT;
    int status = EXIT_OK;

    d->is_private = o->control_fd >= 0;
    conf_warnings(d->conf, warn, NULL);
    watch_signals(d);
    if (set_up(d, o, &e) < 0) {
        log_error("%s", e.text);
        close_rest(d);
        status = e.kind == ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    } else if (!d->is_private) {
        log_info("etcd-backupd " VERSION " is ready: %s to %s, control socket %s", d->conf->etcd.endpoints[0],
                core_bucket_url(d->core), d->conf->control.socket);
        memory_give_back(); /* what only the start needed */
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    jobs_free(d->jobs);
    core_free(d->core);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT); /* what core_free closed */
    return status;
}

int main(int argc, char **argv)
{
    struct daemon d = {0};
    struct options o;
    struct err e = ERR_INIT;
    int status = options_parse(argc, argv, &o);

    if (status >= 0)
        return status;
    harden_process();
    memory_tune();
    if (sodium_init() < 0) {
        (void)fputs("etcd-backupd: libsodium does not start\n", stderr);
        return EXIT_FAILED;
    }
    d.conf = conf_load(o.config, &e);
    if (!d.conf || (!o.check_config && conf_check_files(d.conf, &e) < 0)) {
        (void)fprintf(stderr, "%s\n", e.text);
        conf_free(d.conf);
        return EXIT_USAGE;
    }
    if (o.check_config) {
        status = check_config(d.conf);
    } else if (uv_loop_init(&d.loop) < 0) {
        (void)fputs("etcd-backupd: no event loop (out of descriptors?)\n", stderr);
        status = EXIT_FAILED;
    } else {
        log_set_threshold(threshold_of(d.conf, o.control_fd >= 0));
        status = run(&d, &o);
        (void)uv_loop_close(&d.loop);
    }
    conf_free(d.conf);
    return status;
}
