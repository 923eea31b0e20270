#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { BUF_FIRST = 256 }; /* bytes: what a first append allocates, if the limit allows */

/* Secrets pass through many a buffer. */
static void release(struct buf *b)
{
    if (b->data)
        secret_wipe(b->data, b->cap);
    free(b->data);
}

int buf_reserve(struct buf *b, size_t len, struct err *e)
{
    size_t want, cap;
    uint8_t *grown;

    if (len > b->limit || b->len > b->limit - len)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "more than %zu bytes", b->limit);
    want = b->len + len;
    if (want <= b->cap)
        return 0;
    cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < want)
        cap = cap > b->limit / 2 ? b->limit : cap * 2;
    if (cap > b->limit)
        cap = b->limit;
    grown = malloc(cap); /* realloc would leave a copy behind */
    if (!grown)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for %zu bytes", cap);
    if (b->len)
        memcpy(grown, b->data, b->len);
    release(b);
    b->data = grown;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len, struct err *e)
{
    if (len == 0)
        return 0;
    if (buf_reserve(b, len, e) < 0)
        return -1;
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

void buf_drop_front(struct buf *b, size_t len)
{
    b->len -= len;
    if (b->len)
        memmove(b->data, b->data + len, b->len);
}

void buf_reset(struct buf *b)
{
    release(b);
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}
