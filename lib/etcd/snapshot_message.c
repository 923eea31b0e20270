#include "etcd/snapshot_message.h"

#include <assert.h>
#include <string.h>

enum {
    BLOB_FIELD = 3,
    NUMBER_MAX = 10, /* bytes of a number; of a tag and of a length 5 */
    SHORT_MAX = 5,
};

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static int refuse(struct err *e)
{
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "a message of the snapshot cannot be decoded");
}

void etcd_snapshot_message_begin(struct etcd_snapshot_message *m, size_t len)
{
    m->blob_len = m->left = m->number = 0;
    m->unread = len;
    m->head_len = m->number_len = 0;
    m->has_blob = m->in_blob = false;
    m->state = ETCD_SNAPSHOT_TAG;
    m->rest_len = 0;
}

static int keep(struct etcd_snapshot_message *m, const uint8_t *data, size_t len, struct err *e)
{
    if (len > sizeof(m->rest) - m->rest_len)
        return refuse(e);
    memcpy(m->rest + m->rest_len, data, len);
    m->rest_len += len;
    return 0;
}

/* What stood in front of a value that is not the blob, and `left` bytes of that value follow. */
static int keep_field(struct etcd_snapshot_message *m, uint64_t left, struct err *e)
{
    unsigned len = m->head_len;

    m->head_len = 0;
    m->state = ETCD_SNAPSHOT_TAG;
    m->left = left;
    return left > m->unread ? refuse(e) : keep(m, m->head, len, e);
}

static int take_tag(struct etcd_snapshot_message *m, uint64_t tag, struct err *e)
{
    m->in_blob = tag == (BLOB_FIELD << 3 | WIRE_BYTES);
    switch (tag & 7) {
    case WIRE_VARINT:
        m->state = ETCD_SNAPSHOT_VARINT;
        return 0;
    case WIRE_BYTES:
        m->state = ETCD_SNAPSHOT_LENGTH;
        return 0;
    case WIRE_FIXED64:
        return keep_field(m, 8, e);
    case WIRE_FIXED32:
        return keep_field(m, 4, e);
    default:
        return refuse(e);
    }
}

static int take_length(struct etcd_snapshot_message *m, uint64_t length, struct err *e)
{
    if (!m->in_blob)
        return keep_field(m, length, e);
    if (m->has_blob || length > m->unread)
        return refuse(e);
    m->has_blob = true;
    m->head_len = 0;
    m->state = ETCD_SNAPSHOT_TAG;
    m->left = length;
    return 0;
}

/* The next byte of a tag, a length or a number. */
static int take_byte(struct etcd_snapshot_message *m, uint8_t byte, struct err *e)
{
    uint64_t number = m->number | (uint64_t)(byte & 0x7f) << (7 * m->number_len);

    assert(m->head_len < sizeof(m->head));
    m->head[m->head_len++] = byte;
    m->number_len++;
    if (byte & 0x80) {
        m->number = number;
        return m->number_len < (m->state == ETCD_SNAPSHOT_VARINT ? NUMBER_MAX : SHORT_MAX) ? 0 : refuse(e);
    }
    m->number = 0;
    m->number_len = 0;
    switch (m->state) {
    case ETCD_SNAPSHOT_TAG:
        return take_tag(m, number, e);
    case ETCD_SNAPSHOT_LENGTH:
        return take_length(m, number, e);
    case ETCD_SNAPSHOT_VARINT:
    default:
        return keep_field(m, 0, e);
    }
}

static const uint8_t *advance(struct etcd_snapshot_message *m, struct bytes *piece, size_t len)
{
    const uint8_t *at = piece->data;

    piece->data += len;
    piece->len -= len;
    m->unread -= len;
    return at;
}

int etcd_snapshot_message_next(struct etcd_snapshot_message *m, struct bytes *piece, struct bytes *blob, struct err *e)
{
    while (piece->len > 0) {
        size_t n = m->left < piece->len ? (size_t)m->left : piece->len;
        const uint8_t *at = advance(m, piece, n > 0 ? n : 1);

        if (n == 0) {
            if (take_byte(m, *at, e) < 0)
                return -1;
            continue;
        }
        m->left -= n;
        if (m->in_blob) {
            m->blob_len += n;
            *blob = (struct bytes){.data = at, .len = n};
            return 1;
        }
        if (keep(m, at, n, e) < 0)
            return -1;
    }
    return 0;
}

int etcd_snapshot_message_end(const struct etcd_snapshot_message *m, struct etcd_messages_snapshot *out, struct err *e)
{
    if (m->unread > 0 || m->left > 0 || m->head_len > 0)
        return refuse(e);
    return etcd_messages_snapshot((struct bytes){.data = m->rest, .len = m->rest_len}, out, e);
}
