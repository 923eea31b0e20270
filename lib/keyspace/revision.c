#include "keyspace/revision.h"

enum { LEN = 17, TOMBSTONE_LEN = 18, SEPARATOR_AT = 8, SUB_AT = 9 };

bool revision_load(struct bytes key, struct revision *r)
{
    if (key.len != LEN && (key.len != TOMBSTONE_LEN || key.data[LEN] != 't'))
        return false;
    if (key.data[SEPARATOR_AT] != '_')
        return false;
    *r = (struct revision){
            .main = be64_load(key.data), .sub = be64_load(key.data + SUB_AT), .is_tombstone = key.len == TOMBSTONE_LEN};
    return r->main <= INT64_MAX && r->sub <= INT64_MAX;
}
