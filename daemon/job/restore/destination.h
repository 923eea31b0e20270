/*
 * destination.h: where a snapshot goes: into a file, or through a transient one into directories that etcdutl fills.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "job/restore/data_dir.h"
#include "job/restore/disk_space.h"
#include "job/restore/output_file.h"

/* Each is owned, or NULL: nothing goes there. */
struct destination {
    struct output_file *file;
    struct data_dir *data, *wal; /* without wal the log lies in data */
};

/* What a snapshot of `size` bytes needs, of what is there: in the file, and unpacked, with etcdutl's log
 * (UNPACK_LOG_BYTES). The file's disk is asked for first. Errors: ERR_RESOURCE (cannot be asked). */
int destination_measure(const struct destination *d, uint64_t size, struct disk_space *needed, struct err *e);

/* Opens the directories. Errors of data_dir_open. */
int destination_open(const struct destination *d, struct err *e);

/* Whether something in a directory has its name, also when settling failed after that. */
bool destination_is_in_place(const struct destination *d);

/* What has not come to its place is removed. Blocks when something was filled and not settled. */
void destination_clean(const struct destination *d);

/* Cleans, and frees what is in it. */
void destination_clear(struct destination *d);
