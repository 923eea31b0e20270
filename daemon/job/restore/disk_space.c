#include "job/restore/disk_space.h"

#include <errno.h>
#include <stdio.h>

#include "base/path.h"
#include "base/size.h"

static void add(struct disk_space *r, dev_t dev, uint64_t available, const char *where, uint64_t bytes)
{
    for (unsigned i = 0; i < r->count; i++)
        if (r->disks[i].dev == dev) {
            if (__builtin_add_overflow(r->disks[i].need, bytes, &r->disks[i].need))
                r->disks[i].need = UINT64_MAX; /* a store may announce any size */
            return;
        }
    if (r->count == ROOM_MAX)
        return;
    r->disks[r->count].dev = dev;
    r->disks[r->count].need = bytes;
    r->disks[r->count].available = available;
    (void)snprintf(r->disks[r->count].where, sizeof(r->disks[0].where), "%s", where);
    r->count++;
}

int disk_space_need_beside(struct disk_space *r, const struct output_file *t, uint64_t bytes, struct err *e)
{
    _cleanup_free_ char *dir = path_dir(output_file_path(t));
    uint64_t available;
    dev_t dev;

    if (output_file_room(t, &dev, &available, e) < 0)
        return -1;
    add(r, dev, available, dir ? dir : output_file_path(t), bytes);
    return 0;
}

int disk_space_need(struct disk_space *r, const struct data_dir *p, uint64_t bytes, struct err *e)
{
    uint64_t available;
    dev_t dev;

    if (data_dir_room(p, &dev, &available, e) < 0)
        return -1;
    add(r, dev, available, data_dir_path(p), bytes);
    return 0;
}

int disk_space_verdict(const struct disk_space *r, struct err *e)
{
    char need[SIZE_TEXT_MAX], available[SIZE_TEXT_MAX];

    for (unsigned i = 0; i < r->count; i++)
        if (r->disks[i].need > r->disks[i].available)
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_ERRNO, ENOSPC, "%s: too little room: %s needed, %s available",
                    r->disks[i].where, size_format(r->disks[i].need, need),
                    size_format(r->disks[i].available, available));
    return 0;
}
