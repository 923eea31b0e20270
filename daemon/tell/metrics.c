#include "tell/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "core/certificates.h"
#include "core/log.h"
#include "tell/metrics_page.h"

enum {
    CONNECTIONS_MAX = 16,
    TIMEOUT_S = 10,
    RETRY_MS = 10000,
    MEMORY_MAX = 16 << 10 /* of a connection */
};

struct metrics {
    struct core *core;
    struct jobs *jobs;
    const struct cycle *cycle;
    struct MHD_Daemon *server;
    uv_poll_t poll;
    uv_timer_t timer; /* what libmicrohttpd asks for; before it listens: until another try */
    uv_getaddrinfo_t lookup;
    bool is_looking_up;
    bool is_stopped;
    unsigned tries; /* to listen */
    unsigned open_handles;
    bool is_freed;
    struct metrics_counts counts;
};

/* ---- counting ---- */

static void count_backup(struct metrics_counts *c, const struct backup_result *r)
{
    c->successes++;
    c->bytes += r->snapshot_size;
    c->last_size = r->snapshot_size;
    c->last_stored_size = r->stored_size;
    c->last_duration_ms = r->elapsed_ms;
    if (r->members.verdict == ETCD_COMPARE_NOT) /* says nothing, and takes nothing back */
        return;
    c->members_compared = true;
    c->members_diverge = r->members.verdict == ETCD_COMPARE_DIVERGE;
}

static void on_backup_ended(struct metrics_counts *c, const struct backup_result *r, const struct err *err)
{
    if (r) { /* else it did not even begin */
        c->attempts += r->attempts;
        c->read_ms += r->read_ms;
    }
    if (err)
        c->failures[err->kind]++;
    else
        count_backup(c, r);
}

static void on_prune_ended(struct metrics_counts *c, const struct prune_result *r, const struct err *err)
{
    if (r->dry_run)
        return;
    c->pruned += r->deleted;
    c->prune_failures += err != NULL;
}

static void on_ended(void *ctx, const char *job, const struct job_result *result, const struct err *err)
{
    struct metrics *m = ctx;

    if (strcmp(job, "backup") == 0)
        on_backup_ended(&m->counts, result ? result->backup : NULL, err);
    else if (strcmp(job, "prune") == 0)
        on_prune_ended(&m->counts, result->prune, err);
}

/* ---- answering ---- */

/* Of those that do not expire there is nothing to tell. */
static void find_credentials(const struct core *core, struct metrics_facts *facts)
{
    struct cloud_state state;

    if (!core_credentials_state(core, &state))
        return;
    facts->credentials_expire = state.expires > 0 ? state.expires : 0;
    facts->expires = facts->credentials_expire || !state.is_there;
}

static struct MHD_Response *make_page(const struct metrics *m)
{
    struct certificate_file certificates[CERTIFICATES_MAX];
    struct metrics_facts facts = {.counts = m->counts, .jobs = jobs_state(m->jobs), .certificates = certificates};
    struct MHD_Response *response;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    facts.counts.prune_failures += jobs_state(m->jobs)->prunes_refused;
    cycle_get_state(m->cycle, &facts.cycle);
    find_credentials(m->core, &facts);
    facts.max_age = core_conf(m->core)->health.max_age_ms / 1000;
    facts.n_certificates = certificates_find(core_conf(m->core), certificates);
    metrics_page_write(out, &facts);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (response)
        (void)MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    return response;
}

static struct MHD_Response *make_text(const char *text)
{
    struct MHD_Response *response =
            MHD_create_response_from_buffer(strlen(text), (char *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);

    if (response)
        (void)MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    return response;
}

static struct MHD_Response *make_health(const struct metrics *m, unsigned *status)
{
    struct cycle_state cycle;
    char text[ERR_TEXT_MAX];

    cycle_get_state(m->cycle, &cycle);
    *status =
            (unsigned)metrics_page_health(&cycle, core_conf(m->core)->health.max_age_ms / 1000, timestamp_now(), text);
    return make_text(text);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
        const char *version, const char *upload, size_t *upload_size, void **request)
{
    static int seen; /* libmicrohttpd calls once with the header alone */
    const struct metrics *m = ctx;
    unsigned status = MHD_HTTP_OK;
    struct MHD_Response *response;
    enum MHD_Result r;

    (void)version;
    (void)upload;
    if (!*request) {
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_size) { /* whatever it is, nobody wants it; the answer comes after it */
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        response = make_text("GET, please\n");
    } else if (strcmp(url, "/metrics") == 0) {
        response = make_page(m);
    } else if (strcmp(url, "/healthz") == 0) {
        response = make_health(m, &status);
    } else {
        status = MHD_HTTP_NOT_FOUND;
        response = make_text("there are /metrics and /healthz\n");
    }
    if (!response)
        return MHD_NO;
    r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

/* ---- on our loop ---- */

static void run_server(struct metrics *m);

static void on_timer(uv_timer_t *timer)
{
    run_server(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run_server(poll->data);
}

static void run_server(struct metrics *m)
{
    MHD_UNSIGNED_LONG_LONG ms;

    (void)MHD_run(m->server);
    /* At its limit of connections it stops listening. It begins again in the run after that in which one ended, of
     * which no event would tell. */
    (void)MHD_run(m->server);
    if (MHD_get_timeout(m->server, &ms) == MHD_YES)
        (void)uv_timer_start(&m->timer, on_timer, ms, 0);
    else
        (void)uv_timer_stop(&m->timer);
}

/* ---- beginning and end ---- */

static void listen_later(struct metrics *m, const char *why);

/* Splits "HOST:PORT" or "[IPv6]:PORT", which it changes. */
static const char *split(char *listen, const char **port)
{
    char *colon = strrchr(listen, ':');

    *port = "";
    if (!colon)
        return listen;
    *colon = '\0';
    *port = colon + 1;
    if (listen[0] == '[' && colon - listen > 1) {
        colon[-1] = '\0';
        listen++;
    }
    return listen;
}

static int join_loop(struct metrics *m, struct err *e)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(m->server, MHD_DAEMON_INFO_EPOLL_FD);
    uv_loop_t *loop = core_loop(m->core);

    if (!info || uv_poll_init(loop, &m->poll, info->epoll_fd) < 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "metrics.listen: no descriptor to wait for");
    m->open_handles++;
    m->poll.data = m;
    (void)uv_poll_start(&m->poll, UV_READABLE, on_poll);
    return 0;
}

/* Why the server cannot listen there: libmicrohttpd since 1.0 closes its socket before it lets us see errno. 0: it
 * could. */
static int why_not(const struct addrinfo *address)
{
    int one = 1;
    _cleanup_close_ int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
            bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, 1) < 0)
        return errno;
    return 0;
}

