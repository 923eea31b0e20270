#include "net/race.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* One address of the race. It is freed with the race, when libuv has let go of all of them. */
struct runner {
    struct race *race;
    uv_poll_t poll;
    bool polled; /* poll is libuv's until its close callback */
    int fd;      /* -1 before it began and after it failed */
    int error;   /* errno of its failure; 0: none yet */
};

struct race {
    uv_loop_t *loop;
    struct race_spec spec;
    struct race_addresses addresses;
    struct runner runners[RACE_MAX];
    unsigned begun, running;
    uint64_t deadline_ms; /* of uv_now; 0: none */
    uv_timer_t timer;     /* the next address's turn, or the end */
    unsigned open_handles;
    bool is_over;
    bool unwatched; /* one failed because libuv cannot watch it */
};

bool race_address_is(const union race_address *a, const union race_address *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->sa.sa_family == AF_INET6 && a->v6.sin6_port == b->v6.sin6_port &&
           a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}

void race_addresses_add(struct race_addresses *a, const struct sockaddr *sa)
{
    union race_address new = {.sa = {.sa_family = 0}};

    if (sa->sa_family == AF_INET)
        memcpy(&new.v4, sa, sizeof(new.v4));
    else if (sa->sa_family == AF_INET6)
        memcpy(&new.v6, sa, sizeof(new.v6));
    else
        return;
    for (unsigned i = 0; i < a->n; i++)
        if (race_address_is(&a->list[i], &new))
            return;
    if (a->n < RACE_MAX)
        a->list[a->n++] = new;
}

/* Moves the first of `family`, or of any if none is left, from `rest` to the end of `out`. */
static void take_first(struct race_addresses *out, struct race_addresses *rest, int family)
{
    unsigned at = 0;

    for (unsigned i = rest->n; i-- > 0;)
        if (rest->list[i].sa.sa_family == family)
            at = i;
    out->list[out->n++] = rest->list[at];
    rest->n--;
    memmove(&rest->list[at], &rest->list[at + 1], (rest->n - at) * sizeof(rest->list[0]));
}

static void move(struct race_addresses *a, const union race_address *which, bool to_front)
{
    for (unsigned i = 0; i < a->n; i++) {
        const union race_address found = a->list[i];

        if (!race_address_is(&found, which))
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

void race_addresses_sort(struct race_addresses *a, const union race_address *good, const union race_address *bad)
{
    struct race_addresses rest = *a;
    int family = a->n ? a->list[0].sa.sa_family : 0;

    for (a->n = 0; rest.n > 0; family = family == AF_INET6 ? AF_INET : AF_INET6)
        take_first(a, &rest, family);
    move(a, bad, false);
    move(a, good, true);
}

char *race_address_text(const union race_address *a, char out[RACE_ADDRESS_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    const bool is_v6 = a->sa.sa_family == AF_INET6;

    (void)uv_ip_name(&a->sa, ip, sizeof(ip));
    (void)snprintf(out, RACE_ADDRESS_TEXT_MAX, is_v6 ? "[%s]:%u" : "%s:%u", ip,
            ntohs(is_v6 ? a->v6.sin6_port : a->v4.sin_port));
    return out;
}

static void release(struct race *d)
{
    if (--d->open_handles == 0)
        free(d);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(CONTAINER_OF(handle, struct race, timer));
}

static void on_poll_closed(uv_handle_t *handle)
{
    release(CONTAINER_OF(handle, struct runner, poll)->race);
}

/* libuv lets go of the socket at once, of the handle later. Returns the socket. */
static int let_go(struct runner *r)
{
    const int fd = r->fd;

    if (fd < 0)
        return -1;
    r->fd = -1;
    r->race->running--;
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
static void end(struct race *d)
{
    d->is_over = true;
    for (unsigned i = 0; i < d->begun; i++)
        drop(&d->runners[i]);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

/* Of an address whose turn did not come, or that did not answer: what has been waited for in vain. */
static const char *reason(const struct runner *r)
{
    return r->error ? strerror(r->error) : "no answer in time";
}

static void lose(struct race *d)
{
    struct err e = ERR_INIT;
    char list[ERR_TEXT_MAX] = "", address[RACE_ADDRESS_TEXT_MAX];
    size_t len = 0;
    int last = ETIMEDOUT;

    for (unsigned i = 0; i < d->begun; i++) {
        const struct runner *r = &d->runners[i];

        if (r->error)
            last = r->error;
        if (len < sizeof(list))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s: %s", len ? ", " : "",
                    race_address_text(&d->addresses.list[i], address), reason(r));
    }
    err_set(&e, d->unwatched ? ERR_RESOURCE : ERR_TRANSIENT, ERR_DOMAIN_ERRNO, last, "%s",
            d->addresses.n == 1 ? reason(&d->runners[0]) : list);
    end(d);
    d->spec.on_done(d->spec.ctx, -1, NULL, &e);
}

static void win(struct runner *r)
{
    struct race *d = r->race;
    const int fd = let_go(r);

    end(d);
    d->spec.on_done(d->spec.ctx, fd, &d->addresses.list[r - d->runners], NULL);
}

static void next(struct race *d);

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
    next(r->race);
}

/* Returns 0 or an errno. */
static int watch(struct runner *r)
{
    int rc = uv_poll_init_socket(r->race->loop, &r->poll, r->fd);

    if (rc == 0) {
        r->polled = true;
        r->race->open_handles++;
        rc = uv_poll_start(&r->poll, UV_WRITABLE, on_poll);
    }
    r->race->unwatched = r->race->unwatched || rc < 0;
    return -rc;
}

static void begin(struct race *d)
{
    struct runner *r = &d->runners[d->begun];
    const union race_address *a = &d->addresses.list[d->begun];
    const socklen_t len = a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
    int error = 0;

    d->begun++;
    r->race = d;
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
    next(CONTAINER_OF(timer, struct race, timer));
}

/* The turn of the next address, if there is one, and the clock for what follows. */
static void next(struct race *d)
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
    if (d->begun < d->addresses.n && wait > RACE_STAGGER_MS)
        wait = RACE_STAGGER_MS;
    if (wait != UINT64_MAX)
        (void)uv_timer_start(&d->timer, on_timer, wait, 0);
}

struct race *race_start(uv_loop_t *loop, const struct race_spec *spec, struct err *e)
{
    struct race *d = calloc(1, sizeof(*d));

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

void race_cancel(struct race *d)
{
    if (d && !d->is_over)
        end(d);
}
