#include "tell/heartbeat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "core/log.h"
#include "http/exchange.h"
#include "http/proxy.h"
#include "tell/event.h"

enum { URL_LEN_MAX = 2048, CONNECT_MS = 5000, TOTAL_MS = 10000, RETRY_MS = 1000 };

/* One call that is to be made. */
struct call {
    const char *name;   /* "start", "success", "failure" */
    const char *suffix; /* behind the URL */
    char *body;
    size_t len;
};

struct heartbeat {
    struct core *core;
    struct call calls[HEARTBEAT_QUEUE]; /* the first is under way */
    unsigned n_calls;
    unsigned tries; /* of the first */
    struct http_exchange *exchange;
    struct http_proxy proxy; /* of the exchange */
    uv_timer_t retry, grace;
    bool is_stopping;
};

static void try_first(struct heartbeat *h);

static void close_if_done(struct heartbeat *h)
{
    if (!h->is_stopping || h->n_calls || uv_is_closing((uv_handle_t *)&h->grace))
        return;
    uv_close((uv_handle_t *)&h->retry, NULL);
    uv_close((uv_handle_t *)&h->grace, NULL);
}

static void drop_first(struct heartbeat *h)
{
    free(h->calls[0].body);
    memmove(h->calls, h->calls + 1, --h->n_calls * sizeof(h->calls[0]));
    h->tries = 0;
    if (h->n_calls)
        try_first(h);
    else
        close_if_done(h);
}

/* ---- a call ---- */

static void on_retry(uv_timer_t *timer)
{
    try_first(timer->data);
}

static void fail(struct heartbeat *h, const struct err *why)
{
    const bool again = err_is_transient(why) && h->tries < HEARTBEAT_TRIES;

    log_write(again ? LOG_DEBUG : LOG_WARNING, "heartbeat: %s could not be told: %s", h->calls[0].name, why->text);
    if (again)
        (void)uv_timer_start(&h->retry, on_retry, (uint64_t)RETRY_MS << (h->tries - 1), 0);
    else
        drop_first(h);
}

static void on_done(void *ctx, const struct http_exchange_answer *answer, const struct err *err)
{
    struct heartbeat *h = ctx;
    struct err e = err ? *err : ERR_INIT;

    h->exchange = NULL;
    if (answer && answer->status >= 200 && answer->status < 300) {
        log_debug("heartbeat: %s is told", h->calls[0].name);
        drop_first(h);
        return;
    }
    if (answer)
        (void)err_set(&e, answer->status >= 500 || answer->status == 429 ? ERR_TRANSIENT : ERR_CONFIG, ERR_DOMAIN_HTTP,
                answer->status, "HTTP %d%s", answer->status,
                answer->status >= 300 && answer->status < 400 ? ", a redirect, which is not followed" : "");
    fail(h, &e);
}

/* The file's one line with the suffix behind the path, before a query. NULL with an error. The caller frees. */
static struct secret *make_url(const char *path, const char *suffix, struct err *e)
{
    _cleanup_secret_ struct secret *text = secret_read_file(path, URL_LEN_MAX, true, e);
    struct secret *url;
    const char *line, *query;
    size_t len, head;

    if (!text)
        return NULL;
    line = (const char *)secret_const_data(text);
    len = secret_len(text);
    while (len && strchr(" \t\r\n", line[len - 1]) && line[len - 1])
        len--;
    if (!len || memchr(line, '\0', len) || memchr(line, '\n', len) || memchr(line, ' ', len)) {
        (void)err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: has to hold one URL, and nothing else", path);
        return NULL;
    }
    query = memchr(line, '?', len);
    head = query ? (size_t)(query - line) : len;
    if (*suffix && head && line[head - 1] == '/')
        suffix++;
    url = secret_new(len + strlen(suffix) + 1, e);
    if (!url)
        return NULL;
    memcpy(secret_data(url), line, head);
    memcpy(secret_data(url) + head, suffix, strlen(suffix));
    memcpy(secret_data(url) + head + strlen(suffix), line + head, len - head);
    return url;
}

