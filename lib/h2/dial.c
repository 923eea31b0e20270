#include "h2/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A socket on its way. It has its own life, since the loop lets go of it only later. */
struct attempt {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;                  /* first: what the owner gets is also what is freed */
    uv_connect_t req;     /* of a Unix socket */
    struct h2_dial *dial; /* NULL: nobody waits any more */
};

struct h2_dial {
    uv_loop_t *loop;
    struct endpoint endpoint;
    struct h2_dial_spec spec;
    uv_getaddrinfo_t req;
    bool resolving;             /* the request belongs to the loop */
    bool freed;                 /* by the owner, while resolving */
    struct race_addresses rest; /* not tried */
    struct race_addresses racing;
    struct race *race;       /* under way, or NULL */
    union race_address used; /* of the last connection, as long as it may be of no use; the family 0: none */
    bool unix_tried;
    struct attempt *attempt; /* to a Unix socket under way, or NULL */
    char address[H2_ADDRESS_MAX];
};

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct h2_dial *d = CONTAINER_OF(req, struct h2_dial, req);
    const union race_address none = {.sa = {.sa_family = 0}};
    struct err e = ERR_INIT;

    d->resolving = false;
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
        race_addresses_add(&d->rest, ai->ai_addr);
    uv_freeaddrinfo(list);
    if (d->freed) {
        free(d);
        return;
    }
    race_addresses_sort(&d->rest, d->spec.good ? d->spec.good : &none, &none);
    if (status < 0)
        err_set(&e, status == UV_EAI_MEMORY ? ERR_RESOURCE : ERR_TRANSIENT, ERR_DOMAIN_UV, status,
                "cannot resolve '%s': %s", d->endpoint.host, uv_strerror(status));
    else if (d->rest.n == 0)
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "cannot resolve '%s': no addresses", d->endpoint.host);
    d->spec.on_resolved(d->spec.ctx, e.kind != ERR_NONE ? &e : NULL);
}

/* A Unix socket needs no resolving, but its owner is called back all the same; localhost is always quick. */
static int resolve(struct h2_dial *d, struct err *e)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    bool is_unix = d->endpoint.is_unix;
    char name[ENDPOINT_HOST_MAX + 1], port[8];
    int rc;

    (void)snprintf(port, sizeof(port), "%u", d->endpoint.port);
    rc = uv_getaddrinfo(d->loop, &d->req, on_resolved, is_unix ? "127.0.0.1" : endpoint_to_resolve(&d->endpoint, name),
            port, is_unix ? &numeric : &hints);
    if (rc < 0)
        return err_set(e, rc == UV_ENOMEM ? ERR_RESOURCE : ERR_CONFIG, ERR_DOMAIN_UV, rc, "cannot resolve '%s': %s",
                d->endpoint.host, uv_strerror(rc));
    d->resolving = true;
    return 0;
}

struct h2_dial *h2_dial_start(uv_loop_t *loop, const struct h2_dial_spec *spec, struct err *e)
{
    _cleanup_free_ struct h2_dial *d = calloc(1, sizeof(*d));

    if (!d) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
        return NULL;
    }
    d->loop = loop;
    d->endpoint = *spec->endpoint;
    d->spec = *spec;
    d->spec.endpoint = &d->endpoint;
    if (resolve(d, e) < 0)
        return NULL;
    return TAKE_PTR(d);
}

bool h2_dial_has_next(const struct h2_dial *d)
{
    return d->endpoint.is_unix ? !d->unix_tried : d->rest.n > 0;
}

static void on_attempt_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct attempt, u.handle));
}

void h2_dial_close_stream(uv_stream_t *stream)
{
    uv_close((uv_handle_t *)stream, on_attempt_closed);
}

static void give_up(struct h2_dial *d)
{
    struct attempt *a = d->attempt;

    race_cancel(TAKE_PTR(d->race));
    d->racing.n = 0;
    if (!a)
        return;
    d->attempt = NULL;
    a->dial = NULL;
    h2_dial_close_stream(&a->u.stream); /* on_connect still comes, with UV_ECANCELED */
}

static int connect_error(int status, struct err *e)
{
    enum err_kind kind = ERR_TRANSIENT;

    if (status == UV_ENOMEM || status == UV_EMFILE || status == UV_ENFILE)
        kind = ERR_RESOURCE;
    else if (status == UV_EACCES || status == UV_EPERM)
        kind = ERR_CONFIG; /* the mode of a Unix socket, a firewall of this machine */
    return err_set(e, kind, ERR_DOMAIN_UV, status, "cannot connect: %s", uv_strerror(status));
}

