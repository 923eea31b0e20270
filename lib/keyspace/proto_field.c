#include "keyspace/proto_field.h"

enum { VARINT_MAX = 10, LEN_64 = 8, LEN_32 = 4, WIRE_BITS = 3, WIRE_MASK = 7 };

static bool take_varint(struct bytes *in, uint64_t *v)
{
    *v = 0;
    for (unsigned i = 0; i < VARINT_MAX && i < in->len; i++) {
        *v |= (uint64_t)(in->data[i] & 0x7F) << 7 * i;
        if ((in->data[i] & 0x80) == 0) {
            in->data += i + 1;
            in->len -= i + 1;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct bytes *in, uint64_t len, struct bytes *out)
{
    if (len > in->len)
        return false;
    *out = (struct bytes){.data = len ? in->data : NULL, .len = (size_t)len};
    in->data += len;
    in->len -= (size_t)len;
    return true;
}

static bool take_content(struct bytes *in, struct proto_field *f)
{
    uint64_t len;

    switch (f->wire) {
    case PROTO_VARINT:
        return take_varint(in, &f->value);
    case PROTO_BYTES:
        return take_varint(in, &len) && take_bytes(in, len, &f->bytes);
    case PROTO_64:
        return take_bytes(in, LEN_64, &f->bytes);
    case PROTO_32:
        return take_bytes(in, LEN_32, &f->bytes);
    }
    return false;
}

bool proto_field_take(struct bytes *in, struct proto_field *f)
{
    uint64_t tag;

    *f = (struct proto_field){.number = 0};
    if (!take_varint(in, &tag))
        return false;
    f->number = tag >> WIRE_BITS;
    f->wire = (enum proto_wire)(tag & WIRE_MASK);
    return f->number != 0 && take_content(in, f);
}
