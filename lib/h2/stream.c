#include "h2/stream.h"

#include <stdlib.h>
#include <string.h>

static void link_stream(struct h2_stream *st)
{
    struct h2_session *s = st->session;

    st->next = s->streams;
    if (st->next)
        st->next->prev = st;
    s->streams = st;
}

/* From here on nghttp2 knows nothing of the stream that would lead to it. */
static void unlink_stream(struct h2_stream *st)
{
    struct h2_session *s = st->session;

    if (st->prev)
        st->prev->next = st->next;
    else
        s->streams = st->next;
    if (st->next)
        st->next->prev = st->prev;
    if (st->id == 0 || !s->ng)
        return;
    (void)nghttp2_session_set_stream_user_data(s->ng, st->id, NULL);
    /* The window of the connection is common to all: what nobody will credit any more must not be missing from it. */
    if (st->owed)
        (void)nghttp2_session_consume_connection(s->ng, st->owed);
    s->spec.wake(s->spec.ctx);
}

static ssize_t read_body(nghttp2_session *ng, int32_t stream_id, uint8_t *to, size_t size, uint32_t *flags,
        nghttp2_data_source *source, void *user)
{
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, stream_id);
    size_t n;

    (void)source;
    (void)user;
    if (!st)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    n = st->spec.body.len - st->body_sent;
    if (n > size)
        n = size;
    if (n)
        memcpy(to, st->spec.body.data + st->body_sent, n);
    st->body_sent += n;
    if (st->body_sent == st->spec.body.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

int h2_stream_unsent_error(const struct h2_session *s, int rc, struct err *e)
{
    if (rc != NGHTTP2_ERR_NOMEM && s->goaway.kind != ERR_NONE) {
        *e = s->goaway;
        return -1;
    }
    return err_set(e, rc == NGHTTP2_ERR_NOMEM ? ERR_RESOURCE : ERR_TRANSIENT, ERR_DOMAIN_HTTP2, rc,
            "the request could not be sent: %s", nghttp2_strerror(rc));
}

static int submit(struct h2_stream *st, struct err *e)
{
    nghttp2_nv fields[H2_FIELDS_MAX];
    nghttp2_data_provider body = {.read_callback = read_body};
    size_t n = st->spec.fields(st->spec.ctx, fields);

    st->id = nghttp2_submit_request(st->session->ng, NULL, fields, n, &body, st);
    if (st->id < 0) {
        int rc = st->id;

        st->id = 0;
        return h2_stream_unsent_error(st->session, rc, e);
    }
    h2_stream_touch(st);
    return 0;
}

struct h2_stream *h2_stream_open(struct h2_session *s, const struct h2_stream_spec *spec, struct err *e)
{
    _cleanup_free_ struct h2_stream *st = NULL;

    if (s->goaway.kind != ERR_NONE) {
        *e = s->goaway;
        return NULL;
    }
    if (s->shut) {
        err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "the connection is closed");
        return NULL;
    }
    st = calloc(1, sizeof(*st));
    if (!st) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a request");
        return NULL;
    }
    st->session = s;
    st->spec = *spec;
    if (s->ready && submit(st, e) < 0)
        return NULL;
    link_stream(st);
    s->spec.wake(s->spec.ctx);
    return TAKE_PTR(st);
}

void h2_stream_submit_all(struct h2_session *s)
{
    struct h2_stream *st = s->streams;

    while (st && !s->shut) {
        struct err e = ERR_INIT;

        if (st->id == 0 && submit(st, &e) < 0) {
            h2_stream_end(st, &e); /* which may have ended others */
            st = s->streams;
        } else {
            st = st->next;
        }
    }
    s->spec.wake(s->spec.ctx);
}

void h2_stream_end(struct h2_stream *st, const struct err *err)
{
    void (*on_end)(void *ctx, const struct err *err) = st->spec.on_end;
    void *ctx = st->spec.ctx;

    unlink_stream(st);
    free(st);
    on_end(ctx, err);
}

