#include "job/restore/destination.h"

#include "job/restore/unpack.h"

int destination_measure(const struct destination *d, uint64_t size, struct disk_space *needed, struct err *e)
{
    const struct data_dir *log = d->wal ? d->wal : d->data;

    if ((d->file && disk_space_need_beside(needed, d->file, size, e) < 0) ||
            (d->data && disk_space_need(needed, d->data, size, e) < 0))
        return -1;
    return log ? disk_space_need(needed, log, UNPACK_LOG_BYTES, e) : 0;
}

int destination_open(const struct destination *d, struct err *e)
{
    if (d->data && data_dir_open(d->data, e) < 0)
        return -1;
    return d->wal ? data_dir_open(d->wal, e) : 0;
}

bool destination_is_in_place(const struct destination *d)
{
    return (d->data && data_dir_is_in_place(d->data)) || (d->wal && data_dir_is_in_place(d->wal));
}

void destination_clean(const struct destination *d)
{
    data_dir_clean(d->data);
    data_dir_clean(d->wal);
    output_file_clean(d->file);
}

void destination_clear(struct destination *d)
{
    data_dir_free(TAKE_PTR(d->data));
    data_dir_free(TAKE_PTR(d->wal));
    output_file_free(TAKE_PTR(d->file));
}
