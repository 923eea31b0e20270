#include "s3/upload_buffers.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int upload_buffers_init(struct upload_buffers *b, unsigned n, size_t size, struct err *e)
{
    *b = (struct upload_buffers){.list = calloc(n, sizeof(*b->list)), .n = n, .usable = n, .size = size};
    return b->list ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload");
}

void upload_buffers_reset(struct upload_buffers *b)
{
    if (b->list) {
        upload_buffers_take_back(b);
        upload_buffers_release(b);
    }
    free(TAKE_PTR(b->list));
}

unsigned upload_buffers_count(const struct upload_buffers *b, enum upload_place place)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->usable; i++)
        n += b->list[i].place == place;
    return n;
}

static struct upload_buffer *filling(const struct upload_buffers *b)
{
    for (unsigned i = 0; i < b->usable; i++)
        if (b->list[i].place == BUFFER_FILLING)
            return &b->list[i];
    return NULL;
}

struct upload_buffer *upload_buffers_first_full(const struct upload_buffers *b)
{
    struct upload_buffer *first = NULL;

    for (unsigned i = 0; i < b->usable; i++) {
        struct upload_buffer *one = &b->list[i];

        if (one->place == BUFFER_FULL && (!first || one->number < first->number))
            first = one;
    }
    return first;
}

static int map_memory(const struct upload_buffers *b, struct upload_buffer *one, struct err *e)
{
    /* Mapped and not from malloc: what is unmapped is the system's again at once. */
    void *data = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (data == MAP_FAILED)
        return err_errno(e, errno, "no memory for a part of %zu bytes", b->size);
    /* Without encryption this is etcd's data: not for core dumps. */
    (void)madvise(data, b->size, MADV_DONTDUMP);
    one->data = data;
    return 0;
}

int upload_buffers_take(struct upload_buffers *b, struct upload_buffer **out, struct err *e)
{
    struct upload_buffer *found = NULL;

    for (unsigned i = 0; i < b->usable; i++) {
        struct upload_buffer *one = &b->list[i];

        /* One that has its memory already is better. */
        if (one->place == BUFFER_FREE && (!found || (one->data && !found->data)))
            found = one;
    }
    if (found && !found->data && map_memory(b, found, e) < 0)
        return -1;
    *out = found;
    return 0;
}

uint64_t upload_buffers_room(const struct upload_buffers *b, const struct parts *table)
{
    const struct upload_buffer *one = filling(b);
    const uint64_t rest = one ? parts_len(table, one->number) - one->len : 0;

    return rest + upload_buffers_count(b, BUFFER_FREE) * parts_part_size(table);
}

/* The buffer that the next byte goes into. */
static int buffer_to_fill(
        struct upload_buffers *b, const struct parts *table, struct upload_buffer **out, struct err *e)
{
    *out = filling(b);
    if (*out)
        return 0;
    if (upload_buffers_take(b, out, e) < 0)
        return -1;
    assert(*out); /* the owner writes no more than there is room */
    (*out)->place = BUFFER_FILLING;
    (*out)->number = (uint32_t)(b->written / parts_part_size(table)) + 1;
    (*out)->len = 0;
    return 0;
}

uint8_t *upload_buffers_lend(struct upload_buffers *b, const struct parts *table, size_t len)
{
    struct upload_buffer *one;
    struct err ignored = ERR_INIT;

    /* What has no memory here is told by the write. */
    if (len > parts_size(table) - b->written || buffer_to_fill(b, table, &one, &ignored) < 0 ||
            len > parts_len(table, one->number) - one->len)
        return NULL;
    one->lent = true;
    return one->data + one->len;
}

int upload_buffers_write(struct upload_buffers *b, const struct parts *table, struct bytes bytes, struct err *e)
{
    while (bytes.len) {
        struct upload_buffer *one;
        size_t n;

        if (buffer_to_fill(b, table, &one, e) < 0)
            return -1;
        n = parts_len(table, one->number) - one->len;
        n = n < bytes.len ? n : bytes.len;
        if (bytes.data != one->data + one->len) /* or it was made there */
            memcpy(one->data + one->len, bytes.data, n);
        one->lent = false;
        one->len += n;
        b->written += n;
        bytes.data += n;
        bytes.len -= n;
        if (one->len == parts_len(table, one->number))
            one->place = BUFFER_FULL;
    }
    return 0;
}

void upload_buffers_take_back(struct upload_buffers *b)
{
    for (unsigned i = 0; i < b->n; i++)
        b->list[i].lent = false;
}

void upload_buffers_end(struct upload_buffers *b)
{
    struct upload_buffer *one = filling(b);

    if (one) /* it was lent, perhaps, and nothing came */
        one->place = one->len ? BUFFER_FULL : BUFFER_FREE;
}

void upload_buffers_release(struct upload_buffers *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        struct upload_buffer *one = &b->list[i];

        if (one->place == BUFFER_SPOOLING || one->place == BUFFER_LOADING || one->lent)
            continue;
        if (one->data)
            (void)munmap(one->data, b->size);
        one->data = NULL;
        one->place = BUFFER_FREE;
    }
}
