#include "keyspace/key_value.h"

#include "keyspace/proto_field.h"

bool key_value_decode(struct bytes encoded, struct key_value *kv)
{
    struct bytes *const strings[] = {[1] = &kv->key, [5] = &kv->value, [6] = NULL};
    int64_t *const numbers[] = {
            [2] = &kv->create_revision, [3] = &kv->mod_revision, [4] = &kv->version, [5] = NULL, [6] = &kv->lease};

    *kv = (struct key_value){0};
    while (encoded.len > 0) {
        struct proto_field f;

        if (!proto_field_take(&encoded, &f))
            return false;
        if (f.number >= ARRAY_LEN(numbers))
            continue;
        /* A known field of another type is none of ours. */
        if (strings[f.number]) {
            if (f.wire != PROTO_BYTES)
                return false;
            *strings[f.number] = f.bytes;
        } else {
            if (f.wire != PROTO_VARINT)
                return false;
            *numbers[f.number] = (int64_t)f.value;
        }
    }
    return true;
}
