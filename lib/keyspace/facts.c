#include "keyspace/facts.h"

#include <stdio.h>
#include <string.h>

#include "keyspace/revision.h"

static void raise_to(int64_t *to, uint64_t revision)
{
    if ((int64_t)revision > *to)
        *to = (int64_t)revision;
}

static bool is_named(struct bytes key, const char *name)
{
    return key.len == strlen(name) && memcmp(key.data, name, key.len) == 0;
}

static bool is_version(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != '.' && (text.data[i] < '0' || text.data[i] > '9'))
            return false;
    return text.len > 0;
}

/* An entry of the bucket `meta`. */
static void learn_meta(struct keyspace_facts *f, struct bytes key, struct bytes value)
{
    struct revision r;

    if ((is_named(key, "finishedCompactRev") || is_named(key, "scheduledCompactRev")) && revision_load(value, &r))
        raise_to(&f->compacted, r.main);
    else if (is_named(key, "storageVersion") && is_version(value) && value.len < sizeof(f->storage))
        (void)snprintf(f->storage, sizeof(f->storage), "%.*s", (int)value.len, (const char *)value.data);
    else if (is_named(key, "term") && f->storage[0] == '\0')
        (void)snprintf(f->storage, sizeof(f->storage), "3.5");
}

static void learn_all_meta(struct keyspace_facts *f, const struct bolt_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        learn_meta(f, bolt_page_key(page, i), bolt_page_value(page, i));
}

static struct keyspace_facts nothing_known(void)
{
    return (struct keyspace_facts){.structure = BOLT_NOT_INSPECTED, .current = 1, .compacted = -1};
}

static void conclude(struct keyspace_facts *f, bool has_meta)
{
    if (has_meta && f->storage[0] == '\0')
        (void)snprintf(f->storage, sizeof(f->storage), "3.4");
    if (f->compacted > f->current)
        f->current = f->compacted;
}

void keyspace_facts_of_report(struct keyspace_facts *facts, const struct bolt_report *report)
{
    bool has_meta = false;

    *facts = nothing_known();
    facts->structure = report->structure;
    memcpy(facts->why, report->why, sizeof(facts->why));
    if (report->structure == BOLT_SOUND)
        facts->free_bytes = (report->meta.n_pages - report->n_used) * report->meta.page_size;
    for (size_t i = 0; i < report->n_buckets; i++) {
        const struct bolt_bucket_seen *b = &report->buckets[i];
        struct bolt_page page;
        struct revision r;

        if (strcmp(b->name, KEYSPACE_BUCKET) == 0) {
            facts->has_keys = true;
            facts->revisions = b->n;
            if (b->n > 0 && revision_load(bolt_short_head(&b->last), &r))
                raise_to(&facts->current, r.main);
        } else if (strcmp(b->name, "meta") == 0 && b->content.data &&
                   bolt_inline_check(b->content, &page) == BOLT_FINE) {
            has_meta = true;
            learn_all_meta(facts, &page);
        }
    }
    conclude(facts, has_meta);
}

static int read_meta(struct keyspace_facts *facts, const struct bolt_bucket *root, bool *found, struct err *e)
{
    struct bolt_bucket meta;
    struct bolt_cursor c;
    struct bolt_entry entry;
    int more = bolt_bucket_find(root, "meta", &meta, e);

    *found = more > 0;
    if (more <= 0)
        return more;
    if (bolt_cursor_start(&c, &meta, e) < 0)
        return -1;
    while ((more = bolt_cursor_next(&c, &entry, e)) > 0)
        learn_meta(facts, entry.key, entry.value);
    return more;
}

static int read_keys(struct keyspace_facts *facts, const struct bolt_bucket *root, struct err *e)
{
    struct bolt_bucket keys;
    struct bytes last;
    struct revision r;
    int found = bolt_bucket_find(root, KEYSPACE_BUCKET, &keys, e);

    if (found <= 0)
        return found;
    facts->has_keys = true;
    found = bolt_bucket_last(&keys, &last, e);
    if (found > 0 && !revision_load(last, &r))
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "the last key of etcd is no revision");
    if (found > 0)
        raise_to(&facts->current, r.main);
    return found;
}

int keyspace_facts_of_file(struct keyspace_facts *facts, const struct bolt_file *file, struct err *e)
{
    struct bolt_bucket root = bolt_file_root(file);
    bool has_meta;

    *facts = nothing_known();
    if (read_meta(facts, &root, &has_meta, e) < 0 || read_keys(facts, &root, e) < 0)
        return -1;
    conclude(facts, has_meta);
    return 0;
}
