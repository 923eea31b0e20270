/*
 * wire.h: frames of the control protocol (proto/control.proto): 32 bits of length in network order, then the message.
 * Pure; used by both programs.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"
#include "base/err.h"

enum {
    WIRE_VERSION = 5,
    WIRE_FRAME_MAX = 64 << 10, /* bytes of one message; lists are sent an entry a message */
};

/*
 * Looks at what has been received: 1 and the first message (valid as long as `in` is) with the bytes that it used,
 * 0 when more must be received, -1 with ERR_PROTOCOL when the length is 0 or over WIRE_FRAME_MAX.
 */
int wire_next(struct bytes in, struct bytes *message, size_t *used, struct err *e);

/* Bytes of a frame with the message; and the frame, written there. For a message of at most WIRE_FRAME_MAX bytes. */
size_t wire_frame_size(const ProtobufCMessage *message);
void wire_put_frame(uint8_t *out, const ProtobufCMessage *message);

/* Appends a frame with the message. Errors: those of buf_append. */
int wire_append(struct buf *out, const ProtobufCMessage *message, struct err *e);
