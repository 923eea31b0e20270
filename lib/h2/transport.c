#include "h2/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "h2/dial.h"
#include "h2/tls.h"

struct h2_transport {
    struct h2_transport_spec spec; /* without the paths of certificates */
    struct h2_dial *dial;          /* until dropped */
    struct h2_tls *tls;            /* or NULL */
    struct h2_wire *wire;          /* connected */
    bool resolved;
    bool open;
    char address[H2_ADDRESS_MAX];
    char cipher[96];
};

static void on_resolved(void *ctx, const struct err *err)
{
    struct h2_transport *t = ctx;

    t->resolved = !err;
    t->spec.on_resolved(t->spec.ctx, err);
}

static void on_secure(void *ctx)
{
    struct h2_transport *t = ctx;

    t->open = true;
    (void)snprintf(t->cipher, sizeof(t->cipher), "%s", h2_tls_cipher(t->tls));
    t->spec.on_open(t->spec.ctx);
}

static void on_data(void *ctx, struct bytes data)
{
    struct h2_transport *t = ctx;

    t->spec.on_data(t->spec.ctx, data);
}

static void on_drained(void *ctx)
{
    struct h2_transport *t = ctx;

    t->spec.on_drained(t->spec.ctx);
}

static void on_wire_failed(void *ctx, const struct err *err)
{
    struct h2_transport *t = ctx;

    t->spec.on_failed(t->spec.ctx, err);
}

static void note_address(struct h2_transport *t)
{
    (void)snprintf(t->address, sizeof(t->address), "%s", h2_dial_address(t->dial));
}

void h2_transport_praise(struct h2_transport *t)
{
    if (t->dial)
        h2_dial_praise(t->dial);
}

static void on_connected(void *ctx, uv_stream_t *stream, const struct err *err)
{
    struct h2_transport *t = ctx;
    const struct h2_wire_spec spec = {
            .stream = stream,
            .tls = t->tls,
            .ctx = t,
            .on_secure = on_secure,
            .on_data = on_data,
            .on_drained = on_drained,
            .on_failed = on_wire_failed,
    };
    struct err e = ERR_INIT;

    note_address(t);
    if (err) {
        t->spec.on_failed(t->spec.ctx, err);
        return;
    }
    t->wire = h2_wire_open(&spec, &e);
    if (!t->wire) {
        t->spec.on_failed(t->spec.ctx, &e);
    } else if (!t->tls) {
        t->open = true;
        t->spec.on_open(t->spec.ctx);
    }
}

static int start(struct h2_transport *t, const struct h2_transport_spec *spec, struct err *e)
{
    const struct h2_tls_spec tls = {
            .ca_cert = spec->ca_cert,
            .client_cert = spec->client_cert,
            .client_key = spec->client_key,
            .host = spec->endpoint->is_unix ? "localhost" : spec->endpoint->host,
            .is_address = spec->endpoint->is_address,
    };
    const struct h2_dial_spec dial = {
            .endpoint = spec->endpoint,
            .good = spec->good,
            .ctx = t,
            .on_resolved = on_resolved,
            .on_connected = on_connected,
    };

    if (spec->endpoint->tls && !(t->tls = h2_tls_new(&tls, e)))
        return -1;
    t->dial = h2_dial_start(spec->loop, &dial, e);
    return t->dial ? 0 : -1;
}

struct h2_transport *h2_transport_new(const struct h2_transport_spec *spec, struct err *e)
{
    struct h2_transport *t = calloc(1, sizeof(*t));

    if (!t) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
        return NULL;
    }
    t->spec = *spec;
    t->spec.ca_cert = t->spec.client_cert = t->spec.client_key = NULL;
    (void)snprintf(t->cipher, sizeof(t->cipher), "plain");
    if (start(t, spec, e) < 0) {
        h2_transport_free(t);
        return NULL;
    }
    return t;
}

bool h2_transport_has_next(const struct h2_transport *t)
{
    return t->resolved && t->dial && h2_dial_has_next(t->dial);
}

static void close_wire(struct h2_transport *t)
{
    t->open = false;
    h2_wire_close(TAKE_PTR(t->wire));
}

int h2_transport_next(struct h2_transport *t, struct err *e)
{
    int rc;

    close_wire(t);
    rc = h2_dial_next(t->dial, e);
    note_address(t);
    return rc;
}

struct h2_wire *h2_transport_wire(const struct h2_transport *t)
{
    return t->open ? t->wire : NULL;
}

void h2_transport_drop(struct h2_transport *t)
{
    close_wire(t);
    h2_dial_free(TAKE_PTR(t->dial));
}

const char *h2_transport_address(const struct h2_transport *t)
{
    return t->address;
}

int64_t h2_transport_expires(const struct h2_transport *t)
{
    return t->tls ? h2_tls_expires(t->tls) : 0;
}

const char *h2_transport_cipher(const struct h2_transport *t)
{
    return t->cipher;
}

const char *h2_transport_doing(const struct h2_transport *t)
{
    if (!t->resolved)
        return "resolving the host name";
    if (!t->wire)
        return h2_dial_racing(t->dial) > 1 ? "connecting, to each address of the name," : "connecting";
    return t->open ? "waiting for HTTP/2 SETTINGS" : "the TLS handshake";
}

void h2_transport_free(struct h2_transport *t)
{
    if (!t)
        return;
    h2_transport_drop(t);
    h2_tls_free(t->tls);
    free(t);
}
