#include "h2/session.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "h2/stream.h"

/* nghttp2 keeps requests, with tokens and passwords in them, in memory of its own: it is wiped before it goes. */
static void *ng_malloc(size_t size, void *unused)
{
    (void)unused;
    return malloc(size);
}

static void *ng_calloc(size_t n, size_t size, void *unused)
{
    (void)unused;
    return calloc(n, size);
}

static void ng_free(void *p, void *unused)
{
    (void)unused;
    if (p)
        secret_wipe(p, malloc_usable_size(p));
    free(p);
}

static void *ng_realloc(void *p, size_t size, void *unused)
{
    size_t old = p ? malloc_usable_size(p) : 0;
    void *grown;

    if (p && size <= old)
        return p;
    grown = malloc(size);
    if (!grown)
        return NULL;
    if (p)
        memcpy(grown, p, old);
    ng_free(p, unused);
    return grown;
}

static nghttp2_mem wiping_mem = {NULL, ng_malloc, ng_free, ng_calloc, ng_realloc};

struct h2_session *h2_session_new(const struct h2_session_spec *spec, struct err *e)
{
    struct h2_session *s = calloc(1, sizeof(*s));

    if (!s) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for HTTP/2");
        return NULL;
    }
    s->spec = *spec;
    return s;
}

static int no_memory(int rc, struct err *e)
{
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_HTTP2, rc, "HTTP/2: %s", nghttp2_strerror(rc));
}

/* What a callback of nghttp2 returns: once the owner has shut the session, nothing more is worth receiving. */
static int go_on(const struct h2_session *s)
{
    return s->shut && s->receiving ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

    (void)user;
    if (st)
        st->field_bytes = 0;
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
        const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

    (void)flags;
    if (!st)
        return go_on(s);
    st->field_bytes += name_len + value_len + 32;
    if (st->field_bytes > H2_FIELD_BYTES_MAX) {
        (void)snprintf(s->detail, sizeof(s->detail), "more than %d bytes of header fields", H2_FIELD_BYTES_MAX);
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    st->spec.on_field(st->spec.ctx, frame->hd.flags & NGHTTP2_FLAG_END_STREAM,
            (struct bytes){.data = name, .len = name_len}, (struct bytes){.data = value, .len = value_len});
    return go_on(s);
}

static int on_data_chunk(
        nghttp2_session *ng, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t len, void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, stream_id);

    (void)flags;
    if (!st) { /* was reset while this was on its way */
        if (s->shut)
            return go_on(s);
        return nghttp2_session_consume(ng, stream_id, len) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    st->owed += len;
    st->spec.on_data(st->spec.ctx, (struct bytes){.data = data, .len = len});
    return go_on(s);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st;

    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
        s->settled = true;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        h2_stream_note_goaway(s, &frame->goaway);
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
            frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
        if (st)
            h2_stream_finish(st);
    }
    return go_on(s);
}

static int on_stream_close(nghttp2_session *ng, int32_t stream_id, uint32_t code, void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, stream_id);
    struct err e = ERR_INIT;

    if (st) {
        h2_stream_reset_error(s, code, &e);
        h2_stream_end(st, &e);
    }
    return go_on(s);
}

/* A request that can no longer be made, since the server is going away. */
static int on_frame_not_send(nghttp2_session *ng, const nghttp2_frame *frame, int rc, void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st = NULL;
    struct err e = ERR_INIT;

    if (frame->hd.type == NGHTTP2_HEADERS)
        st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (st) {
        h2_stream_unsent_error(s, rc, &e);
        h2_stream_end(st, &e);
    }
    return go_on(s);
}

/* nghttp2 tells the server why it ends the session: we want to know as well. */
static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *s = user;
    const nghttp2_goaway *goaway = &frame->goaway;

    (void)ng;
    if (frame->hd.type == NGHTTP2_GOAWAY && goaway->error_code != NGHTTP2_NO_ERROR && !s->detail[0])
        (void)snprintf(s->detail, sizeof(s->detail), "%s%s%.*s", nghttp2_http2_strerror(goaway->error_code),
                goaway->opaque_data_len ? ": " : "",
                (int)(goaway->opaque_data_len < 200 ? goaway->opaque_data_len : 200),
                goaway->opaque_data_len ? (const char *)goaway->opaque_data : "");
    return 0;
}

