#include "server.h"

#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/cleanup.h"

struct server {
    nghttp2_session *ng;
    struct bytes answer;
    bool hold;
    struct server_counts counts;
    size_t sent;
    size_t offset[64]; /* of the answer, by half of the stream's number */
};

static size_t *offset_of(struct server *s, int32_t stream_id)
{
    return &s->offset[(size_t)stream_id / 2 % ARRAY_LEN(s->offset)];
}

static nghttp2_nv field(const char *name, const char *value)
{
    union {
        const char *in;
        uint8_t *out;
    } n = {.in = name}, v = {.in = value};

    return (nghttp2_nv){.name = n.out, .namelen = strlen(name), .value = v.out, .valuelen = strlen(value)};
}

static ssize_t read_answer(nghttp2_session *ng, int32_t stream_id, uint8_t *to, size_t size, uint32_t *flags,
        nghttp2_data_source *source, void *user)
{
    struct server *s = user;
    size_t *offset = offset_of(s, stream_id), n = s->answer.len - *offset;
    const nghttp2_nv trailers[] = {field("grpc-status", "0")};

    (void)source;
    if (n > size)
        n = size;
    memcpy(to, s->answer.data + *offset, n);
    *offset += n;
    s->sent += n;
    if (*offset == s->answer.len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(ng, stream_id, trailers, 1) != 0)
            abort();
    }
    return (ssize_t)n;
}

static void reply(struct server *s, int32_t stream_id)
{
    const nghttp2_nv head[] = {field(":status", "200"), field("content-type", "application/grpc")};
    nghttp2_data_provider body = {.read_callback = read_answer};

    *offset_of(s, stream_id) = 0;
    if (!s->hold && nghttp2_submit_response(s->ng, stream_id, head, ARRAY_LEN(head), &body) != 0)
        abort();
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct server *s = user;

    (void)ng;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        s->counts.requests++;
        break;
    case NGHTTP2_RST_STREAM:
        s->counts.resets++;
        s->counts.reset_code = frame->rst_stream.error_code;
        break;
    case NGHTTP2_WINDOW_UPDATE:
        s->counts.window_updates++;
        break;
    case NGHTTP2_PING:
        s->counts.pings++;
        break;
    case NGHTTP2_GOAWAY:
        s->counts.goaways++;
        break;
    default:
        break;
    }
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
            frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        reply(s, frame->hd.stream_id);
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t len, void *user)
{
    struct server *s = user;

    (void)ng;
    (void)flags;
    (void)stream_id;
    (void)data;
    s->counts.request_bytes += len;
    return 0;
}

struct server *server_new(struct bytes answer, bool hold)
{
    struct server *s = calloc(1, sizeof(*s));
    nghttp2_session_callbacks *callbacks;

    if (!s || nghttp2_session_callbacks_new(&callbacks) != 0)
        abort();
    s->answer = answer;
    s->hold = hold;
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    if (nghttp2_session_server_new(&s->ng, callbacks, s) != 0 ||
            nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
        abort();
    nghttp2_session_callbacks_del(callbacks);
    return s;
}

void server_free(struct server *s)
{
    nghttp2_session_del(s->ng);
    free(s);
}

bool server_recv(struct server *s, struct bytes data)
{
    return nghttp2_session_mem_recv(s->ng, data.data, data.len) == (ssize_t)data.len;
}

struct bytes server_send(struct server *s)
{
    const uint8_t *data;
    ssize_t n = nghttp2_session_mem_send(s->ng, &data);

    if (n < 0)
        abort();
    return (struct bytes){.data = data, .len = (size_t)n};
}

struct server_counts server_counts(const struct server *s)
{
    return s->counts;
}

size_t server_sent(const struct server *s)
{
    return s->sent;
}

void server_goaway(struct server *s, int32_t last)
{
    if (nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0)
        abort();
}
