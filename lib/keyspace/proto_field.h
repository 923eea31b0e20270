/*
 * proto_field.h: one field of a protobuf message, read in place.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

enum proto_wire { PROTO_VARINT = 0, PROTO_64 = 1, PROTO_BYTES = 2, PROTO_32 = 5 };

struct proto_field {
    uint64_t number; /* of the field, not 0 */
    enum proto_wire wire;
    uint64_t value;     /* of a PROTO_VARINT */
    struct bytes bytes; /* of all others; data NULL if empty */
};

/* Takes the next one from the front of what is not empty; false: it is none. */
bool proto_field_take(struct bytes *in, struct proto_field *f);
