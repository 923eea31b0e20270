#include "h2/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A socket on its way. It has its own life, since the loop lets go of it only later. */
struct attempt {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u; /* first: what the owner gets is also what is freed */
    uv_connect_t req;
    struct h2_dial *dial; /* NULL: nobody waits any more */
};

struct h2_dial {
    uv_loop_t *loop;
    struct endpoint endpoint;
    struct h2_dial_spec spec;
    uv_getaddrinfo_t req;
    bool resolving;        /* the request belongs to the loop */
    bool freed;            /* by the owner, while resolving */
    struct addrinfo *list; /* of getaddrinfo */
    struct addrinfo *next;
    bool unix_tried;
    struct attempt *attempt; /* under way, or NULL */
    char address[H2_ADDRESS_MAX];
};

static void destroy(struct h2_dial *d)
{
    if (d->list)
        uv_freeaddrinfo(d->list);
    free(d);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct h2_dial *d = CONTAINER_OF(req, struct h2_dial, req);
    struct err e = ERR_INIT;

    d->resolving = false;
    d->list = d->next = list;
    if (d->freed) {
        destroy(d);
        return;
    }
    if (status < 0)
        err_set(&e, status == UV_EAI_MEMORY ? ERR_RESOURCE : ERR_TRANSIENT, ERR_DOMAIN_UV, status,
                "cannot resolve '%s': %s", d->endpoint.host, uv_strerror(status));
    else if (!list)
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
    return d->endpoint.is_unix ? !d->unix_tried : d->next != NULL;
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
    if (a->u.handle.type == UV_TCP)
        (void)uv_tcp_nodelay(&a->u.tcp, 1); /* requests are small and wait for their answer */
    d->spec.on_connected(d->spec.ctx, &a->u.stream, NULL);
}

static void describe(struct h2_dial *d, const struct sockaddr *sa)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    bool v6 = sa->sa_family == AF_INET6;

    (void)uv_ip_name(sa, ip, sizeof(ip));
    (void)snprintf(d->address, sizeof(d->address), v6 ? "[%s]:%u" : "%s:%u", ip, d->endpoint.port);
}

static int begin_tcp(struct h2_dial *d, struct attempt *a)
{
    const struct addrinfo *ai = d->next;

    (void)uv_tcp_init(d->loop, &a->u.tcp); /* creates no socket yet: cannot fail */
    d->next = ai->ai_next;
    describe(d, ai->ai_addr);
    return uv_tcp_connect(&a->req, &a->u.tcp, ai->ai_addr, on_connect);
}

static int begin_unix(struct h2_dial *d, struct attempt *a)
{
    (void)uv_pipe_init(d->loop, &a->u.pipe, 0); /* the same */
    d->unix_tried = true;
    (void)snprintf(d->address, sizeof(d->address), "%s", d->endpoint.path);
    uv_pipe_connect(&a->req, &a->u.pipe, d->endpoint.path, on_connect);
    return 0;
}

int h2_dial_next(struct h2_dial *d, struct err *e)
{
    struct attempt *a = calloc(1, sizeof(*a));
    int rc;

    if (!a)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
    give_up(d);
    rc = d->endpoint.is_unix ? begin_unix(d, a) : begin_tcp(d, a);
    if (rc < 0) {
        h2_dial_close_stream(&a->u.stream);
        return connect_error(rc, e);
    }
    a->dial = d;
    d->attempt = a;
    return 0;
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
    if (d->resolving) {
        d->freed = true;
        (void)uv_cancel((uv_req_t *)&d->req); /* too late if a thread is at it: then it ends by itself */
        return;
    }
    destroy(d);
}
