#include "keyspace/hash.h"

#include <inttypes.h>
#include <stdlib.h>

#include "keyspace/crc32c.h"
#include "keyspace/index.h"
#include "keyspace/key_value.h"
#include "keyspace/revision.h"

enum pass { INDEXING, HASHING, DONE };

struct keyspace_hasher {
    struct bolt_file file;
    struct bolt_bucket keys;
    enum pass pass;
    struct bolt_cursor cursor;
    struct key_index *index;
    struct keyspace_hash result;
    struct crc32c crc;
};

static int broken(struct err *e, const struct bolt_entry *entry, const char *what)
{
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "page %" PRIu64 ": %s", entry->page, what);
}

static int check_revision(
        struct keyspace_hasher *h, int64_t revision, const struct keyspace_facts *facts, struct err *e)
{
    if (!facts->has_keys)
        return err_set(
                e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "there is no bucket of keys in it: it is no database of etcd");
    if (revision > facts->current)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "revision %" PRId64 " is not there yet: the last one is %" PRId64, revision, facts->current);
    h->result.revision = revision ? revision : facts->current;
    h->result.compact_revision = facts->compacted;
    if (h->result.revision < facts->compacted)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "revision %" PRId64 " is not there any more: %" PRId64 " was compacted", revision, facts->compacted);
    return 0;
}

struct keyspace_hasher *keyspace_hasher_new(
        const struct bolt_file *file, int64_t revision, uint64_t memory_max, struct err *e)
{
    _cleanup_(cleanup_keyspace_hasher_free) struct keyspace_hasher *h = calloc(1, sizeof(*h));
    struct keyspace_facts facts;
    struct bolt_bucket root;

    if (!h) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a hash of keys");
        return NULL;
    }
    h->file = *file;
    root = bolt_file_root(&h->file);
    if (keyspace_facts_of_file(&facts, &h->file, e) < 0 || check_revision(h, revision, &facts, e) < 0 ||
            bolt_bucket_find(&root, KEYSPACE_BUCKET, &h->keys, e) < 0 || bolt_cursor_start(&h->cursor, &h->keys, e) < 0)
        return NULL;
    h->index = key_index_new(memory_max, e);
    crc32c_init(&h->crc);
    return h->index ? TAKE_PTR(h) : NULL;
}

/* A change, whose value must be that of its revision. */
static int read_change(const struct bolt_entry *entry, struct revision *r, struct key_value *kv, struct err *e)
{
    if (!revision_load(entry->key, r))
        return broken(e, entry, "a key of etcd is no revision");
    if (entry->is_bucket || !key_value_decode(entry->value, kv))
        return broken(e, entry, "the value of a key is none that etcd writes");
    if (!r->is_tombstone && entry->value.len > 0 && (uint64_t)kv->mod_revision != r->main)
        return broken(e, entry, "the value of a key is of another revision");
    return 0;
}

static bool is_behind(const struct keyspace_hasher *h, const struct revision *r)
{
    return r->main > (uint64_t)h->result.revision;
}

static int index_change(struct keyspace_hasher *h, const struct bolt_entry *entry, struct err *e)
{
    struct revision r;
    struct key_value kv;

    if (read_change(entry, &r, &kv, e) < 0)
        return -1;
    h->result.revisions++;
    if (is_behind(h, &r))
        return 0;
    return key_index_put(h->index, kv.key, &r, e);
}

/* Whether a compaction has left it, or is yet to take it away. */
static bool is_kept(const struct keyspace_hasher *h, const struct revision *r, struct bytes key)
{
    int64_t compacted = h->result.compact_revision;

    if (compacted < 0 || r->main > (uint64_t)compacted)
        return true;
    if (r->main == (uint64_t)compacted && r->is_tombstone)
        return false;
    return key_index_n_live(h->index) == 0 || key_index_is_live(h->index, key, r);
}

static int hash_change(struct keyspace_hasher *h, const struct bolt_entry *entry, struct err *e)
{
    struct revision r;
    struct key_value kv;

    if (read_change(entry, &r, &kv, e) < 0)
        return -1;
    if (is_behind(h, &r) || !is_kept(h, &r, kv.key))
        return 0;
    h->result.hash = crc32c_update(&h->crc, h->result.hash, entry->key);
    h->result.hash = crc32c_update(&h->crc, h->result.hash, entry->value);
    return 0;
}

/* The name that a bumped revision leaves behind is nobody's key. */
static void count_keys(struct keyspace_hasher *h)
{
    h->result.keys = key_index_n_live(h->index) - key_index_has_live(h->index, (struct bytes){0});
    h->result.memory = key_index_memory(h->index);
}

/* A pass is at its end. */
static int turn(struct keyspace_hasher *h, struct err *e)
{
    static const char name[] = KEYSPACE_BUCKET;

    if (h->pass == HASHING) {
        h->pass = DONE;
        return 0;
    }
    count_keys(h);
    h->pass = HASHING;
    h->result.hash = crc32c_update(&h->crc, 0, (struct bytes){.data = (const uint8_t *)name, .len = sizeof(name) - 1});
    return bolt_cursor_start(&h->cursor, &h->keys, e) < 0 ? -1 : 1;
}

int keyspace_hasher_step(struct keyspace_hasher *h, uint64_t bytes, struct err *e)
{
    struct bolt_entry entry;
    uint64_t seen = 0;
    int more = 1;

    while (more > 0 && seen < bytes && h->pass != DONE) {
        more = bolt_cursor_next(&h->cursor, &entry, e);
        if (more == 0)
            return turn(h, e);
        if (more > 0 && (h->pass == INDEXING ? index_change(h, &entry, e) : hash_change(h, &entry, e)) < 0)
            return -1;
        if (more > 0)
            seen += BOLT_ELEMENT_LEN + entry.key.len + entry.value.len;
    }
    return h->pass == DONE ? 0 : more;
}

const struct keyspace_hash *keyspace_hasher_result(const struct keyspace_hasher *h)
{
    return &h->result;
}

void keyspace_hasher_free(struct keyspace_hasher *h)
{
    if (!h)
        return;
    key_index_free(h->index);
    free(h);
}
