#include "etcd/chunks.h"

#include <string.h>

struct slot {
    uint8_t *data; /* `size` bytes; kept when the chunk has been consumed */
    size_t len;
    uint64_t charged; /* all that had been charged when this chunk was closed */
};

/* A ring: `closed` chunks from `first` on, of which the first `readable` are committed, then the one being filled. */
struct etcd_chunks {
    size_t size, max;
    size_t first, readable, closed;
    bool ended;
    uint64_t charged, credited;
    uint64_t consumed; /* `charged` of the last chunk consumed */
    struct slot slots[];
};

struct etcd_chunks *etcd_chunks_new(size_t chunk, size_t max, struct err *e)
{
    struct etcd_chunks *c = calloc(1, sizeof(*c) + max * sizeof(c->slots[0]));

    if (!c) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a queue of %zu chunks", max);
        return NULL;
    }
    c->size = chunk;
    c->max = max;
    return c;
}

void etcd_chunks_charge(struct etcd_chunks *c, size_t bytes)
{
    c->charged += bytes;
}

/* The chunk to fill, with room in it; NULL when there is none to be had. */
static struct slot *filling(struct etcd_chunks *c, struct err *e)
{
    struct slot *s = &c->slots[(c->first + c->closed) % c->max];

    if (c->closed == c->max || c->ended) {
        err_set(e, ERR_PROTOCOL, ERR_DOMAIN_HTTP2, 0, "the server sends more than the window allows");
        return NULL;
    }
    if (!s->data)
        s->data = malloc(c->size);
    if (!s->data)
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a chunk of %zu bytes", c->size);
    return s->data ? s : NULL;
}

static void close_chunk(struct etcd_chunks *c, struct slot *s)
{
    s->charged = c->charged;
    c->closed++;
}

int etcd_chunks_append(struct etcd_chunks *c, struct bytes data, struct err *e)
{
    while (data.len > 0) {
        struct slot *s = filling(c, e);
        size_t n;

        if (!s)
            return -1;
        n = data.len < c->size - s->len ? data.len : c->size - s->len;
        memcpy(s->data + s->len, data.data, n);
        s->len += n;
        c->charged += n;
        data.data += n;
        data.len -= n;
        if (s->len == c->size)
            close_chunk(c, s);
    }
    return 0;
}

void etcd_chunks_commit(struct etcd_chunks *c, bool last)
{
    struct slot *s = &c->slots[(c->first + c->closed) % c->max];

    if (last && c->closed < c->max && s->len > 0)
        close_chunk(c, s);
    c->readable = c->closed;
    c->ended = c->ended || last;
}

struct bytes etcd_chunks_peek(const struct etcd_chunks *c, bool *last)
{
    const struct slot *s = &c->slots[c->first];

    if (last)
        *last = c->readable == 1 && c->ended;
    if (c->readable == 0)
        return (struct bytes){.data = NULL, .len = 0};
    return (struct bytes){.data = s->data, .len = s->len};
}

void etcd_chunks_consume(struct etcd_chunks *c)
{
    struct slot *s = &c->slots[c->first];

    if (c->readable == 0)
        return;
    c->consumed = s->charged;
    s->len = 0;
    c->first = (c->first + 1) % c->max;
    c->readable--;
    c->closed--;
}

size_t etcd_chunks_take_credit(struct etcd_chunks *c)
{
    uint64_t allowed = c->closed == 0 ? c->charged : c->consumed, credit;

    /* What was credited while the chunk was being filled may be more than what is allowed now. */
    if (allowed <= c->credited)
        return 0;
    credit = allowed - c->credited;
    c->credited = allowed;
    return (size_t)credit;
}

uint64_t etcd_chunks_uncredited(const struct etcd_chunks *c)
{
    return c->charged - c->credited;
}

void etcd_chunks_free(struct etcd_chunks *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->max; i++)
        free(c->slots[i].data);
    free(c);
}
