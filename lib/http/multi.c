#include "http/multi.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/wiped_heap.h"

enum { QUICK_READS = 4 }; /* TLS's last messages, the head of the answer, the beginning of its body */

struct http_multi {
    uv_loop_t *loop;
    uv_timer_t timer;
    CURLM *curl; /* NULL while nothing is in flight and no connection is kept */
    unsigned max_idle;
    unsigned n_handles; /* libuv's that are not closed yet */
    int unwatched;      /* why a socket cannot be waited for, libuv's error: then `curl` is of no more use; else 0 */
    bool close_when_idle, freed;
    TAILQ_HEAD(, http_multi_transfer) transfers; /* in flight */
    TAILQ_HEAD(, http_multi_transfer) told;      /* those whose owners have to be told something */
    LIST_HEAD(, watch) watches;
};

/* A socket that libcurl waits for. */
struct watch {
    uv_poll_t poll;
    struct http_multi *multi;
    LIST_ENTRY(watch) link;
    curl_socket_t fd;
    int events;     /* libuv's, that libcurl waits for */
    int unread;     /* bytes that waited when the socket was last found broken */
    unsigned quick; /* so many times to come the server is told at once that something arrived */
};

static void release(struct http_multi *m)
{
    if (--m->n_handles == 0 && m->freed)
        free(m);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(CONTAINER_OF(handle, struct http_multi, timer));
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = CONTAINER_OF(handle, struct watch, poll);
    struct http_multi *m = w->multi;

    free(w);
    release(m);
}

static void queue(struct http_multi_transfer *t)
{
    if (t->queued)
        return;
    t->queued = true;
    TAILQ_INSERT_TAIL(&t->multi->told, t, link);
}

static void unqueue(struct http_multi_transfer *t)
{
    if (!t->queued)
        return;
    t->queued = false;
    TAILQ_REMOVE(&t->multi->told, t, link);
}

/* Takes it out of curl. Connections that nobody wants go with the last. */
static void detach(struct http_multi *m, struct http_multi_transfer *t)
{
    (void)curl_multi_remove_handle(m->curl, t->easy);
    TAILQ_REMOVE(&m->transfers, t, all);
    if (TAILQ_EMPTY(&m->transfers) && m->close_when_idle)
        http_multi_close_idle(m);
}

static void finish(struct http_multi *m, struct http_multi_transfer *t, CURLcode result)
{
    t->result = result;
    t->unwatched = result == CURLE_ABORTED_BY_CALLBACK ? m->unwatched : 0;
    t->finished = true;
    queue(t);
    detach(m, t);
}

