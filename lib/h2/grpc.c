#include "h2/grpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h2/internal.h"
#include "h2/session.h"
#include "h2/status.h"

struct grpc_call {
    struct grpc_call_spec spec;
    const struct endpoint *endpoint; /* the connection's, which outlives its calls */
    struct h2_stream *stream;        /* NULL once the stream has ended */
    struct secret *body;             /* prefix and message: it may hold a password */
    struct secret *token;            /* or NULL */
    struct grpc_framing *framing;
    struct grpc_answer answer;
    char timeout[16]; /* the value of grpc-timeout */
    size_t messages;
    bool busy;      /* within on_data: freed at its end */
    bool cancelled; /* no more callbacks */
};

static void call_free(struct grpc_call *call)
{
    if (!call)
        return;
    secret_free(call->body);
    secret_free(call->token);
    grpc_framing_free(call->framing);
    free(call);
}

CLEANUP_FUNC(struct grpc_call *, call_free)
#define _cleanup_call_ _cleanup_(cleanup_call_free)

/* nghttp2 copies names and values unless told otherwise, and does not write to them. */
static nghttp2_nv field(const char *name, const char *value)
{
    union {
        const char *in;
        uint8_t *out;
    } n = {.in = name}, v = {.in = value};

    return (nghttp2_nv){.name = n.out, .namelen = strlen(name), .value = v.out, .valuelen = strlen(value)};
}

static size_t fill_fields(void *ctx, nghttp2_nv out[H2_FIELDS_MAX])
{
    struct grpc_call *call = ctx;
    size_t n = 0;

    out[n++] = field(":method", "POST");
    out[n++] = field(":scheme", call->endpoint->tls ? "https" : "http");
    out[n++] = field(":path", call->spec.method);
    out[n++] = field(":authority", call->endpoint->authority);
    if (call->timeout[0])
        out[n++] = field("grpc-timeout", call->timeout);
    out[n++] = field("content-type", "application/grpc");
    out[n++] = field("te", "trailers");
    out[n++] = field("user-agent", "etcd-backupd");
    if (call->token) {
        out[n] = field("token", "");
        out[n].value = secret_data(call->token);
        out[n].valuelen = secret_len(call->token);
        out[n++].flags = NGHTTP2_NV_FLAG_NO_INDEX; /* kept out of HPACK's tables on both sides */
    }
    return n;
}

static void on_field(void *ctx, bool last, struct bytes name, struct bytes value)
{
    struct grpc_call *call = ctx;

    grpc_status_field(&call->answer, last, name, value);
}

/* Ends the call from our side with an error of ours. */
static void fail(struct grpc_call *call, const struct err *err)
{
    struct h2_stream *stream = TAKE_PTR(call->stream);
    void (*on_done)(void *ctx, const struct err *err) = call->spec.on_done;
    void *ctx = call->spec.ctx;

    h2_stream_reset(stream);
    call->cancelled = true;
    on_done(ctx, err);
}

/* One message up, if there is a whole one. Returns as grpc_framing_next; -1 also when it should not have come. */
static int deliver(struct grpc_call *call, struct bytes *piece, struct err *e)
{
    struct bytes message;
    int rc = grpc_framing_next(call->framing, piece, &message, e);

    if (rc <= 0)
        return rc;
    if (++call->messages > 1 && call->spec.unary)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_GRPC, GRPC_INTERNAL, "more than one message in the answer");
    h2_stream_touch(call->stream);
    call->spec.on_message(call->spec.ctx, message);
    return 1;
}

/* What there is of one, likewise. */
static int deliver_part(struct grpc_call *call, struct bytes *piece, struct err *e)
{
    struct grpc_part part;
    int rc = grpc_framing_part(call->framing, piece, &part, e);

    if (rc <= 0)
        return rc;
    if (part.begins && ++call->messages > 1 && call->spec.unary)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_GRPC, GRPC_INTERNAL, "more than one message in the answer");
    h2_stream_touch(call->stream);
    call->spec.on_part(call->spec.ctx, &part);
    return 1;
}

static void on_data(void *ctx, struct bytes piece)
{
    struct grpc_call *call = ctx;
    struct err e = ERR_INIT;
    size_t len = piece.len;
    int rc;

    call->busy = true;
    rc = call->messages == 0 ? grpc_status_check_head(&call->answer, &e) : 0;
    rc = rc < 0 ? -1 : 1;
    while (rc > 0 && !call->cancelled)
        rc = call->spec.on_part ? deliver_part(call, &piece, &e) : deliver(call, &piece, &e);
    if (rc < 0 && !call->cancelled)
        fail(call, &e);
    call->busy = false;
    if (call->cancelled)
        call_free(call);
    else if (!call->spec.manual_credit)
        h2_stream_credit(call->stream, len);
}

