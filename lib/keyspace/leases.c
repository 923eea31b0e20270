#include "keyspace/leases.h"

#include <inttypes.h>

#include "keyspace/proto_field.h"

enum { ID_LEN = 8, FIELD_ID = 1, FIELD_TTL = 2 };

static bool decode(struct bytes encoded, struct lease *lease)
{
    struct proto_field f;

    *lease = (struct lease){0};
    while (encoded.len > 0) {
        if (!proto_field_take(&encoded, &f))
            return false;
        if (f.number > FIELD_TTL)
            continue;
        if (f.wire != PROTO_VARINT)
            return false;
        *(f.number == FIELD_ID ? &lease->id : &lease->ttl) = (int64_t)f.value;
    }
    return true;
}

int keyspace_leases_open(struct keyspace_leases *l, const struct bolt_file *file, struct err *e)
{
    struct bolt_bucket root = bolt_file_root(file), leases;
    int found = bolt_bucket_find(&root, "lease", &leases, e);

    l->has_any = found > 0;
    return found <= 0 ? found : bolt_cursor_start(&l->cursor, &leases, e);
}

int keyspace_leases_next(struct keyspace_leases *l, struct lease *lease, struct err *e)
{
    struct bolt_entry entry;
    int more = l->has_any ? bolt_cursor_next(&l->cursor, &entry, e) : 0;

    if (more > 0 && (entry.is_bucket || entry.key.len != ID_LEN || !decode(entry.value, lease) ||
                            be64_load(entry.key.data) != (uint64_t)lease->id))
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "page %" PRIu64 ": a lease is none that etcd writes",
                entry.page);
    return more;
}
