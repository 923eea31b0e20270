#include "bolt/key.h"

#include <string.h>

#include "bolt/format.h"
#include "bolt/page.h"

void bolt_short_set(struct bolt_short *s, struct bytes key)
{
    size_t head = key.len < BOLT_SHORT_LEN ? key.len : BOLT_SHORT_LEN;

    s->len = (uint16_t)key.len;
    memcpy(s->head, key.data, head);
}

enum bolt_order bolt_short_order(const struct bolt_short *a, const struct bolt_short *b)
{
    int order = bolt_key_compare(bolt_short_head(a), bolt_short_head(b));

    if (order == 0 && a->len > BOLT_SHORT_LEN && b->len > BOLT_SHORT_LEN)
        return BOLT_ORDER_UNKNOWN;
    if (order == 0)
        return a->len < b->len ? BOLT_BEFORE : BOLT_NOT_BEFORE;
    return order < 0 ? BOLT_BEFORE : BOLT_NOT_BEFORE;
}

bool bolt_key_is_revision(struct bytes key)
{
    return (key.len == BOLT_REVISION_LEN || (key.len == BOLT_TOMBSTONE_LEN && key.data[17] == 't')) &&
           key.data[8] == '_';
}

uint64_t bolt_key_hash(struct bytes key)
{
    uint64_t h = key.len;
    size_t i = 0;

    for (; i + 8 <= key.len; i += 8)
        h = bolt_hash_join(h, le64_load(key.data + i));
    if (i < key.len) {
        uint8_t rest[8] = {0};

        memcpy(rest, key.data + i, key.len - i);
        h = bolt_hash_join(h, le64_load(rest));
    }
    return h * UINT64_C(0xD6E8FEB86659FD93);
}
