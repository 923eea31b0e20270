#include "job/list/inventory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/lanes.h"
#include "catalog/clusters.h"
#include "catalog/name.h"
#include "job/bucket/dump_metadata.h"
#include "job/bucket/listing.h"
#include "job/keys/keyring.h"
#include "s3/object.h"
#include "seal/sealed_key.h"
#include "seal/unseal.h"

enum { AT_A_TIME = 8, VERSION_MAX = 32 };

struct detail {
    char etcd_version[VERSION_MAX], storage_version[VERSION_MAX];
    int64_t revision_before, revision_after;
    int64_t revision, compact_revision, revisions;
    struct dump_hashkv hashkv;
    bool has_keys;
    uint64_t keys;
    char key[KEY_FINGERPRINT_MAX];
    char sealed_to[SEALED_KEY_WHOM_MAX];
    enum dump_encryption encryption; /* of a dump without a key */
    uint64_t cluster;                /* 0: not known */
    uint64_t snapshot_size;          /* bytes, of a compressed one; 0: it is not, or not known */
    bool is_dump_asked;              /* after the key, or instead of it */
    bool is_known;                   /* one of them has answered */
};

struct inventory {
    struct core *core;
    struct inventory_spec spec;
    struct listing *listing;
    struct catalog_list *list;
    struct keyring *ring;                      /* NULL: no master key can be read */
    struct detail details[INVENTORY_DETAILED]; /* of the list's first entries */
    struct lanes lanes;                        /* over those */
    size_t shown;
};

CLEANUP_FUNC(struct inventory *, inventory_free)

static void ask_for_more(struct inventory *v);

/* A whole decimal number, else 0. */
static int64_t parse_revision(const char *text)
{
    int64_t n = 0;

    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || n > (INT64_MAX - 9) / 10)
            return 0;
        n = n * 10 + (*c - '0');
    }
    return n;
}

static void take_metadata(struct detail *d, const struct s3_response *res)
{
    d->encryption = dump_metadata_encryption(res);
    d->snapshot_size = dump_metadata_snapshot_size(res);
    d->cluster = dump_metadata_cluster(res);
    (void)snprintf(d->etcd_version, VERSION_MAX, "%s", dump_metadata_text(res, "etcd-version"));
    (void)snprintf(d->storage_version, VERSION_MAX, "%s", dump_metadata_text(res, DUMP_STORAGE));
    d->revision_before = parse_revision(dump_metadata_text(res, "etcd-revision"));
    d->revision_after = parse_revision(dump_metadata_text(res, "etcd-revision-after"));
    d->revision = parse_revision(dump_metadata_text(res, DUMP_REVISION));
    d->compact_revision = parse_revision(dump_metadata_text(res, DUMP_COMPACT));
    if (d->revision && !d->compact_revision)
        d->compact_revision = -1;
    d->revisions = parse_revision(dump_metadata_text(res, DUMP_REVISIONS));
    d->hashkv = dump_metadata_hashkv(res);
    d->has_keys = dump_metadata_keys(res, &d->keys);
}

/* Which of our master keys opens it, or vouches for it. A backup that was renamed is one for verify to find. */
static void take_key(struct inventory *v, size_t index, struct bytes wrapped)
{
    const struct catalog_backup *b = catalog_list_at(v->list, index);
    struct err e = ERR_INIT;
    bool is_ours;
    size_t by;

    if (!b->has_key)
        return;
    if (sealed_key_is(wrapped))
        (void)sealed_key_whom(wrapped, v->details[index].sealed_to);
    if (!v->ring)
        return;
    is_ours = keyring_check(v->ring, wrapped, b->instant, true, &by, &e) == 0;
    if (!is_ours && (e.kind == ERR_RESOURCE || e.kind == ERR_CONFIG))
        return; /* which says nothing of it; the latter: there is no master key */
    (void)snprintf(
            v->details[index].key, KEY_FINGERPRINT_MAX, "%s", is_ours ? keyring_fingerprint(v->ring, by) : "none");
}

static void ask(struct lane *lane);

/* A rotation by the Go tool leaves no metadata at the key. */
static bool lacks_metadata(const struct detail *d)
{
    return !d->etcd_version[0] && !d->revision_before && !d->revision_after;
}

static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct lane *lane = ctx;
    struct inventory *v = lane->owner;
    struct detail *d = &v->details[lane->index];

    (void)lane_end(lane);
    if (!err) {
        take_metadata(d, res);
        d->is_known = true;
        if (!d->is_dump_asked)
            take_key(v, lane->index, res->body);
        if (!d->is_dump_asked && lacks_metadata(d)) {
            d->is_dump_asked = true;
            ask(lane);
        }
    } else if (err_is_transient(err)) {
        lanes_leave_rest(&v->lanes); /* nobody waits for more of these */
    }
    ask_for_more(v);
}

/* The range of revisions was known only after the dump was on its way: it stands at the key, and what came before it at
 * the dump, too. */
static void ask(struct lane *lane)
{
    struct inventory *v = lane->owner;
    const struct catalog_backup *b = catalog_list_at(v->list, lane->index);
    char key[NAME_TEXT_MAX];
    struct s3_get_spec get = {.key = key, .limit = KEY_OBJECT_LIMIT, .ctx = lane, .on_done = on_headed};
    struct err e = ERR_INIT;
    struct s3_client *s3 = core_s3(v->core, &e);

    name_key_of_dump(key, b->name);
    if (s3 && v->details[lane->index].is_dump_asked)
        lane->work = s3_head(s3, b->name, lane, on_headed, &e);
    else if (s3)
        lane->work = s3_get(s3, &get, &e);
}