static int listen_on(struct metrics *m, const struct addrinfo *address, struct err *e)
{
    unsigned flags = MHD_USE_EPOLL;

    if (address->ai_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    m->server = MHD_start_daemon(flags, 0, NULL, NULL, on_request, m, MHD_OPTION_SOCK_ADDR, address->ai_addr,
            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX, MHD_OPTION_END);
    if (!m->server) {
        int why = why_not(address);

        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_ERRNO, why, "%s", why ? strerror(why) : "cannot listen");
    }
    if (join_loop(m, e) == 0)
        return 0;
    MHD_stop_daemon(TAKE_PTR(m->server));
    return -1;
}

static void listen_or_wait(struct metrics *m, const struct addrinfo *address)
{
    struct err e = ERR_INIT;

    if (listen_on(m, address, &e) < 0)
        listen_later(m, e.text);
    else if (m->tries > 1)
        log_info("metrics.listen: %s: listens now", core_conf(m->core)->metrics.listen);
}

static void free_if_closed(struct metrics *m);

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct metrics *m = CONTAINER_OF(request, struct metrics, lookup);

    m->is_looking_up = false;
    if (!m->is_stopped && status == 0)
        listen_or_wait(m, found);
    else if (!m->is_stopped)
        listen_later(m, uv_strerror(status));
    uv_freeaddrinfo(found);
    free_if_closed(m);
}

/* A name is looked up beside the loop, which does not stand still for it; an address needs no look. */
static void try_to_listen(uv_timer_t *timer)
{
    struct metrics *m = timer->data;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST}, *found = NULL;
    _cleanup_free_ char *listen = strdup(core_conf(m->core)->metrics.listen);
    const char *host, *port;

    m->tries++;
    if (!listen) {
        listen_later(m, "out of memory");
        return;
    }
    host = split(listen, &port);
    if (getaddrinfo(host, port, &hints, &found) == 0) {
        listen_or_wait(m, found);
        freeaddrinfo(found);
        return;
    }
    hints.ai_flags = AI_PASSIVE;
    m->is_looking_up = uv_getaddrinfo(core_loop(m->core), &m->lookup, on_resolved, host, port, &hints) == 0;
    if (!m->is_looking_up)
        listen_later(m, "cannot be looked up");
}

/* Somebody has the port, the address comes up later than we, the resolver is not there yet: that passes, and backups
 * do not wait for it. */
static void listen_later(struct metrics *m, const char *why)
{
    log_write(m->tries == 1 ? LOG_WARNING : LOG_DEBUG, "metrics.listen: %s: %s; tried again every %d s",
            core_conf(m->core)->metrics.listen, why, RETRY_MS / 1000);
    (void)uv_timer_start(&m->timer, try_to_listen, RETRY_MS, 0);
}

struct metrics *metrics_new(struct core *core, struct jobs *jobs, const struct cycle *cycle, struct err *e)
{
    struct metrics *m;

    if (!core_conf(core)->metrics.listen)
        return NULL;
    m = calloc(1, sizeof(*m));
    if (!m) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    m->core = core;
    m->jobs = jobs;
    m->cycle = cycle;
    (void)uv_timer_init(core_loop(core), &m->timer);
    m->open_handles = 1;
    m->timer.data = m;
    jobs_observe(jobs, &(struct jobs_observer){.ctx = m, .ended = on_ended});
    try_to_listen(&m->timer);
    return m;
}

static void free_if_closed(struct metrics *m)
{
    if (m->is_freed && m->open_handles == 0 && !m->is_looking_up)
        free(m);
}

/* libmicrohttpd closes its epoll descriptor, which libuv must have let go of. */
static void on_closed(uv_handle_t *h)
{
    struct metrics *m = h->data;

    if (--m->open_handles == 0 && m->server)
        MHD_stop_daemon(TAKE_PTR(m->server));
    free_if_closed(m);
}

void metrics_stop(struct metrics *m)
{
    if (!m || m->is_stopped)
        return;
    m->is_stopped = true;
    if (m->is_looking_up)
        (void)uv_cancel((uv_req_t *)&m->lookup);
    if (m->server)
        uv_close((uv_handle_t *)&m->poll, on_closed);
    uv_close((uv_handle_t *)&m->timer, on_closed);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    metrics_stop(m);
    m->is_freed = true;
    free_if_closed(m);
}