/* A stream that ended in good order: what does it say? */
static int result(const struct grpc_call *call, struct err *e)
{
    if (grpc_status_result(&call->answer, e) < 0)
        return -1;
    if (!grpc_framing_at_boundary(call->framing))
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_GRPC, GRPC_INTERNAL, "the answer ended within a message");
    if (call->spec.unary && call->messages == 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_GRPC, GRPC_INTERNAL, "grpc-status OK without an answer");
    return 0;
}

static void on_end(void *ctx, const struct err *err)
{
    struct grpc_call *call = ctx;
    void (*on_done)(void *ctx, const struct err *err) = call->spec.on_done;
    void *owner = call->spec.ctx;
    struct err e = ERR_INIT;

    call->stream = NULL;
    if (err)
        e = *err;
    else if (result(call, &e) == 0)
        e.kind = ERR_NONE;
    call_free(call);
    on_done(owner, e.kind != ERR_NONE ? &e : NULL);
}

static void on_dropped(void *ctx)
{
    struct grpc_call *call = ctx;

    call->stream = NULL;
    grpc_call_cancel(call);
}

/* At most 8 digits and a unit (PROTOCOL-HTTP2.md): milliseconds reach for 27 hours, seconds for three years. */
static void format_timeout(struct grpc_call *call)
{
    uint64_t ms = call->spec.unary ? call->spec.timeout_ms : call->spec.deadline_ms;

    if (ms == 0)
        return;
    if (ms <= 99999999)
        (void)snprintf(call->timeout, sizeof(call->timeout), "%um", (unsigned)ms);
    else if (ms / 1000 <= 99999999)
        (void)snprintf(call->timeout, sizeof(call->timeout), "%uS", (unsigned)(ms / 1000));
}

static int build(struct grpc_call *call, const struct grpc_call_spec *spec, size_t window, struct err *e)
{
    size_t limit = spec->message_limit;

    call->spec = *spec;
    call->answer = GRPC_ANSWER_INIT;
    format_timeout(call);
    if (spec->request.len > UINT32_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the request is too long");
    /* A longer one would wait for a window that nobody opens. */
    if (spec->manual_credit && limit > window - GRPC_PREFIX_LEN)
        limit = window - GRPC_PREFIX_LEN;
    call->framing = grpc_framing_new(limit, e);
    call->body = call->framing ? secret_new(GRPC_PREFIX_LEN + spec->request.len, e) : NULL;
    if (!call->body)
        return -1;
    grpc_framing_prefix(secret_data(call->body), (uint32_t)spec->request.len);
    if (spec->request.len)
        memcpy(secret_data(call->body) + GRPC_PREFIX_LEN, spec->request.data, spec->request.len);
    call->spec.request = (struct bytes){.len = 0};
    call->spec.token = NULL;
    return secret_clone(spec->token, &call->token, e);
}

struct grpc_call *grpc_call_start(struct h2_conn *c, const struct grpc_call_spec *spec, struct err *e)
{
    _cleanup_call_ struct grpc_call *call = calloc(1, sizeof(*call));
    struct h2_stream_spec stream = {
            .timeout_ms = spec->timeout_ms,
            .ctx = call,
            .fields = fill_fields,
            .on_field = on_field,
            .on_data = on_data,
            .on_end = on_end,
            .on_dropped = on_dropped,
    };

    if (!call) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a call");
        return NULL;
    }
    call->endpoint = h2_conn_endpoint(c);
    if (build(call, spec, h2_conn_window(c), e) < 0)
        return NULL;
    stream.body = (struct bytes){.data = secret_const_data(call->body), .len = secret_len(call->body)};
    call->stream = h2_stream_open(h2_conn_session(c), &stream, e);
    if (!call->stream)
        return NULL;
    return TAKE_PTR(call);
}

void grpc_call_credit(struct grpc_call *call, size_t bytes)
{
    if (call->stream)
        h2_stream_credit(call->stream, bytes);
}

void grpc_call_cancel(struct grpc_call *call)
{
    if (!call || call->cancelled)
        return;
    if (call->stream)
        h2_stream_reset(TAKE_PTR(call->stream));
    call->cancelled = true;
    if (!call->busy)
        call_free(call);
}