void h2_stream_finish(struct h2_stream *st)
{
    if (st->body_sent < st->spec.body.len)
        (void)nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
    h2_stream_end(st, NULL);
}

void h2_stream_credit(struct h2_stream *st, size_t bytes)
{
    if (bytes > st->owed)
        bytes = st->owed;
    st->owed -= bytes;
    /* Sends WINDOW_UPDATEs when half of a window has come together. */
    if (bytes && st->id && nghttp2_session_consume(st->session->ng, st->id, bytes) == 0 &&
            nghttp2_session_want_write(st->session->ng))
        st->session->spec.wake(st->session->spec.ctx);
}

void h2_stream_touch(struct h2_stream *st)
{
    const struct h2_session_spec *s = &st->session->spec;

    st->deadline = st->spec.timeout_ms ? s->now(s->ctx) + st->spec.timeout_ms : 0;
}

void h2_stream_reset(struct h2_stream *st)
{
    struct h2_session *s = st->session;

    unlink_stream(st);
    if (st->id)
        (void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_CANCEL);
    free(st);
}

void h2_stream_drop(struct h2_stream *st)
{
    void (*on_dropped)(void *ctx) = st->spec.on_dropped;
    void *ctx = st->spec.ctx;

    h2_stream_reset(st);
    on_dropped(ctx);
}

bool h2_session_has_streams(const struct h2_session *s)
{
    return s->streams != NULL;
}

uint64_t h2_session_deadline(const struct h2_session *s)
{
    uint64_t first = 0;

    for (const struct h2_stream *st = s->streams; st; st = st->next)
        if (st->deadline && (!first || st->deadline < first))
            first = st->deadline;
    return first;
}

static struct h2_stream *find_expired(const struct h2_session *s, uint64_t now)
{
    struct h2_stream *st = s->streams;

    while (st && (!st->deadline || st->deadline > now))
        st = st->next;
    return st;
}

void h2_session_expire(struct h2_session *s)
{
    uint64_t now = s->spec.now(s->spec.ctx);
    struct h2_stream *st;

    while (!s->shut && (st = find_expired(s, now))) {
        struct err e = ERR_INIT;

        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "no answer within %g s", (double)st->spec.timeout_ms / 1000.0);
        (void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_CANCEL);
        h2_stream_end(st, &e);
    }
}

void h2_session_fail(struct h2_session *s, const struct err *err)
{
    if (s->goaway.kind == ERR_NONE)
        s->goaway = *err;
    while (!s->shut && s->streams)
        h2_stream_end(s->streams, err);
}

void h2_stream_reset_error(const struct h2_session *s, uint32_t code, struct err *e)
{
    enum err_kind kind = ERR_TRANSIENT;

    switch (code) {
    case NGHTTP2_PROTOCOL_ERROR:
    case NGHTTP2_FLOW_CONTROL_ERROR:
    case NGHTTP2_FRAME_SIZE_ERROR:
    case NGHTTP2_COMPRESSION_ERROR:
        kind = ERR_PROTOCOL;
        break;
    case NGHTTP2_INADEQUATE_SECURITY:
    case NGHTTP2_HTTP_1_1_REQUIRED:
        kind = ERR_CONFIG;
        break;
    default:
        break;
    }
    err_set(e, kind, ERR_DOMAIN_HTTP2, code, "the stream was reset: %s%s%s", nghttp2_http2_strerror(code),
            s->detail[0] ? ": " : "", s->detail);
    if (code == NGHTTP2_REFUSED_STREAM && s->goaway.kind != ERR_NONE)
        *e = s->goaway;
}

void h2_stream_note_goaway(struct h2_session *s, const nghttp2_goaway *frame)
{
    int len = frame->opaque_data_len < 100 ? (int)frame->opaque_data_len : 100;

    err_set(&s->goaway, ERR_TRANSIENT, ERR_DOMAIN_HTTP2, frame->error_code, "the server is going away: %s%s%.*s",
            nghttp2_http2_strerror(frame->error_code), len ? ": " : "", len,
            len ? (const char *)frame->opaque_data : "");
}
