#include "core/arena.h"

#include <stdlib.h>

#include "base/secret.h"

enum {
    ALIGNMENT = 16,
    ROOM_MIN = 3 << 10, /* the structs of the largest request */
    ROOM_PER_BYTE = 3,  /* strings come one by one, aligned */
};

struct arena {
    ProtobufCAllocator allocator;
    struct secret *room;
    size_t used;
};

static void *allocate(void *ctx, size_t size)
{
    struct arena *a = ctx;
    size_t left = secret_len(a->room) - a->used;
    uint8_t *p = secret_data(a->room) + a->used;

    if (size > left)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    a->used += size < left ? size : left;
    return p;
}

static void release(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

struct arena *arena_new(size_t len, struct err *e)
{
    _cleanup_(cleanup_arena_free) struct arena *a = calloc(1, sizeof(*a));
    size_t room = ROOM_MIN + ROOM_PER_BYTE * len;

    if (!a) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    a->allocator = (ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = a};
    /* libsodium puts an allocation at the end of its pages: only one of a multiple of the alignment begins at one. */
    a->room = secret_new(room / ALIGNMENT * ALIGNMENT, e);
    return a->room ? TAKE_PTR(a) : NULL;
}

ProtobufCAllocator *arena_allocator(struct arena *a)
{
    return &a->allocator;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    secret_free(a->room);
    free(a);
}
