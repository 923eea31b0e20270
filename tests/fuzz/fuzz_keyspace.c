/* An etcd's database (edited_db.h), or what is to be a KeyValue ('K'): a hash, or an error; never more memory than
 * granted. */
#include "fuzz.h"

#include <sodium.h>

#include "edited_db.h"
#include "keyspace/hash.h"
#include "keyspace/key_value.h"

enum { MEMORY_MAX = 1 << 20 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    return 0;
}

static void decode(struct bytes encoded)
{
    struct key_value kv;

    if (!key_value_decode(encoded, &kv))
        return;
    FUZZ_CHECK(kv.key.len + kv.value.len <= encoded.len);
    FUZZ_CHECK((kv.key.data != NULL) == (kv.key.len > 0) && (kv.value.data != NULL) == (kv.value.len > 0));
}

static void hash(const struct bolt_file *f)
{
    struct err e = ERR_INIT;
    struct keyspace_hasher *h = keyspace_hasher_new(f, 0, MEMORY_MAX, &e);
    int more = -1;

    while (h && (more = keyspace_hasher_step(h, 3000, &e)) > 0)
        continue;
    FUZZ_CHECK(more == 0 || e.kind == ERR_INTEGRITY || e.kind == ERR_NOT_FOUND);
    if (more == 0) {
        FUZZ_CHECK(keyspace_hasher_result(h)->memory <= MEMORY_MAX);
        FUZZ_CHECK(keyspace_hasher_result(h)->keys <= keyspace_hasher_result(h)->revisions);
    }
    keyspace_hasher_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes db;
    struct bolt_file f;
    struct err e = ERR_INIT;

    if (len > 0 && data[0] == 'K') {
        decode((struct bytes){data + 1, len - 1});
        return 0;
    }
    db = edited_db_make(data, len);
    if (bolt_file_open(&f, db, &e) == 0)
        hash(&f);
    edited_db_free(db);
    return 0;
}
