/* An etcd's database (edited_db.h), or what is to be a KeyValue ('K'): a hash, its keys in order, its leases, or an
 * error; never more memory than granted. */
#include "fuzz.h"

#include <sodium.h>

#include "edited_db.h"
#include "keyspace/hash.h"
#include "keyspace/key_value.h"
#include "keyspace/leases.h"
#include "keyspace/live.h"

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

/* What is found of each is what is found of it alone. */
static void compare(struct keyspace_changes *c, const struct keyspace_live *l, int64_t revision)
{
    struct err e = ERR_INIT;

    for (size_t i = 0; i < keyspace_live_count(l); i++) {
        struct key_value kv = keyspace_live_at(l, i);
        struct keyspace_found found;

        FUZZ_CHECK(i == 0 || bolt_key_compare(keyspace_live_at(l, i - 1).key, kv.key) < 0);
        FUZZ_CHECK(keyspace_changes_rewind(c, &e) == 0 && keyspace_find(c, kv.key, revision, &found, &e) == 0);
        FUZZ_CHECK(found.is_live && found.kv.value.data == kv.value.data && found.kv.value.len == kv.value.len);
    }
}

static void look(const struct bolt_file *f)
{
    struct err e = ERR_INIT;
    struct keyspace_changes c;
    struct keyspace_live_spec spec = {.memory_max = MEMORY_MAX};
    struct keyspace_live *l;
    struct keyspace_leases leases;
    struct lease lease;

    if (keyspace_leases_open(&leases, f, &e) == 0)
        while (keyspace_leases_next(&leases, &lease, &e) > 0)
            continue;
    if (keyspace_changes_open(&c, f, &e) < 0)
        return;
    FUZZ_CHECK(keyspace_revision_choose(&c.facts, 0, &spec.revision, &e) == 0);
    l = keyspace_live_new(&c, &spec, &e);
    FUZZ_CHECK(l || e.kind == ERR_INTEGRITY);
    if (l) {
        FUZZ_CHECK(keyspace_live_memory(l) <= MEMORY_MAX);
        compare(&c, l, spec.revision);
    }
    keyspace_live_free(l);
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
    if (bolt_file_open(&f, db, &e) == 0) {
        hash(&f);
        look(&f);
    }
    edited_db_free(db);
    return 0;
}
