#include "keyspace/key_value.h"

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

enum { VARINT_MAX = 10, LEN_64 = 8, LEN_32 = 4 };

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

/* One field's content: a number, or bytes. */
static bool take_content(struct bytes *in, enum wire wire, uint64_t *number, struct bytes *bytes)
{
    switch (wire) {
    case WIRE_VARINT:
        return take_varint(in, number);
    case WIRE_BYTES:
        return take_varint(in, number) && take_bytes(in, *number, bytes);
    case WIRE_64:
        return take_bytes(in, LEN_64, bytes);
    case WIRE_32:
        return take_bytes(in, LEN_32, bytes);
    }
    return false;
}

bool key_value_decode(struct bytes encoded, struct key_value *kv)
{
    struct bytes *const strings[] = {[1] = &kv->key, [5] = &kv->value, [6] = NULL};
    int64_t *const numbers[] = {
            [2] = &kv->create_revision, [3] = &kv->mod_revision, [4] = &kv->version, [5] = NULL, [6] = &kv->lease};

    *kv = (struct key_value){0};
    while (encoded.len > 0) {
        uint64_t tag, number = 0, field;
        struct bytes bytes = {0};

        if (!take_varint(&encoded, &tag) || !take_content(&encoded, tag & 7, &number, &bytes))
            return false;
        field = tag >> 3;
        if (field == 0)
            return false;
        if (field >= ARRAY_LEN(numbers))
            continue;
        /* A known field of another type is none of ours. */
        if (strings[field]) {
            if ((tag & 7) != WIRE_BYTES)
                return false;
            *strings[field] = bytes;
        } else {
            if ((tag & 7) != WIRE_VARINT)
                return false;
            *numbers[field] = (int64_t)number;
        }
    }
    return true;
}
