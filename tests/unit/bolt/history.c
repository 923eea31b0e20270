#include "history.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "made_up.h"

enum { USER_KEYS = 9 };

static size_t put_varint(uint8_t *to, uint8_t tag, uint64_t v)
{
    size_t n = 0;

    if (v == 0)
        return 0;
    to[n++] = tag;
    for (; v >= 0x80; v >>= 7)
        to[n++] = (uint8_t)(v | 0x80);
    to[n++] = (uint8_t)v;
    return n;
}

static size_t put_bytes(uint8_t *to, uint8_t tag, const void *bytes, size_t len)
{
    if (len == 0)
        return 0;
    to[0] = tag;
    to[1] = (uint8_t)len;
    memcpy(to + 2, bytes, len);
    return len + 2;
}

static void encode(struct change *c, uint64_t create, uint64_t version, uint64_t *random)
{
    static const uint8_t value[] = "some value or other that is put there";
    uint8_t *at = c->value;

    be64_store(c->key, c->main);
    c->key[8] = '_';
    be64_store(c->key + 9, c->sub);
    c->key[17] = 't';
    c->key_len = c->is_tombstone ? 18 : 17;
    at += put_bytes(at, 0x0A, c->user_key, strlen(c->user_key));
    if (!c->is_tombstone) {
        at += put_varint(at, 0x10, create);
        at += put_varint(at, 0x18, c->main);
        at += put_varint(at, 0x20, version);
        at += put_bytes(at, 0x2A, value, made_up_random(random, sizeof(value)));
        at += put_varint(at, 0x30, made_up_random(random, 3) ? 0 : made_up_random(random, UINT64_MAX));
    }
    c->value_len = (size_t)(at - c->value);
}

static void tell(struct history *h, uint64_t *random)
{
    struct {
        uint64_t create, version, last_main;
    } keys[USER_KEYS] = {0};
    uint64_t main = 2, sub = 0;

    h->n = made_up_random(random, HISTORY_MAX);
    for (size_t i = 0; i < h->n; i++) {
        size_t key = made_up_random(random, USER_KEYS);
        struct change *c = &h->changes[i];

        if (keys[key].last_main == main) { /* no key twice in one transaction */
            main++;
            sub = 0;
        }
        *c = (struct change){.main = main, .sub = sub};
        (void)snprintf(c->user_key, sizeof(c->user_key), "key%zu", key);
        c->is_tombstone = keys[key].version > 0 && made_up_random(random, 4) == 0;
        if (keys[key].version == 0)
            keys[key].create = main;
        keys[key].version = c->is_tombstone ? 0 : keys[key].version + 1;
        keys[key].last_main = main;
        encode(c, keys[key].create, keys[key].version, random);
        sub++;
        if (made_up_random(random, 3)) {
            main += 1 + made_up_random(random, 2);
            sub = 0;
        }
    }
    for (size_t i = 0; i < USER_KEYS; i++)
        h->n_live += keys[i].version > 0;
}

/* Whether it is its key's newest change up to a revision, and no deletion. */
static bool is_newest(const struct history *h, size_t i, uint64_t at)
{
    for (size_t j = i + 1; j < h->n && h->changes[j].main <= at; j++)
        if (strcmp(h->changes[j].user_key, h->changes[i].user_key) == 0)
            return false;
    return h->changes[i].main <= at && !h->changes[i].is_tombstone;
}

static void compact(struct history *h, uint64_t *random)
{
    uint64_t at, last = h->n ? h->changes[h->n - 1].main : 1;
    bool keeps_tombstone = made_up_random(random, 2) == 0;

    h->compacted = -1;
    if (made_up_random(random, 4) == 0)
        return;
    at = 1 + made_up_random(random, last);
    h->compacted = (int64_t)at;
    h->is_finished = made_up_random(random, 2) == 0;
    for (size_t i = 0; i < h->n && h->is_finished; i++) {
        struct change *c = &h->changes[i];

        if (c->main <= at && !is_newest(h, i, at))
            c->is_gone = !(keeps_tombstone && c->is_tombstone && c->main == at);
    }
}

/* CRC-32C, a bit at a time. */
static uint32_t crc(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82F63B78) : crc >> 1;
    }
    return ~crc;
}

static void hash(struct history *h)
{
    uint64_t last = h->n ? h->changes[h->n - 1].main : 1;

    h->hash = crc(0, "key", 3);
    for (size_t i = 0; i < h->n; i++) {
        const struct change *c = &h->changes[i];

        if (h->compacted >= 0 && c->main <= (uint64_t)h->compacted) {
            if (h->n_live > 0 && !is_newest(h, i, last))
                continue;
            /* With nothing to keep, all that is still there counts, but a deletion at the compaction. */
            if (c->is_gone || (c->is_tombstone && c->main == (uint64_t)h->compacted))
                continue;
        }
        h->hash = crc(h->hash, c->key, c->key_len);
        h->hash = crc(h->hash, c->value, c->value_len);
    }
}

void history_make(struct history *h, uint64_t *random)
{
    *h = (struct history){0};
    tell(h, random);
    compact(h, random);
    hash(h);
}
