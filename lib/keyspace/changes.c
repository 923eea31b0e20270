#include "keyspace/changes.h"

#include <inttypes.h>
#include <string.h>

static int broken(struct err *e, const struct bolt_entry *entry, const char *what)
{
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "page %" PRIu64 ": %s", entry->page, what);
}

int keyspace_change_read(const struct bolt_entry *entry, struct keyspace_change *change, struct err *e)
{
    struct revision *r = &change->revision;

    if (!revision_load(entry->key, r))
        return broken(e, entry, "a key of etcd is no revision");
    if (entry->is_bucket || !key_value_decode(entry->value, &change->kv))
        return broken(e, entry, "the value of a key is none that etcd writes");
    if (!r->is_tombstone && entry->value.len > 0 && (uint64_t)change->kv.mod_revision != r->main)
        return broken(e, entry, "the value of a key is of another revision");
    return 0;
}

int keyspace_changes_rewind(struct keyspace_changes *c, struct err *e)
{
    return bolt_cursor_start(&c->cursor, &c->keys, e);
}

int keyspace_changes_open(struct keyspace_changes *c, const struct bolt_file *file, struct err *e)
{
    struct bolt_bucket root = bolt_file_root(file);

    if (keyspace_facts_of_file(&c->facts, file, e) < 0)
        return -1;
    if (!c->facts.has_keys)
        return err_set(
                e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "there is no bucket of keys in it: it is no database of etcd");
    return bolt_bucket_find(&root, KEYSPACE_BUCKET, &c->keys, e) < 0 ? -1 : keyspace_changes_rewind(c, e);
}

int keyspace_changes_next(struct keyspace_changes *c, struct keyspace_change *change, struct err *e)
{
    struct bolt_entry entry;
    int more = bolt_cursor_next(&c->cursor, &entry, e);

    if (more > 0 && keyspace_change_read(&entry, change, e) < 0)
        return -1;
    return more;
}

int keyspace_revision_choose(const struct keyspace_facts *facts, int64_t asked, int64_t *revision, struct err *e)
{
    if (asked > facts->current)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "revision %" PRId64 " is not there yet: the last one is %" PRId64, asked, facts->current);
    *revision = asked ? asked : facts->current;
    if (*revision < facts->compacted)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "revision %" PRId64 " is not there any more: %" PRId64 " was compacted", *revision, facts->compacted);
    return 0;
}

static void learn(struct keyspace_found *f, const struct keyspace_change *c)
{
    if (!c->revision.is_tombstone) {
        *f = (struct keyspace_found){.is_live = true, .kv = c->kv};
    } else {
        f->last_revision = f->is_live ? f->kv.mod_revision : 0;
        f->deleted = (int64_t)c->revision.main;
        f->is_live = false;
        f->kv = (struct key_value){0};
    }
}

int keyspace_find(
        struct keyspace_changes *c, struct bytes key, int64_t revision, struct keyspace_found *found, struct err *e)
{
    struct keyspace_change change;
    int more;

    *found = (struct keyspace_found){.is_live = false};
    while ((more = keyspace_changes_next(c, &change, e)) > 0)
        if (change.revision.main <= (uint64_t)revision && bolt_key_compare(change.kv.key, key) == 0)
            learn(found, &change);
    return more;
}
