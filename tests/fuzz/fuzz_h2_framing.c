/*
 * gRPC framing: the messages are the same however the stream is cut into pieces, none is over the limit, and all bytes
 * are accounted for. The first bytes of the input say how it is cut.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "h2/framing.h"

enum { LIMIT = 300, CUTS = 4 };

struct outcome {
    int rc;
    size_t messages, bytes, longest;
    uint64_t sum; /* of lengths and contents, in order */
    bool at_boundary, within;
    struct err e;
};

static void add(struct outcome *o, struct bytes message)
{
    o->messages++;
    o->bytes += message.len;
    if (message.len > o->longest)
        o->longest = message.len;
    o->sum = o->sum * 31 + message.len;
    for (size_t i = 0; i < message.len; i++)
        o->sum = o->sum * 31 + message.data[i];
}

/* A piece is a block of its own: what is kept from one to the next must have been copied. */
static void feed(struct grpc_framing *f, const uint8_t *data, size_t len, struct outcome *o)
{
    _cleanup_free_ uint8_t *copy = malloc(len ? len : 1);
    struct bytes piece = {.data = copy, .len = len}, message;

    FUZZ_CHECK(copy);
    if (len)
        memcpy(copy, data, len);
    while (o->rc == 0 && (o->rc = grpc_framing_next(f, &piece, &message, &o->e)) > 0) {
        add(o, message);
        o->rc = 0;
    }
    FUZZ_CHECK(o->rc < 0 || piece.len == 0);
}

/* The same, part by part. A message without bytes has one part. */
static void feed_parts(struct grpc_framing *f, const uint8_t *data, size_t len, struct outcome *o)
{
    _cleanup_free_ uint8_t *copy = malloc(len ? len : 1);
    struct bytes piece = {.data = copy, .len = len};
    struct grpc_part part;

    FUZZ_CHECK(copy);
    if (len)
        memcpy(copy, data, len);
    while (o->rc == 0 && (o->rc = grpc_framing_part(f, &piece, &part, &o->e)) > 0) {
        o->rc = 0;
        FUZZ_CHECK(part.begins == !o->within && (part.bytes.len || part.message_len == 0));
        o->within = !part.ends;
        if (part.begins)
            o->sum = o->sum * 31 + part.message_len;
        for (size_t i = 0; i < part.bytes.len; i++)
            o->sum = o->sum * 31 + part.bytes.data[i];
        o->messages += part.ends;
    }
    FUZZ_CHECK(o->rc < 0 || piece.len == 0);
}

static struct outcome run(const uint8_t *data, size_t len, const uint8_t *cuts, size_t n_cuts,
        void (*take)(struct grpc_framing *f, const uint8_t *data, size_t len, struct outcome *o))
{
    struct outcome o = {.rc = 0};
    _cleanup_framing_ struct grpc_framing *f = grpc_framing_new(LIMIT, &o.e);
    size_t at = 0, i = 0;

    FUZZ_CHECK(f);
    while (at < len && o.rc == 0) {
        size_t n = n_cuts ? cuts[i++ % n_cuts] + 1U : len;

        if (n > len - at)
            n = len - at;
        take(f, data + at, n, &o);
        at += n;
    }
    o.at_boundary = grpc_framing_at_boundary(f);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct outcome whole, cut, parts;

    if (len < CUTS)
        return 0;
    whole = run(data + CUTS, len - CUTS, NULL, 0, feed);
    cut = run(data + CUTS, len - CUTS, data, CUTS, feed);
    parts = run(data + CUTS, len - CUTS, data, CUTS, feed_parts);
    FUZZ_CHECK(whole.rc == parts.rc && whole.messages == parts.messages && whole.at_boundary == parts.at_boundary);
    FUZZ_CHECK(!whole.at_boundary || whole.sum == parts.sum);
    FUZZ_CHECK(whole.rc == cut.rc && whole.messages == cut.messages && whole.sum == cut.sum);
    FUZZ_CHECK(strcmp(whole.e.text, cut.e.text) == 0 && whole.at_boundary == cut.at_boundary);
    FUZZ_CHECK(whole.longest <= LIMIT && (whole.rc == 0) == (whole.e.kind == ERR_NONE));
    FUZZ_CHECK(whole.e.kind == ERR_NONE || whole.e.kind == ERR_PROTOCOL);
    FUZZ_CHECK(whole.bytes + GRPC_PREFIX_LEN * whole.messages <= len - CUTS);
    if (whole.rc == 0 && whole.at_boundary)
        FUZZ_CHECK(whole.bytes + GRPC_PREFIX_LEN * whole.messages == len - CUTS);
    return 0;
}