static void on_connect(uv_connect_t *req, int status)
{
    struct attempt *a = CONTAINER_OF(req, struct attempt, req);
    struct h2_dial *d = a->dial;
    struct err e = ERR_INIT;

    if (!d)
        return;
    d->attempt = NULL;
    a->dial = NULL;
    if (status < 0) {
        h2_dial_close_stream(&a->u.stream);
        connect_error(status, &e);
        d->spec.on_connected(d->spec.ctx, NULL, &e);
        return;
    }
    d->spec.on_connected(d->spec.ctx, &a->u.stream, NULL);
}

/* Of this socket a stream of libuv's. Takes it in any case. */
static uv_stream_t *stream_of(struct h2_dial *d, int fd, struct err *e)
{
    struct attempt *a = calloc(1, sizeof(*a));
    int rc;

    if (!a) {
        (void)close(fd);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
        return NULL;
    }
    (void)uv_tcp_init(d->loop, &a->u.tcp); /* creates no socket yet: cannot fail */
    rc = uv_tcp_open(&a->u.tcp, fd);
    if (rc < 0) {
        (void)close(fd);
        h2_dial_close_stream(&a->u.stream);
        connect_error(rc, e);
        return NULL;
    }
    (void)uv_tcp_nodelay(&a->u.tcp, 1); /* requests are small and wait for their answer */
    return &a->u.stream;
}

/* Of a single address libuv's words are those of the rest of this room. */
static int race_error(const struct h2_dial *d, const struct err *why, struct err *e)
{
    if (d->racing.n == 1 && why->kind == ERR_TRANSIENT)
        return connect_error(uv_translate_sys_error((int)why->code), e);
    return err_set(e, why->kind, why->domain, why->code, "cannot connect: %s", why->text);
}

static void on_raced(void *ctx, int fd, const union race_address *address, const struct err *err)
{
    struct h2_dial *d = ctx;
    uv_stream_t *stream = NULL;
    struct err e = ERR_INIT;

    d->race = NULL;
    if (err) {
        race_error(d, err, &e);
    } else {
        d->used = *address;
        (void)race_address_text(address, d->address);
        for (unsigned i = 0; i < d->racing.n; i++) /* the slower ones are left for later */
            if (!race_address_is(&d->racing.list[i], address))
                race_addresses_add(&d->rest, &d->racing.list[i].sa);
        stream = stream_of(d, fd, &e);
    }
    d->racing.n = 0;
    d->spec.on_connected(d->spec.ctx, stream, stream ? NULL : &e);
}

static int begin_tcp(struct h2_dial *d, struct err *e)
{
    const struct race_spec spec = {.addresses = &d->rest, .ctx = d, .on_done = on_raced};

    d->address[0] = '\0';
    if (d->rest.n == 1)
        (void)race_address_text(&d->rest.list[0], d->address);
    d->race = race_start(d->loop, &spec, e);
    if (!d->race)
        return -1;
    d->racing = d->rest;
    d->rest.n = 0;
    return 0;
}

static int begin_unix(struct h2_dial *d, struct err *e)
{
    struct attempt *a = calloc(1, sizeof(*a));

    if (!a)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
    (void)uv_pipe_init(d->loop, &a->u.pipe, 0); /* creates no socket yet: cannot fail */
    d->unix_tried = true;
    (void)snprintf(d->address, sizeof(d->address), "%s", d->endpoint.path);
    a->dial = d;
    d->attempt = a;
    uv_pipe_connect(&a->req, &a->u.pipe, d->endpoint.path, on_connect);
    return 0;
}

/* What won the race, but was of no use, is not to win the next one by its past. */
static void blame(struct h2_dial *d)
{
    if (d->spec.good && d->used.sa.sa_family && race_address_is(d->spec.good, &d->used))
        d->spec.good->sa.sa_family = 0;
    d->used.sa.sa_family = 0;
}

void h2_dial_praise(struct h2_dial *d)
{
    if (d->spec.good && d->used.sa.sa_family)
        *d->spec.good = d->used;
    d->used.sa.sa_family = 0;
}

int h2_dial_next(struct h2_dial *d, struct err *e)
{
    give_up(d);
    blame(d);
    return d->endpoint.is_unix ? begin_unix(d, e) : begin_tcp(d, e);
}

unsigned h2_dial_racing(const struct h2_dial *d)
{
    return d->racing.n;
}

const char *h2_dial_address(const struct h2_dial *d)
{
    return d->address;
}

void h2_dial_free(struct h2_dial *d)
{
    if (!d)
        return;
    give_up(d);
    blame(d);
    if (d->resolving) {
        d->freed = true;
        (void)uv_cancel((uv_req_t *)&d->req); /* too late if a thread is at it: then it ends by itself */
        return;
    }
    free(d);
}
