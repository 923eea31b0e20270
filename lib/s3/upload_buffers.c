#include <errno.h>
#include <sys/mman.h>

#include "s3/upload_state.h"

static unsigned usable_buffers(const struct s3_upload *u)
{
    return u->spec.parts_in_flight + 1 + (u->spooling ? 1 : 0);
}

unsigned upload_count(const struct s3_upload *u, enum upload_place place)
{
    unsigned n = 0;

    for (unsigned i = 0; i < usable_buffers(u); i++)
        n += u->buffers[i].place == place;
    return n;
}

unsigned upload_in_flight(const struct s3_upload *u)
{
    return upload_count(u, BUFFER_SENDING) + upload_count(u, BUFFER_LOADING);
}

size_t upload_buffer_size(const struct s3_upload *u)
{
    return parts_len(u->parts, 1);
}

static int map_buffer(struct s3_upload *u, struct upload_buffer *b, struct err *e)
{
    /* Mapped and not from malloc: what is unmapped is the system's again at once. */
    void *data = mmap(NULL, upload_buffer_size(u), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (data == MAP_FAILED)
        return err_errno(e, errno, "no memory for a part of %zu bytes", upload_buffer_size(u));
    /* Without encryption this is etcd's data: not for core dumps. */
    (void)madvise(data, upload_buffer_size(u), MADV_DONTDUMP);
    b->data = data;
    return 0;
}

int upload_take_buffer(struct s3_upload *u, struct upload_buffer **out, struct err *e)
{
    struct upload_buffer *found = NULL;

    for (unsigned i = 0; i < usable_buffers(u); i++) {
        struct upload_buffer *b = &u->buffers[i];

        /* One that has its memory already is better. */
        if (b->place == BUFFER_FREE && (!found || (b->data && !found->data)))
            found = b;
    }
    if (found && !found->data && map_buffer(u, found, e) < 0)
        return -1;
    *out = found;
    return 0;
}

void upload_release_buffers(struct s3_upload *u)
{
    for (unsigned i = 0; i < u->spec.parts_in_flight + 2; i++) {
        struct upload_buffer *b = &u->buffers[i];

        if (b->place == BUFFER_SPOOLING || b->place == BUFFER_LOADING)
            continue;
        if (b->data)
            (void)munmap(b->data, upload_buffer_size(u));
        b->data = NULL;
        b->place = BUFFER_FREE;
    }
}

struct upload_buffer *upload_filling(const struct s3_upload *u)
{
    for (unsigned i = 0; i < usable_buffers(u); i++)
        if (u->buffers[i].place == BUFFER_FILLING)
            return &u->buffers[i];
    return NULL;
}
