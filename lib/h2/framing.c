#include "h2/framing.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

struct grpc_framing {
    size_t limit;
    uint8_t prefix[GRPC_PREFIX_LEN];
    size_t prefix_len;   /* bytes of it that have arrived */
    size_t message_len;  /* by the prefix, once it is complete */
    struct buf gathered; /* the message so far, when it came in several pieces */
    bool handed_out;     /* what is in `gathered` has been handed out and is no longer needed */
    size_t parted;       /* bytes of the message that have been handed out as parts */
};

struct grpc_framing *grpc_framing_new(size_t limit, struct err *e)
{
    struct grpc_framing *f = calloc(1, sizeof(*f));

    if (!f) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    f->limit = limit;
    f->gathered = BUF_INIT(limit);
    return f;
}

static void skip(struct bytes *b, size_t len)
{
    b->data += len;
    b->len -= len;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Returns 1 when the prefix is complete and good. */
static int read_prefix(struct grpc_framing *f, struct bytes *piece, struct err *e)
{
    size_t n = min_size(piece->len, GRPC_PREFIX_LEN - f->prefix_len);

    if (n) {
        memcpy(f->prefix + f->prefix_len, piece->data, n);
        f->prefix_len += n;
        skip(piece, n);
    }
    if (f->prefix_len < GRPC_PREFIX_LEN)
        return 0;
    if (f->prefix[0] == 1)
        return err_set(
                e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "the server sent a compressed message, which was not offered");
    if (f->prefix[0] != 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "gRPC message with unknown flags 0x%02x", f->prefix[0]);
    f->message_len = be32_load(f->prefix + 1);
    if (f->message_len > f->limit)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "gRPC message of %zu bytes, more than the %zu allowed",
                f->message_len, f->limit);
    return 1;
}

/* The part of a message that this piece has. Memory is taken as bytes arrive, not as a lying prefix announces them. */
static int gather(struct grpc_framing *f, struct bytes *piece, struct err *e)
{
    size_t n = min_size(piece->len, f->message_len - f->gathered.len);

    if (buf_append(&f->gathered, piece->data, n, e) < 0)
        return -1;
    skip(piece, n);
    return f->gathered.len == f->message_len;
}

int grpc_framing_next(struct grpc_framing *f, struct bytes *piece, struct bytes *message, struct err *e)
{
    int rc;

    if (f->handed_out) {
        f->gathered.len = 0;
        f->handed_out = false;
    }
    rc = f->prefix_len < GRPC_PREFIX_LEN ? read_prefix(f, piece, e) : 1;
    if (rc <= 0)
        return rc;
    if (f->gathered.len == 0 && piece->len >= f->message_len) {
        *message = (struct bytes){.data = piece->data, .len = f->message_len};
        skip(piece, f->message_len);
    } else {
        rc = gather(f, piece, e);
        if (rc <= 0)
            return rc;
        *message = buf_bytes(&f->gathered);
        f->handed_out = true;
    }
    f->prefix_len = 0;
    return 1;
}

int grpc_framing_part(struct grpc_framing *f, struct bytes *piece, struct grpc_part *part, struct err *e)
{
    int rc = f->prefix_len < GRPC_PREFIX_LEN ? read_prefix(f, piece, e) : 1;

    if (rc <= 0 || (piece->len == 0 && f->message_len > 0))
        return rc < 0 ? -1 : 0;
    *part = (struct grpc_part){.message_len = f->message_len, .begins = f->parted == 0};
    part->bytes = (struct bytes){.data = piece->data, .len = min_size(piece->len, f->message_len - f->parted)};
    skip(piece, part->bytes.len);
    f->parted += part->bytes.len;
    part->ends = f->parted == f->message_len;
    if (part->ends)
        f->prefix_len = f->parted = 0;
    return 1;
}

bool grpc_framing_at_boundary(const struct grpc_framing *f)
{
    return f->prefix_len == 0;
}

void grpc_framing_free(struct grpc_framing *f)
{
    if (!f)
        return;
    if (f->gathered.data)
        secret_wipe(f->gathered.data, f->gathered.cap);
    buf_reset(&f->gathered);
    free(f);
}

void grpc_framing_prefix(uint8_t out[GRPC_PREFIX_LEN], uint32_t len)
{
    out[0] = 0;
    be32_store(out + 1, len);
}
