#include "catalog/list.h"

#include <string.h>

#include "catalog/name.h"
#include "seal/sealed_key.h"
#include "seal/unseal.h"

/* One object of the listing; after catalog_list_finish, one backup. */
struct entry {
    struct catalog_backup backup;
    uint64_t key_size; /* bytes, of a dump that has a key */
    uint16_t stem_len; /* of the name without its suffix, which a dump shares with its key and its marks */
    enum { DUMP, KEY, MARK, CLAIM, CHECK } what;
    bool is_readable;
};

struct catalog_list {
    char *prefix;
    struct entry *entries; /* each owns its name */
    size_t n;
    size_t cap;
    bool expects_keys;
};

struct catalog_list *catalog_list_new(const char *prefix, struct err *e)
{
    struct catalog_list *l = calloc(1, sizeof(*l));

    if (l)
        l->prefix = strdup(prefix);
    if (!l || !l->prefix) {
        catalog_list_free(l);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for the list of backups");
        return NULL;
    }
    return l;
}

static int make_room(struct catalog_list *l, struct err *e)
{
    size_t cap = l->cap ? l->cap * 2 : 64;
    struct entry *grown;

    if (l->n >= CATALOG_MAX)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "more than %d objects named '%s-...' in the bucket",
                CATALOG_MAX, l->prefix);
    if (l->n < l->cap)
        return 0;
    grown = reallocarray(l->entries, cap, sizeof(*grown));
    if (!grown)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a list of %zu backups", cap);
    l->entries = grown;
    l->cap = cap;
    return 0;
}

/* Name and ETag in one piece of memory, which is the name's: there may be many. */
static char *copy_strings(const struct catalog_object *object, const char **etag)
{
    size_t name_size = strlen(object->name) + 1, etag_len = object->etag ? strlen(object->etag) : 0;
    bool is_quoted = etag_len >= 2 && object->etag[0] == '"' && object->etag[etag_len - 1] == '"';
    char *name;

    etag_len -= is_quoted ? 2 : 0;
    name = calloc(1, name_size + etag_len + 1);
    if (!name)
        return NULL;
    memcpy(name, object->name, name_size);
    if (etag_len)
        memcpy(name + name_size, object->etag + is_quoted, etag_len);
    *etag = name + name_size;
    return name;
}

int catalog_list_add(struct catalog_list *l, const struct catalog_object *object, struct err *e)
{
    int64_t instant = 0; /* stays so for unreadable names, and for those of checks */
    enum name_kind kind = name_parse(l->prefix, object->name, &instant);
    const char *etag = "";
    size_t stem_len;
    char *name;

    if (kind == NAME_FOREIGN)
        return 0;
    if (make_room(l, e) < 0)
        return -1;
    name = copy_strings(object, &etag);
    if (!name)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for the list of backups");
    stem_len = kind == NAME_CHECK ? strlen(name) : (size_t)(strrchr(name, '.') - name);
    l->entries[l->n++] = (struct entry){
            .backup = {.instant = instant,
                    .name = name,
                    .etag = etag,
                    .size = object->size,
                    .last_modified = object->last_modified},
            .stem_len = (uint16_t)stem_len,
            .what = kind == NAME_CHECK                     ? CHECK
                    : kind == NAME_CLAIM                   ? CLAIM
                    : kind == NAME_BAD                     ? MARK
                    : strcmp(name + stem_len, ".key") == 0 ? KEY
                                                           : DUMP,
            .is_readable = kind != NAME_UNREADABLE,
    };
    return 0;
}

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_stems(const struct entry *a, const struct entry *b)
{
    size_t shorter = a->stem_len < b->stem_len ? a->stem_len : b->stem_len;
    int order = memcmp(a->backup.name, b->backup.name, shorter);

    return order ? order : compare(a->stem_len, b->stem_len);
}

/* A dump directly before its key, its marks behind that, and a claim behind all; of an object that was listed twice,
 * the state known last comes first. */
static int order_to_pair(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    int order = compare(b->backup.instant, a->backup.instant);

    if (!order)
        order = compare_stems(a, b);
    if (!order)
        order = compare(a->what, b->what);
    if (!order)
        order = compare(b->backup.last_modified, a->backup.last_modified);
    if (!order && a->backup.size != b->backup.size)
        order = a->backup.size > b->backup.size ? -1 : 1;
    return order;
}

