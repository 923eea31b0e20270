/*
 * All that a server may send on a connection with two streams, from its first byte on: each stream ends once or not at
 * all, nothing is used after its end, and what is owed never exceeds the window. The first byte of the input cuts it
 * into pieces.
 */
#include "fuzz.h"

#include <string.h>

#include "h2/session.h"

enum { WINDOW = 65535, STREAMS = 2 };

struct stream {
    struct h2_session *session;
    struct h2_stream *stream;
    unsigned ends;
    size_t received;
    bool resets; /* itself, at the first byte */
};

static uint64_t now_ms(void *ctx)
{
    (void)ctx;
    return 1;
}

static void wake(void *ctx)
{
    (void)ctx;
}

static size_t fill_fields(void *ctx, nghttp2_nv out[H2_FIELDS_MAX])
{
    static uint8_t text[][8] = {":method", "POST", ":scheme", "http", ":path", "/x"};

    (void)ctx;
    for (size_t i = 0; i < 3; i++)
        out[i] = (nghttp2_nv){.name = text[2 * i],
                .namelen = strlen((char *)text[2 * i]),
                .value = text[2 * i + 1],
                .valuelen = strlen((char *)text[2 * i + 1])};
    return 3;
}

static void on_field(void *ctx, bool last, struct bytes name, struct bytes value)
{
    const struct stream *st = ctx;

    (void)last;
    FUZZ_CHECK(st->stream && name.len > 0 && value.len <= H2_FIELD_BYTES_MAX);
}

static void on_data(void *ctx, struct bytes piece)
{
    struct stream *st = ctx;

    FUZZ_CHECK(st->stream && piece.len <= WINDOW - st->received);
    st->received += piece.len;
    if (st->resets) {
        h2_stream_reset(st->stream);
        st->stream = NULL;
    }
}

static void on_end(void *ctx, const struct err *err)
{
    struct stream *st = ctx;

    FUZZ_CHECK(st->stream && (!err || (err->kind != ERR_NONE && err->text[0])));
    st->stream = NULL;
    st->ends++;
}

static void on_dropped(void *ctx)
{
    struct stream *st = ctx;

    FUZZ_CHECK(st->stream);
    st->stream = NULL;
}

static void open_streams(struct h2_session *s, struct stream *streams)
{
    for (size_t i = 0; i < STREAMS; i++) {
        const struct h2_stream_spec spec = {
                .body = {.data = (const uint8_t *)"request", .len = 7},
                .ctx = &streams[i],
                .fields = fill_fields,
                .on_field = on_field,
                .on_data = on_data,
                .on_end = on_end,
                .on_dropped = on_dropped,
        };
        struct err e = ERR_INIT;

        streams[i] = (struct stream){.session = s, .resets = i == 1};
        streams[i].stream = h2_stream_open(s, &spec, &e);
        FUZZ_CHECK(streams[i].stream);
    }
}

/* Sends what there is to nobody. False when the session is over. */
static bool drain(struct h2_session *s)
{
    const uint8_t *data;
    struct err e = ERR_INIT;
    ssize_t n;

    while ((n = h2_session_send(s, &data, &e)) > 0)
        ;
    return n == 0 && h2_session_check(s, &e) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    const struct h2_session_spec spec = {.window = WINDOW, .now = now_ms, .wake = wake};
    struct stream streams[STREAMS];
    struct err e = ERR_INIT;
    struct h2_session *s;
    size_t piece;

    if (len == 0)
        return 0;
    piece = data[0] + 1U;
    s = h2_session_new(&spec, &e);
    FUZZ_CHECK(s && h2_session_begin(s, &e) == 0);
    open_streams(s, streams);
    /* An even first byte: the server greets as it should, and the requests are on their way. */
    if (data[0] % 2 == 0)
        FUZZ_CHECK(h2_session_recv(s, (struct bytes){.data = settings, .len = sizeof(settings)}, &e) == 0 && drain(s));
    for (size_t at = 1; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;

        if (h2_session_recv(s, (struct bytes){.data = data + at, .len = n}, &e) < 0) {
            FUZZ_CHECK(e.kind == ERR_PROTOCOL && e.text[0]);
            break;
        }
        if (!drain(s))
            break;
    }
    h2_session_free(s);
    for (size_t i = 0; i < STREAMS; i++)
        FUZZ_CHECK(!streams[i].stream && streams[i].ends <= 1);
    return 0;
}