static bool has_detail(const struct inventory *v, size_t index)
{
    return index < INVENTORY_DETAILED && index < catalog_list_count(v->list);
}

static bool has_metadata(const struct catalog_backup *b)
{
    return b->state == CATALOG_COMPLETE || b->doubt == CATALOG_MAY_BE_PLAIN;
}

/* By what the keys say, and by what somebody has seen of the dumps. */
static void judge_clusters(struct inventory *v)
{
    size_t n = catalog_list_count(v->list);
    char note[200];
    struct clusters_result r;
    _cleanup_free_ uint64_t *ids = calloc(n + 1, sizeof(*ids));

    for (size_t i = 0; ids && i < n; i++) {
        const struct catalog_backup *b = catalog_list_at(v->list, i);
        const struct known_object object = {.name = b->name, .etag = b->etag, .size = b->size};

        ids[i] = has_detail(v, i) ? v->details[i].cluster : 0;
        if (!ids[i])
            ids[i] = known_find(core_known(v->core), &object).cluster;
    }
    if (!ids)
        return;
    r = clusters_judge(v->list, ids, known_own_cluster(core_known(v->core)));
    (void)snprintf(note, sizeof(note),
            "the backups here are of several etcd clusters in turn (%" PRIx64 ", %" PRIx64
            "): give each cluster a prefix of its own",
            r.own, r.other);
    if (r.is_unclear)
        v->spec.on_note(v->spec.ctx, note);
}

static int begin(struct lane *lane, struct err *e)
{
    struct inventory *v = lane->owner;
    const struct catalog_backup *b = catalog_list_at(v->list, lane->index);

    (void)e;
    v->details[lane->index].is_dump_asked = !b->has_key;
    if (has_metadata(b))
        ask(lane);
    return 0;
}

static void ask_for_more(struct inventory *v)
{
    struct err ignored = ERR_INIT;

    if (lanes_go_on(&v->lanes, &ignored) == 0) {
        judge_clusters(v);
        v->spec.on_done(v->spec.ctx, NULL);
    }
}

static void on_note(void *ctx, const char *text)
{
    struct inventory *v = ctx;

    v->spec.on_note(v->spec.ctx, text);
}

static void on_listed(void *ctx, struct catalog_list *list, const struct err *err)
{
    struct inventory *v = ctx;
    struct err ignored;

    listing_free(TAKE_PTR(v->listing));
    v->list = list;
    v->ring = keyring_new(core_conf(v->core), &ignored);
    if (err) {
        v->spec.on_done(v->spec.ctx, err);
        return;
    }
    v->lanes = (struct lanes){.owner = v, .width = AT_A_TIME, .start = begin, .cancel = s3_request_cancel_work};
    lanes_begin(
            &v->lanes, catalog_list_count(list) < INVENTORY_DETAILED ? catalog_list_count(list) : INVENTORY_DETAILED);
    ask_for_more(v);
}

struct inventory *inventory_start(struct core *core, const struct inventory_spec *spec, struct err *e)
{
    _cleanup_(cleanup_inventory_free) struct inventory *v = calloc(1, sizeof(*v));
    struct listing_spec listing = {.ctx = v, .on_note = on_note, .on_done = on_listed};

    if (!v) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    v->core = core;
    v->spec = *spec;
    v->listing = listing_start(core, &listing, e);
    return v->listing ? TAKE_PTR(v) : NULL;
}

static bool is_key_missing(const struct catalog_backup *b, const struct detail *d)
{
    if (b->has_key || !has_metadata(b) || !d || d->encryption == DUMP_UNKNOWN)
        return b->state == CATALOG_KEY_MISSING;
    return d->encryption == DUMP_ENCRYPTED;
}

/* Whoever has not said another size has stored the snapshot as it is. */
static uint64_t snapshot_size(const struct catalog_backup *b, const struct detail *d)
{
    uint64_t plain = b->has_key ? unseal_plain_size(b->size) : b->size;

    if (b->state != CATALOG_COMPLETE || !d || !d->is_known)
        return 0;
    if (d->snapshot_size)
        return d->snapshot_size;
    return plain == UINT64_MAX ? 0 : plain;
}

bool inventory_next(struct inventory *v, struct inventory_entry *out)
{
    while (v->shown < catalog_list_count(v->list)) {
        size_t i = v->shown++;
        const struct detail *d = has_detail(v, i) ? &v->details[i] : NULL;

        out->backup = catalog_list_at(v->list, i);
        out->snapshot_size = snapshot_size(out->backup, d);
        out->etcd_version = d ? d->etcd_version : "";
        out->storage_version = d ? d->storage_version : "";
        out->revision_before = d ? d->revision_before : 0;
        out->revision_after = d ? d->revision_after : 0;
        out->revision = d ? d->revision : 0;
        out->compact_revision = d ? d->compact_revision : 0;
        out->revisions = d ? (uint64_t)d->revisions : 0;
        out->hashkv = d ? d->hashkv : (struct dump_hashkv){0};
        out->has_keys = d && d->has_keys;
        out->keys = d && d->has_keys ? d->keys : 0;
        out->key = d ? d->key : "";
        out->sealed_to = d ? d->sealed_to : "";
        out->key_is_missing = is_key_missing(out->backup, d);
        if (!catalog_backup_is_orphan(out->backup))
            return true;
    }
    return false;
}

void inventory_free(struct inventory *v)
{
    if (!v)
        return;
    lanes_cancel(&v->lanes);
    keyring_free(v->ring);
    listing_free(v->listing);
    catalog_list_free(v->list);
    free(v);
}