static void try_first(struct heartbeat *h)
{
    static const struct http_header type = {"Content-Type", "application/json"};
    const struct call *c = &h->calls[0];
    const char *path = core_conf(h->core)->heartbeat.url_file;
    struct http_exchange_spec spec = {
            .method = "POST",
            .name = "the monitor",
            .headers = &type,
            .n_headers = 1,
            .body = {(const uint8_t *)c->body, c->len},
            .proxy = &h->proxy,
            .connect_ms = CONNECT_MS,
            .total_ms = TOTAL_MS,
            .ctx = h,
            .on_done = on_done,
    };
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *url = path ? make_url(path, c->suffix, &e) : NULL;

    h->tries++;
    http_proxy_reset(&h->proxy);
    if (url && http_proxy_set(&h->proxy, core_conf(h->core)->heartbeat.proxy, NULL, NULL, &e) == 0) {
        spec.url = (const char *)secret_const_data(url);
        h->exchange = http_exchange_start(core_loop(h->core), &spec, &e);
    } else if (!path) { /* the configuration was read anew */
        (void)err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "heartbeat.url_file is gone");
    }
    if (!h->exchange)
        fail(h, &e);
}

/* ---- what happens ---- */

static bool is_wanted(const struct conf_heartbeat *conf, const char *name)
{
    if (!conf->url_file)
        return false;
    for (size_t i = 0; i < conf->n_on; i++)
        if (strcmp(conf->on[i], name) == 0)
            return true;
    return conf->n_on == 0;
}

static void call(struct heartbeat *h, const char *name, const char *suffix, const struct backup_result *result,
        const struct err *err)
{
    struct call c = {.name = name, .suffix = suffix};
    FILE *out;

    if (h->is_stopping || !is_wanted(&core_conf(h->core)->heartbeat, name))
        return;
    out = h->n_calls < HEARTBEAT_QUEUE ? open_memstream(&c.body, &c.len) : NULL;
    if (!out) {
        log_warning("heartbeat: %s could not be told: %u calls wait already, or there is no memory", name, h->n_calls);
        return;
    }
    event_write(out, h->core, &(struct event){.of = "backup", .result = result, .err = err});
    if (fclose(out) != 0) {
        free(c.body);
        return;
    }
    h->calls[h->n_calls++] = c;
    if (h->n_calls == 1)
        try_first(h);
}

static void on_started(void *ctx, const char *job)
{
    if (strcmp(job, "backup") == 0)
        call(ctx, "start", "/start", NULL, NULL);
}

static void on_ended(void *ctx, const char *job, const struct job_result *result, const struct err *err)
{
    if (strcmp(job, "backup") != 0 || (err && err->kind == ERR_CANCELLED))
        return;
    if (err)
        call(ctx, "failure", "/fail", NULL, err);
    else
        call(ctx, "success", "", result->backup, NULL);
}

struct heartbeat *heartbeat_new(struct core *core, struct jobs *jobs, struct err *e)
{
    struct heartbeat *h = calloc(1, sizeof(*h));

    if (!h) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    h->core = core;
    (void)uv_timer_init(core_loop(core), &h->retry);
    (void)uv_timer_init(core_loop(core), &h->grace);
    h->retry.data = h->grace.data = h;
    jobs_observe(jobs, &(struct jobs_observer){.ctx = h, .started = on_started, .ended = on_ended});
    return h;
}

bool heartbeat_is_busy(const struct heartbeat *h)
{
    return h && h->n_calls > 0;
}

static void on_waited_enough(uv_timer_t *timer)
{
    struct heartbeat *h = timer->data;

    log_warning("heartbeat: %s could not be told: the daemon ends", h->calls[0].name);
    http_exchange_cancel(TAKE_PTR(h->exchange));
    while (h->n_calls)
        free(h->calls[--h->n_calls].body);
    close_if_done(h);
}

void heartbeat_stop(struct heartbeat *h, uint64_t grace_ms)
{
    if (!h || h->is_stopping)
        return;
    h->is_stopping = true;
    if (h->n_calls) {
        uv_update_time(core_loop(h->core));
        (void)uv_timer_start(&h->grace, on_waited_enough, grace_ms, 0);
    }
    close_if_done(h);
}

void heartbeat_free(struct heartbeat *h)
{
    if (h)
        http_proxy_reset(&h->proxy);
    free(h);
}
