/*
 * key_value.h: the values of etcd's bucket `key`: mvccpb.KeyValue (etcd, api/mvccpb/kv.proto), read in place.
 *
 * Millions are read for one hash, so nothing is copied or allocated.
 */
#pragma once

#include "base/bytes.h"

struct key_value {
    struct bytes key, value; /* within what was decoded; data NULL if empty */
    int64_t create_revision, mod_revision, version, lease;
};

/* Whether `encoded` is one, to its last byte; then *kv is set. Fields that are not known are skipped, and the last of
 * several that are the same counts, as protobuf wants it. A deletion has only its key; an empty one is what a restore
 * with a bumped revision leaves behind. */
bool key_value_decode(struct bytes encoded, struct key_value *kv);
