#include "s3/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* One address of the race. It is freed with the race, when libuv has let go of all of them. */
struct runner {
    struct s3_dial *dial;
    uv_poll_t poll;
    bool polled; /* poll is libuv's until its close callback */
    int fd;      /* -1 before it began and after it failed */
    int error;   /* errno of its failure; 0: none yet */
};

struct s3_dial {
    uv_loop_t *loop;
    struct s3_dial_spec spec;
    struct s3_addresses addresses;
    struct runner runners[S3_DIAL_MAX];
    unsigned begun, running;
    uint64_t deadline_ms; /* of uv_now; 0: none */
    uv_timer_t timer;     /* the next address's turn, or the end */
    unsigned open_handles;
    bool is_over;
    bool unwatched; /* one failed because libuv cannot watch it */
};

bool s3_address_is(const union s3_address *a, const union s3_address *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->sa.sa_family == AF_INET6 && a->v6.sin6_port == b->v6.sin6_port &&
           a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}

void s3_addresses_add(struct s3_addresses *a, const struct sockaddr *sa)
{
    union s3_address new = {.sa = {.sa_family = 0}};

    if (sa->sa_family == AF_INET)
        memcpy(&new.v4, sa, sizeof(new.v4));
    else if (sa->sa_family == AF_INET6)
        memcpy(&new.v6, sa, sizeof(new.v6));
    else
        return;
    for (unsigned i = 0; i < a->n; i++)
        if (s3_address_is(&a->list[i], &new))
            return;
    if (a->n < S3_DIAL_MAX)
        a->list[a->n++] = new;
}

/* Moves the first of `family`, or of any if none is left, from `rest` to the end of `out`. */
static void take_first(struct s3_addresses *out, struct s3_addresses *rest, int family)
{
    unsigned at = 0;

    for (unsigned i = rest->n; i-- > 0;)
        if (rest->list[i].sa.sa_family == family)
            at = i;
    out->list[out->n++] = rest->list[at];
    rest->n--;
    memmove(&rest->list[at], &rest->list[at + 1], (rest->n - at) * sizeof(rest->list[0]));
}

static void move(struct s3_addresses *a, const union s3_address *which, bool to_front)
{
    for (unsigned i = 0; i < a->n; i++) {
        const union s3_address found = a->list[i];

        if (!s3_address_is(&found, which))
            continue;
        if (to_front) {
            memmove(&a->list[1], &a->list[0], i * sizeof(found));
            a->list[0] = found;
        } else {
            memmove(&a->list[i], &a->list[i + 1], (a->n - 1 - i) * sizeof(found));
            a->list[a->n - 1] = found;
        }
        return;
    }
}

void s3_addresses_sort(struct s3_addresses *a, const union s3_address *good, const union s3_address *bad)
{
    struct s3_addresses rest = *a;
    int family = a->n ? a->list[0].sa.sa_family : 0;

    for (a->n = 0; rest.n > 0; family = family == AF_INET6 ? AF_INET : AF_INET6)
        take_first(a, &rest, family);
    move(a, bad, false);
    move(a, good, true);
}

static void release(struct s3_dial *d)
{
    if (--d->open_handles == 0)
        free(d);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(CONTAINER_OF(handle, struct s3_dial, timer));
}

static void on_poll_closed(uv_handle_t *handle)
{
    release(CONTAINER_OF(handle, struct runner, poll)->dial);
}

/* libuv lets go of the socket at once, of the handle later. Returns the socket. */
static int let_go(struct runner *r)
{
    const int fd = r->fd;

    if (fd < 0)
        return -1;
    r->fd = -1;
    r->dial->running--;
    if (r->polled)
        uv_close((uv_handle_t *)&r->poll, on_poll_closed);
    r->polled = false;
    return fd;
}

static void drop(struct runner *r)
{
    const int fd = let_go(r);

    if (fd >= 0)
        (void)close(fd);
}

