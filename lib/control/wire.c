#include "control/wire.h"

int wire_next(struct bytes in, struct bytes *message, size_t *used, struct err *e)
{
    uint32_t len;

    if (in.len < 4)
        return 0;
    len = be32_load(in.data);
    if (len == 0 || len > WIRE_FRAME_MAX)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "control message of %u bytes", (unsigned)len);
    if (in.len - 4 < len)
        return 0;
    *message = (struct bytes){.data = in.data + 4, .len = len};
    *used = (size_t)len + 4;
    return 1;
}

size_t wire_frame_size(const ProtobufCMessage *message)
{
    return protobuf_c_message_get_packed_size(message) + 4;
}

void wire_put_frame(uint8_t *out, const ProtobufCMessage *message)
{
    be32_store(out, (uint32_t)protobuf_c_message_pack(message, out + 4));
}

int wire_append(struct buf *out, const ProtobufCMessage *message, struct err *e)
{
    size_t len = wire_frame_size(message);

    if (len > WIRE_FRAME_MAX + 4)
        return err_set(
                e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "control message of %zu bytes is too long to send", len - 4);
    if (buf_reserve(out, len, e) < 0)
        return -1;
    wire_put_frame(out->data + out->len, message);
    out->len += len;
    return 0;
}