/* nghttp2's own words on what is wrong with what the server sent. */
static int on_error(nghttp2_session *ng, int rc, const char *msg, size_t len, void *user)
{
    struct h2_session *s = user;

    (void)ng;
    (void)rc;
    if (!s->detail[0])
        (void)snprintf(s->detail, sizeof(s->detail), "%.*s", (int)(len < 200 ? len : 200), msg);
    return 0;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int rc, void *user)
{
    struct h2_session *s = user;

    (void)ng;
    if (!s->detail[0])
        (void)snprintf(s->detail, sizeof(s->detail), "frame of type %u: %s", frame->hd.type, nghttp2_strerror(rc));
    return 0;
}

static int new_ng(struct h2_session *s)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = nghttp2_session_callbacks_new(&callbacks);

    if (rc == 0)
        rc = nghttp2_option_new(&option);
    if (rc == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
        nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
        nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
        nghttp2_option_set_no_auto_window_update(option, 1); /* credit is given when the bytes have been used */
        rc = nghttp2_session_client_new3(&s->ng, callbacks, s, option, &wiping_mem);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc;
}

int h2_session_begin(struct h2_session *s, struct err *e)
{
    const nghttp2_settings_entry settings[] = {
            {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
            {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, s->spec.window},
            {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, H2_FRAME_MAX},
            {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_FIELD_BYTES_MAX},
    };
    int rc;

    nghttp2_session_del(s->ng);
    s->ng = NULL;
    s->settled = s->ready = false;
    s->detail[0] = '\0';
    rc = new_ng(s);
    if (rc == 0)
        rc = nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)s->spec.window);
    return rc == 0 ? 0 : no_memory(rc, e);
}

/* Another protocol on this port, recognised by what it says first. A frame's length would be over a million bytes. */
static const char *other_protocol(struct bytes data)
{
    if (data.len >= 1 && data.data[0] == 0x15) /* a TLS alert */
        return "the server speaks TLS on this port; with TLS, the endpoint is https://...";
    if (data.len >= 5 && memcmp(data.data, "HTTP/", 5) == 0)
        return "the server speaks HTTP/1 on this port, not HTTP/2";
    return NULL;
}

int h2_session_recv(struct h2_session *s, struct bytes data, struct err *e)
{
    const char *other = s->settled ? NULL : other_protocol(data);
    ssize_t rc;

    if (other)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_HTTP2, 0, "%s", other);
    s->receiving = true;
    rc = nghttp2_session_mem_recv(s->ng, data.data, data.len);
    s->receiving = false;
    if (s->shut)
        return 0;
    if (rc == NGHTTP2_ERR_NOMEM)
        return no_memory((int)rc, e);
    if (rc < 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_HTTP2, rc, "the server broke HTTP/2: %s",
                s->detail[0] ? s->detail : nghttp2_strerror((int)rc));
    if (s->settled && !s->ready) {
        s->ready = true;
        h2_stream_submit_all(s);
    }
    return 0;
}

ssize_t h2_session_send(struct h2_session *s, const uint8_t **data, struct err *e)
{
    ssize_t n;

    if (!s->ng)
        return 0;
    n = nghttp2_session_mem_send(s->ng, data);
    if (s->shut || n >= 0)
        return n < 0 ? 0 : n;
    return no_memory((int)n, e);
}

bool h2_session_is_ready(const struct h2_session *s)
{
    return s->ready;
}

int h2_session_check(const struct h2_session *s, struct err *e)
{
    if (s->goaway.kind != ERR_NONE && !s->streams) {
        *e = s->goaway;
        return -1;
    }
    if (s->ng && !nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng))
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_HTTP2, 0, "the server broke HTTP/2%s%s", s->detail[0] ? ": " : "",
                s->detail);
    return 0;
}

int h2_session_ping(struct h2_session *s, struct err *e)
{
    int rc = nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, NULL);

    return rc == 0 ? 0 : no_memory(rc, e);
}

void h2_session_shut(struct h2_session *s)
{
    s->shut = true;
    while (s->streams)
        h2_stream_drop(s->streams);
    if (s->ng)
        (void)nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
}

void h2_session_free(struct h2_session *s)
{
    if (!s)
        return;
    s->shut = true;
    while (s->streams)
        h2_stream_drop(s->streams);
    nghttp2_session_del(s->ng);
    free(s);
}