static int order_to_show(const void *pa, const void *pb)
{
    const struct catalog_backup *a = &((const struct entry *)pa)->backup, *b = &((const struct entry *)pb)->backup;
    int order = compare(b->instant, a->instant);

    return order ? order : strcmp(a->name, b->name);
}

/* bbolt's pages and etcd's SHA-256: the size of a snapshot that was stored as it is. */
static bool is_plain_size(uint64_t size)
{
    return size > 32 && size % CATALOG_PAGE == 32;
}

/* And that of one that was encrypted. The Go tool encrypts whatever etcd sends, so one of a wrapped key need not have
 * it; those whose keys are sealed to people are ours. */
static bool is_sealed_snapshot_size(uint64_t size)
{
    uint64_t plain = unseal_plain_size(size);

    return plain != UINT64_MAX && is_plain_size(plain);
}

static bool may_be_key(uint64_t size)
{
    return size == KEY_WRAPPED_LEN || (size >= SEALED_KEY_MIN && size <= SEALED_KEY_MAX);
}

static void judge(const struct catalog_list *l, struct entry *entry)
{
    struct catalog_backup *b = &entry->backup;

    if (entry->what == CHECK) {
        b->state = CATALOG_CHECK;
    } else if (entry->what == CLAIM) {
        b->state = CATALOG_CLAIM;
    } else if (entry->what == MARK) {
        b->state = CATALOG_ORPHAN_MARK;
    } else if (entry->what == KEY) {
        b->state = CATALOG_ORPHAN_KEY;
    } else if (!entry->is_readable) {
        b->state = CATALOG_UNREADABLE;
    } else if (b->has_key) {
        b->state = CATALOG_COMPLETE;
        if (!may_be_key(entry->key_size) || unseal_plain_size(b->size) == UINT64_MAX ||
                (entry->key_size != KEY_WRAPPED_LEN && !is_sealed_snapshot_size(b->size)))
            b->doubt = CATALOG_WRONG_SIZE;
    } else if (!is_plain_size(b->size)) {
        b->state = CATALOG_KEY_MISSING;
    } else if (l->expects_keys && is_sealed_snapshot_size(b->size)) {
        b->state = CATALOG_KEY_MISSING;
        b->doubt = CATALOG_MAY_BE_PLAIN;
    } else {
        b->state = CATALOG_COMPLETE;
        b->doubt = l->expects_keys ? CATALOG_PLAIN : CATALOG_SURE;
    }
    if (b->is_marked && catalog_backup_counts(b))
        b->doubt = CATALOG_BAD;
}

static void take_key(struct entry *dump, const struct entry *key)
{
    if (dump->what != DUMP || key->what != KEY || dump->backup.has_key)
        return;
    dump->backup.has_key = true;
    dump->backup.key_tag = name_object_tag(key->backup.etag, key->backup.size);
    dump->key_size = key->backup.size;
}

/* A mark of what stood there before says nothing. */
static void take_mark(struct entry *dump, const struct entry *mark)
{
    const struct catalog_backup *b = &dump->backup;

    if (dump->what == DUMP && mark->what == MARK &&
            name_bad_tag(mark->backup.name) == name_object_tag(b->etag, b->size))
        dump->backup.is_marked = true;
}

/*
 * Takes what stands at `*i`, and moves on past what belongs to it: its key, its marks, and repetitions by a server that
 * lists an object on two pages. Returns whether it is to be shown; what is not has been freed.
 */
static bool take_group(struct catalog_list *l, size_t *i, struct entry *out)
{
    *out = l->entries[(*i)++];
    for (; *i < l->n && out->backup.instant == l->entries[*i].backup.instant &&
            (out->what == CLAIM) == (l->entries[*i].what == CLAIM) && compare_stems(out, &l->entries[*i]) == 0;
            (*i)++) {
        take_key(out, &l->entries[*i]);
        take_mark(out, &l->entries[*i]);
        free(l->entries[*i].backup.name);
    }
    judge(l, out);
    /* A key that we cannot read the name of and that has no dump: not a backup, and not ours to remove. */
    if (out->what == KEY && !out->is_readable) {
        free(out->backup.name);
        return false;
    }
    return true;
}