static void collect_finished(struct http_multi *m)
{
    struct http_multi_transfer *t;
    CURLMsg *msg;
    int left;

    while (m->curl && (msg = curl_multi_info_read(m->curl, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
        finish(m, t, msg->data.result);
    }
}

static void fail_all(struct http_multi *m)
{
    struct http_multi_transfer *t;

    while ((t = TAILQ_FIRST(&m->transfers)))
        finish(m, t, CURLE_ABORTED_BY_CALLBACK);
}

/* Tells the owners. Each may do anything, so that the queue is looked at anew for each; `m` itself lives at least until
 * the loop's next turn. */
static void tell(struct http_multi *m)
{
    struct http_multi_transfer *t;

    while (!m->freed && (t = TAILQ_FIRST(&m->told))) {
        unqueue(t);
        if (t->moved) {
            t->moved = false;
            if (t->finished)
                queue(t);
            t->on_progress(t);
        } else if (t->finished) {
            t->multi = NULL;
            t->on_done(t, t->result);
        }
    }
}

static void act(struct http_multi *m, curl_socket_t fd, int events)
{
    int running;

    if (!m->curl)
        return;
    if (!m->unwatched && curl_multi_socket_action(m->curl, fd, events, &running) == CURLM_OUT_OF_MEMORY &&
            !m->unwatched) {
        /* It could not note what it waits for next, and would not call again. */
        m->unwatched = UV_ENOMEM;
        m->close_when_idle = true;
    }
    collect_finished(m);
    if (m->unwatched)
        fail_all(m);
    tell(m);
}

static void on_timer(uv_timer_t *timer)
{
    act(CONTAINER_OF(timer, struct http_multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

/*
 * A server that sends the head of an answer and then its body, and leaves TCP_NODELAY off as Ceph does by default,
 * keeps the body back until the head is acknowledged, and our kernel waits 40 ms with that for something to send along
 * (RFC 9293, 3.7.4 and 3.8.6.3). So the first bytes of an answer are acknowledged when they come (tcp(7), TCP_QUICKACK,
 * which does not last): small requests take 2 ms instead of 44.
 */
static void acknowledge(struct watch *w)
{
    int on = 1;

    if (w->quick == 0)
        return;
    w->quick--;
    (void)setsockopt(w->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static void on_poll(uv_poll_t *poll, int status, int events);

/*
 * The socket is broken, and libuv has stopped watching it. A server that refuses an upload says why and then closes
 * with the rest unread, which the kernel turns into a reset: what it said before may still wait to be read, and is told
 * to libcurl, which on an error alone would not look. What waits can only get less now: when it does not, libcurl does
 * not want it, and is told the error alone. So this comes to an end.
 */
static int on_broken(struct watch *w)
{
    int unread = 0;

    (void)ioctl(w->fd, FIONREAD, &unread);
    if (unread >= w->unread || uv_poll_start(&w->poll, w->events, on_poll) < 0)
        return CURL_CSELECT_ERR;
    w->unread = unread;
    return CURL_CSELECT_ERR | CURL_CSELECT_IN;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = CONTAINER_OF(poll, struct watch, poll);
    int curl_events = 0;

    if (events & UV_READABLE)
        acknowledge(w);

    if (status < 0)
        curl_events = on_broken(w);
    if (events & UV_READABLE)
        curl_events |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        curl_events |= CURL_CSELECT_OUT;
    act(w->multi, w->fd, curl_events);
}

/* A timer of 0 ms would run before libuv polls anything else, again and again while a fast server sends; 1 ms lets the
 * rest of the program live. */
static int set_timer(CURLM *curl, long timeout_ms, void *ctx)
{
    struct http_multi *m = ctx;

    (void)curl;
    if (m->freed || m->unwatched)
        return 0;
    if (timeout_ms < 0)
        return uv_timer_stop(&m->timer);
    return uv_timer_start(&m->timer, on_timer, timeout_ms > 0 ? (uint64_t)timeout_ms : 1, 0);
}

/* Returns libuv's error, or 0. */
static int watch_new(struct watch **out, struct http_multi *m, curl_socket_t fd)
{
    struct watch *w = calloc(1, sizeof(*w));
    int rc;

    if (!w)
        return UV_ENOMEM;
    w->multi = m;
    w->fd = fd;
    w->unread = INT_MAX;
    w->quick = QUICK_READS;
    rc = uv_poll_init_socket(m->loop, &w->poll, fd);
    if (rc < 0) {
        free(w);
        return rc;
    }
    m->n_handles++;
    LIST_INSERT_HEAD(&m->watches, w, link);
    *out = w;
    return 0;
}

/* After this libcurl fails each transfer when it next looks at it (CURLMOPT_SOCKETFUNCTION), but asks for no timer any
 * more, so that it never would: `act` ends them. This may be called from anywhere; the timer brings us there. */
static int cannot_watch(struct http_multi *m, int why)
{
    m->unwatched = why;
    m->close_when_idle = true;
    if (!m->freed)
        (void)uv_timer_start(&m->timer, on_timer, 0, 0);
    return -1;
}

static struct watch *watch_of(struct http_multi *m, curl_socket_t fd)
{
    struct watch *w;

    LIST_FOREACH(w, &m->watches, link)
    if (w->fd == fd)
        break;
    return w;
}

/* libuv must have let go of a socket before it is closed. */
static void unwatch(struct http_multi *m, curl_socket_t fd)
{
    struct watch *w = watch_of(m, fd);

    if (!w)
        return;
    LIST_REMOVE(w, link);
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

/* Not every libcurl says CURL_POLL_REMOVE of each socket that it wanted watched: 8.14 begins to wait for the end of TLS
 * in curl_multi_cleanup, and then just closes. */
static int close_socket(void *ctx, curl_socket_t fd)
{
    unwatch(ctx, fd);
    return close(fd);
}

/* curl has handles of its own, too. */
static void note_socket(CURL *easy, int fd)
{
    struct http_multi_transfer *t = NULL;

    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
    if (t)
        t->fd = fd;
}

static int set_watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct http_multi *m = ctx;
    struct watch *w = watch_of(m, fd);
    int events = 0, rc = 0;

    (void)socket_ctx;
    note_socket(easy, what == CURL_POLL_REMOVE ? -1 : fd);
    if (what == CURL_POLL_REMOVE) {
        unwatch(m, fd);
        return 0;
    }
    if (!w)
        rc = watch_new(&w, m, fd);
    if (rc < 0)
        return cannot_watch(m, rc);
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    w->events = events;
    rc = uv_poll_start(&w->poll, events, on_poll);
    return rc < 0 ? cannot_watch(m, rc) : 0;
}

static int open_curl(struct http_multi *m, struct err *e)
{
    if (m->curl)
        return 0;
    m->curl = curl_multi_init();
    if (!m->curl)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    (void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, set_watch);
    (void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    (void)curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    (void)curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    (void)curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)m->max_idle);
    return 0;
}

static int init_curl(struct err *e)
{
    static bool done;

    if (!done &&
            curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiped_heap_free, wiped_heap_realloc, strdup, calloc) != 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcurl cannot be initialized");
    done = true;
    return 0;
}

struct http_multi *http_multi_new(uv_loop_t *loop, unsigned max_idle, struct err *e)
{
    struct http_multi *m;

    if (init_curl(e) < 0)
        return NULL;
    m = calloc(1, sizeof(*m));
    if (!m) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    m->loop = loop;
    m->max_idle = max_idle;
    TAILQ_INIT(&m->transfers);
    TAILQ_INIT(&m->told);
    LIST_INIT(&m->watches);
    (void)uv_timer_init(loop, &m->timer);
    m->n_handles = 1;
    return m;
}

int http_multi_add(struct http_multi *m, struct http_multi_transfer *t, struct err *e)
{
    CURLMcode code;

    if (m->unwatched)
        http_multi_close_idle(m);
    if (open_curl(m, e) < 0)
        return -1;
    t->moved = t->finished = false;
    t->unwatched = 0;
    t->fd = -1;
    (void)curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    (void)curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETDATA, m);
    code = curl_multi_add_handle(m->curl, t->easy);
    if (code != CURLM_OK)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcurl: %s", curl_multi_strerror(code));
    t->multi = m;
    TAILQ_INSERT_TAIL(&m->transfers, t, all);
    return 0;
}

void http_multi_remove(struct http_multi_transfer *t)
{
    struct http_multi *m = t->multi;

    if (!m)
        return;
    unqueue(t);
    t->multi = NULL;
    if (!t->finished)
        detach(m, t);
}

void http_multi_moved(struct http_multi_transfer *t)
{
    t->moved = true;
    queue(t);
}

void http_multi_close_idle(struct http_multi *m)
{
    CURLM *curl;

    m->close_when_idle = !TAILQ_EMPTY(&m->transfers);
    if (m->close_when_idle || !m->curl)
        return;
    curl = TAKE_PTR(m->curl);
    (void)curl_multi_cleanup(curl);
    m->unwatched = 0;
    if (!m->freed)
        (void)uv_timer_stop(&m->timer);
}

void http_multi_free(struct http_multi *m)
{
    if (!m)
        return;
    http_multi_close_idle(m);
    m->freed = true;
    uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}
