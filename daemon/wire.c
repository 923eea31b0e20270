#include "wire.h"

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

int wire_append(struct buf *out, const ProtobufCMessage *message, struct err *e)
{
    size_t len = protobuf_c_message_get_packed_size(message);

    if (len > WIRE_FRAME_MAX)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "control message of %zu bytes is too long to send", len);
    if (buf_reserve(out, len + 4, e) < 0)
        return -1;
    be32_store(out->data + out->len, (uint32_t)len);
    protobuf_c_message_pack(message, out->data + out->len + 4);
    out->len += len + 4;
    return 0;
}