void catalog_list_expect_keys(struct catalog_list *l)
{
    l->expects_keys = true;
}

void catalog_list_finish(struct catalog_list *l)
{
    size_t kept = 0, i = 0;
    struct entry entry, *shrunk;

    if (l->n == 0)
        return;
    qsort(l->entries, l->n, sizeof(*l->entries), order_to_pair);
    while (i < l->n)
        if (take_group(l, &i, &entry))
            l->entries[kept++] = entry;
    l->n = kept;
    /* A listing is half keys, and a list may be kept for long. */
    shrunk = reallocarray(l->entries, kept ? kept : 1, sizeof(*shrunk));
    if (shrunk) {
        l->entries = shrunk;
        l->cap = kept ? kept : 1;
    }
    qsort(l->entries, l->n, sizeof(*l->entries), order_to_show);
}

size_t catalog_list_count(const struct catalog_list *l)
{
    return l->n;
}

const struct catalog_backup *catalog_list_at(const struct catalog_list *l, size_t i)
{
    return &l->entries[i].backup;
}

bool catalog_backup_counts(const struct catalog_backup *b)
{
    return b->state == CATALOG_COMPLETE && b->doubt == CATALOG_SURE;
}

bool catalog_backup_is_orphan(const struct catalog_backup *b)
{
    return b->state == CATALOG_ORPHAN_KEY || b->state == CATALOG_ORPHAN_MARK || b->state == CATALOG_CLAIM ||
           b->state == CATALOG_CHECK;
}

void catalog_list_doubt(struct catalog_list *l, size_t i, enum catalog_doubt doubt)
{
    struct catalog_backup *b = &l->entries[i].backup;

    if (catalog_backup_counts(b) ||
            ((doubt == CATALOG_OTHER_CLUSTER || doubt == CATALOG_KEY_UNKNOWN) && !catalog_backup_is_orphan(b)))
        b->doubt = doubt;
}

void catalog_list_doubt_future(struct catalog_list *l, int64_t latest)
{
    for (size_t i = 0; i < l->n && l->entries[i].backup.instant > latest; i++) /* the newest come first */
        catalog_list_doubt(l, i, CATALOG_FUTURE);
}

const struct catalog_backup *catalog_list_newest(const struct catalog_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (catalog_backup_counts(&l->entries[i].backup))
            return &l->entries[i].backup;
    return NULL;
}

const struct catalog_backup *catalog_list_latest(const struct catalog_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->entries[i].backup.state == CATALOG_COMPLETE)
            return &l->entries[i].backup;
    return NULL;
}

static bool is_utc_spelling(const struct entry *entry)
{
    return entry->backup.name[entry->stem_len - 1] == 'Z';
}

const struct catalog_backup *catalog_list_find(const struct catalog_list *l, int64_t instant)
{
    const struct entry *found = NULL;

    for (size_t i = 0; i < l->n && l->entries[i].backup.instant >= instant; i++) {
        const struct entry *entry = &l->entries[i];

        if (entry->backup.instant != instant || entry->backup.state != CATALOG_COMPLETE)
            continue;
        if (!found || (is_utc_spelling(entry) && !is_utc_spelling(found)))
            found = entry;
    }
    return found ? &found->backup : NULL;
}

/* Seconds between two instants; any two, without overflow. */
static uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

const struct catalog_backup *catalog_list_nearest(const struct catalog_list *l, int64_t instant)
{
    const struct catalog_backup *nearest = NULL;

    for (size_t i = 0; i < l->n; i++) {
        const struct catalog_backup *backup = &l->entries[i].backup;

        if (catalog_backup_counts(backup) &&
                (!nearest || distance(backup->instant, instant) < distance(nearest->instant, instant)))
            nearest = backup;
    }
    return nearest;
}

void catalog_list_free(struct catalog_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        free(l->entries[i].backup.name);
    free(l->entries);
    free(l->prefix);
    free(l);
}
