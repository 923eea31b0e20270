/*
 * leases.h: etcd's bucket `lease`: leasepb.Lease (etcd, server/lease/leasepb/lease.proto) by id.
 */
#pragma once

#include "bolt/file.h"

struct lease {
    int64_t id, ttl; /* seconds */
};

struct keyspace_leases {
    bool has_any; /* the bucket is there */
    struct bolt_cursor cursor;
};

/* In front of the first. The file is borrowed. Errors: ERR_INTEGRITY. */
int keyspace_leases_open(struct keyspace_leases *l, const struct bolt_file *file, struct err *e);

/* The next one, in the order of their ids as numbers without a sign: 1, or 0 behind the last, or -1 with ERR_INTEGRITY.
 */
int keyspace_leases_next(struct keyspace_leases *l, struct lease *lease, struct err *e);
