#include "keyspace/hash.h"

#include <stdlib.h>

#include "keyspace/changes.h"
#include "keyspace/crc32c.h"
#include "keyspace/index.h"

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

struct keyspace_hasher *keyspace_hasher_new(
        const struct bolt_file *file, int64_t revision, uint64_t memory_max, struct err *e)
{
    _cleanup_(cleanup_keyspace_hasher_free) struct keyspace_hasher *h = calloc(1, sizeof(*h));
    struct keyspace_changes changes;

    if (!h) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a hash of keys");
        return NULL;
    }
    h->file = *file;
    if (keyspace_changes_open(&changes, &h->file, e) < 0 ||
            keyspace_revision_choose(&changes.facts, revision, &h->result.revision, e) < 0)
        return NULL;
    h->result.compact_revision = changes.facts.compacted;
    h->keys = changes.keys;
    h->cursor = changes.cursor;
    h->index = key_index_new(memory_max, e);
    crc32c_init(&h->crc);
    return h->index ? TAKE_PTR(h) : NULL;
}

static bool is_behind(const struct keyspace_hasher *h, const struct revision *r)
{
    return r->main > (uint64_t)h->result.revision;
}

static int index_change(struct keyspace_hasher *h, const struct bolt_entry *entry, struct err *e)
{
    struct keyspace_change c;

    if (keyspace_change_read(entry, &c, e) < 0)
        return -1;
    h->result.revisions++;
    if (is_behind(h, &c.revision))
        return 0;
    return key_index_put(h->index, c.kv.key, &c.revision, e);
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
    struct keyspace_change c;

    if (keyspace_change_read(entry, &c, e) < 0)
        return -1;
    if (is_behind(h, &c.revision) || !is_kept(h, &c.revision, c.kv.key))
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