/* Nothing is called back any more; the memory lives until the loop's next turn. */
static void end(struct s3_dial *d)
{
    d->is_over = true;
    for (unsigned i = 0; i < d->begun; i++)
        drop(&d->runners[i]);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

static void describe(const union s3_address *a, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    const bool is_v6 = a->sa.sa_family == AF_INET6;

    (void)uv_ip_name(&a->sa, ip, sizeof(ip));
    (void)snprintf(out, size, is_v6 ? "[%s]:%u" : "%s:%u", ip, ntohs(is_v6 ? a->v6.sin6_port : a->v4.sin_port));
}

/* Of an address whose turn did not come, or that did not answer: what has been waited for in vain. */
static const char *reason(const struct runner *r)
{
    return r->error ? strerror(r->error) : "no answer in time";
}

static void lose(struct s3_dial *d)
{
    struct err e = ERR_INIT;
    char list[ERR_TEXT_MAX] = "", address[INET6_ADDRSTRLEN + 16];
    size_t len = 0;
    int last = ETIMEDOUT;

    for (unsigned i = 0; i < d->begun; i++) {
        const struct runner *r = &d->runners[i];

        if (r->error)
            last = r->error;
        describe(&d->addresses.list[i], address, sizeof(address));
        if (len < sizeof(list))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s: %s", len ? ", " : "", address, reason(r));
    }
    err_set(&e, d->unwatched ? ERR_RESOURCE : ERR_TRANSIENT, ERR_DOMAIN_ERRNO, last, "%s",
            d->addresses.n == 1 ? reason(&d->runners[0]) : list);
    end(d);
    d->spec.on_done(d->spec.ctx, -1, NULL, &e);
}

static void win(struct runner *r)
{
    struct s3_dial *d = r->dial;
    const int fd = let_go(r);

    end(d);
    d->spec.on_done(d->spec.ctx, fd, &d->addresses.list[r - d->runners], NULL);
}

static void next(struct s3_dial *d);

static void fail(struct runner *r, int error)
{
    r->error = error;
    drop(r);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct runner *r = CONTAINER_OF(poll, struct runner, poll);
    int error = 0;
    socklen_t len = sizeof(error);

    (void)events;
    if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error == 0 && status < 0)
        error = -status;
    if (error == 0) {
        win(r);
        return;
    }
    fail(r, error);
    next(r->dial);
}

/* Returns 0 or an errno. */
static int watch(struct runner *r)
{
    int rc = uv_poll_init_socket(r->dial->loop, &r->poll, r->fd);

    if (rc == 0) {
        r->polled = true;
        r->dial->open_handles++;
        rc = uv_poll_start(&r->poll, UV_WRITABLE, on_poll);
    }
    r->dial->unwatched = r->dial->unwatched || rc < 0;
    return -rc;
}

static void begin(struct s3_dial *d)
{
    struct runner *r = &d->runners[d->begun];
    const union s3_address *a = &d->addresses.list[d->begun];
    const socklen_t len = a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
    int error = 0;

    d->begun++;
    r->dial = d;
    r->fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (r->fd < 0) {
        r->error = errno;
        return;
    }
    d->running++;
    if (connect(r->fd, &a->sa, len) < 0 && errno != EINPROGRESS)
        error = errno;
    if (error == 0)
        error = watch(r);
    if (error != 0)
        fail(r, error);
}

static void on_timer(uv_timer_t *timer)
{
    next(CONTAINER_OF(timer, struct s3_dial, timer));
}

/* The turn of the next address, if there is one, and the clock for what follows. */
static void next(struct s3_dial *d)
{
    const uint64_t now = uv_now(d->loop);
    uint64_t wait = UINT64_MAX;

    if (d->deadline_ms && now >= d->deadline_ms) {
        lose(d);
        return;
    }
    do {
        if (d->begun < d->addresses.n)
            begin(d);
    } while (d->running == 0 && d->begun < d->addresses.n);
    if (d->running == 0) {
        lose(d);
        return;
    }
    if (d->deadline_ms)
        wait = d->deadline_ms - now;
    if (d->begun < d->addresses.n && wait > S3_DIAL_STAGGER_MS)
        wait = S3_DIAL_STAGGER_MS;
    if (wait != UINT64_MAX)
        (void)uv_timer_start(&d->timer, on_timer, wait, 0);
}

struct s3_dial *s3_dial_start(uv_loop_t *loop, const struct s3_dial_spec *spec, struct err *e)
{
    struct s3_dial *d = calloc(1, sizeof(*d));

    if (!d) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    d->loop = loop;
    d->spec = *spec;
    d->addresses = *spec->addresses;
    d->spec.addresses = &d->addresses;
    d->deadline_ms = spec->timeout_ms ? uv_now(loop) + spec->timeout_ms : 0;
    (void)uv_timer_init(loop, &d->timer);
    d->open_handles = 1;
    (void)uv_timer_start(&d->timer, on_timer, 0, 0);
    return d;
}

void s3_dial_cancel(struct s3_dial *d)
{
    if (d && !d->is_over)
        end(d);
}
