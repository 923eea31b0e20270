#include "job/backup/key_object.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "etcd/client.h"
#include "job/bucket/dump_metadata.h"
#include "s3/dialect.h"
#include "s3/object.h"
#include "s3/upload.h"

struct key_object {
    struct s3_client *s3;
    struct s3_request *request;
    char name[NAME_TEXT_MAX];
    uint8_t wrapped[SEALED_KEY_MAX];
    size_t wrapped_len;
    char revision_before[24], revision_after[24], etcd_version[ETCD_VERSION_MAX], storage_version[ETCD_VERSION_MAX],
            cluster[24], snapshot_size[24];
    char revision[24], compacted[24], revisions[24], free_bytes[24], hash[24], hash_compacted[24], keys[24];
    struct keyspace_facts facts;
    struct s3_lock lock;
    bool stored; /* by us, for sure */
    void *ctx;
    void (*on_retry)(void *ctx, const struct s3_retry *retry);
    void (*on_stored)(void *ctx, const struct err *err);
    void *check_ctx;
    void (*on_checked)(void *ctx, struct bytes found, const struct err *err);
    void *remove_ctx;
    void (*on_removed)(void *ctx);
};

static int put(struct key_object *k, bool if_none_match, struct err *e);

static void on_deleted(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct key_object *k = ctx;

    (void)res;
    (void)err; /* a lone key hurts nobody; prune removes it */
    k->request = NULL;
    k->on_removed(k->remove_ctx);
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    struct key_object *k = ctx;

    if (k->on_retry && !k->on_removed && retry->attempts > UPLOAD_RETRIES_UNTOLD)
        k->on_retry(k->ctx, retry);
}

/* Whether a request is on its way that takes back what was stored. */
static bool take_back(struct key_object *k)
{
    struct err e = ERR_INIT;

    if (!k->stored)
        return false;
    k->stored = false;
    k->request = s3_delete(k->s3, k->name, k, on_deleted, &e);
    return k->request != NULL;
}

static void end_with(struct key_object *k, const struct err *err)
{
    k->stored = !err;
    if (!k->on_removed)
        k->on_stored(k->ctx, err);
    else if (!take_back(k)) /* it was to be removed before it was known to be stored */
        k->on_removed(k->remove_ctx);
}

static void end_with_taken(struct key_object *k)
{
    struct err e = ERR_INIT;

    err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_HTTP, 412, "%s exists already: another backup began in the same second",
            k->name);
    end_with(k, &e);
}

/* What lies there instead: our own, if it was the answer to our put that got lost. */
static void on_got_existing(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct key_object *k = ctx;

    k->request = NULL;
    if (err)
        end_with(k, err);
    else if (res->body.len == k->wrapped_len && sodium_memcmp(res->body.data, k->wrapped, res->body.len) == 0)
        end_with(k, NULL);
    else
        end_with_taken(k);
}

static void look_at_existing(struct key_object *k)
{
    struct s3_get_spec spec = {.key = k->name, .limit = KEY_OBJECT_LIMIT, .ctx = k, .on_done = on_got_existing};
    struct err e = ERR_INIT;

    k->request = s3_get(k->s3, &spec, &e);
    if (!k->request)
        end_with(k, &e);
}

static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct key_object *k = ctx;
    struct err e = ERR_INIT;

    (void)res;
    k->request = NULL;
    if (!err)
        end_with_taken(k);
    else if (err->kind != ERR_NOT_FOUND)
        end_with(k, err);
    else if (put(k, false, &e) < 0)
        end_with(k, &e);
}

static int look_first(struct key_object *k, struct err *e)
{
    k->request = s3_head(k->s3, k->name, k, on_headed, e);
    return k->request ? 0 : -1;
}

static void on_put(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct key_object *k = ctx;
    struct err e = ERR_INIT;

    (void)res;
    k->request = NULL;
    if (err && err->domain == ERR_DOMAIN_HTTP && err->code == 412)
        look_at_existing(k);
    else if (err && s3_dialect_hears(s3_client_dialect(k->s3), S3_IF_NONE_MATCH, err)) {
        if (look_first(k, &e) < 0)
            end_with(k, &e);
    } else
        end_with(k, err);
}

static void write_facts(struct key_object *k)
{
    const struct keyspace_facts *f = &k->facts;

    if (f->structure != BOLT_SOUND || !f->has_keys)
        return;
    (void)snprintf(k->revision, sizeof(k->revision), "%" PRId64, f->current);
    if (f->compacted >= 0)
        (void)snprintf(k->compacted, sizeof(k->compacted), "%" PRId64, f->compacted);
    (void)snprintf(k->revisions, sizeof(k->revisions), "%" PRIu64, f->revisions);
    (void)snprintf(k->free_bytes, sizeof(k->free_bytes), "%" PRIu64, f->free_bytes);
}

/* As the member says it that the snapshot is of. */
static void write_hash(struct key_object *k, const struct etcd_compare_result *members)
{
    if (!members->has_hash || !k->revision[0])
        return;
    (void)snprintf(k->hash, sizeof(k->hash), "%" PRIu32, members->hash);
    (void)snprintf(k->hash_compacted, sizeof(k->hash_compacted), "%" PRId64, k->facts.compacted);
    if (members->has_keys)
        (void)snprintf(k->keys, sizeof(k->keys), "%" PRIu64, members->keys);
}

static int put(struct key_object *k, bool if_none_match, struct err *e)
{
    const struct s3_param all[] = {
            {"etcd-version", k->etcd_version},
            {"etcd-revision", k->revision_before},
            {"etcd-revision-after", k->revision_after},
            {DUMP_CLUSTER, k->cluster},
            {DUMP_STORAGE, k->storage_version},
            {DUMP_COMPRESSION, k->snapshot_size[0] ? DUMP_COMPRESSION_ZSTD : ""},
            {DUMP_SNAPSHOT_SIZE, k->snapshot_size},
            {DUMP_STRUCTURE, k->facts.structure == BOLT_DAMAGED ? "" : bolt_structure_name(k->facts.structure)},
            {DUMP_REVISION, k->revision},
            {DUMP_COMPACT, k->compacted},
            {DUMP_REVISIONS, k->revisions},
            {"free-bytes", k->free_bytes},
            {DUMP_HASHKV, k->hash},
            {DUMP_HASHKV_REVISION, k->hash[0] ? k->revision : ""},
            {DUMP_HASHKV_COMPACT, k->hash_compacted},
            {DUMP_KEYS, k->keys},
    };
    struct s3_param metadata[ARRAY_LEN(all)]; /* without what is not known */
    struct s3_put_spec spec = {
            .key = k->name,
            .body = {.data = k->wrapped, .len = k->wrapped_len},
            .metadata = metadata,
            .lock = k->lock,
            .if_none_match = if_none_match,
            .patience_ms = S3_OUTAGE_MS,
            .ctx = k,
            .on_retry = on_retry,
            .on_done = on_put,
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i].value[0])
            metadata[spec.n_metadata++] = all[i];
    k->request = s3_put(k->s3, &spec, e);
    return k->request ? 0 : -1;
}

struct key_object *key_object_store(struct s3_client *s3, const struct key_object_spec *spec, struct err *e)
{
    struct key_object *k = s3 ? calloc(1, sizeof(*k)) : NULL;

    if (!s3)
        return NULL;
    if (!k) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    k->s3 = s3;
    name_key_of_dump(k->name, spec->dump);
    assert(spec->wrapped.len <= sizeof(k->wrapped));
    memcpy(k->wrapped, spec->wrapped.data, spec->wrapped.len);
    k->wrapped_len = spec->wrapped.len;
    (void)snprintf(k->etcd_version, sizeof(k->etcd_version), "%s", spec->etcd_version);
    (void)snprintf(k->storage_version, sizeof(k->storage_version), "%s", spec->storage_version);
    (void)snprintf(k->revision_before, sizeof(k->revision_before), "%" PRId64, spec->revision_before);
    if (spec->cluster)
        (void)snprintf(k->cluster, sizeof(k->cluster), "%" PRIx64, spec->cluster);
    if (spec->snapshot_size)
        (void)snprintf(k->snapshot_size, sizeof(k->snapshot_size), "%" PRIu64, spec->snapshot_size);
    (void)snprintf(k->revision_after, sizeof(k->revision_after), "%" PRId64, spec->revision_after);
    k->facts = *spec->facts;
    k->lock = spec->lock;
    write_facts(k);
    write_hash(k, spec->members);
    k->ctx = spec->ctx;
    k->on_retry = spec->on_retry;
    k->on_stored = spec->on_stored;
    if ((s3_dialect_lacks(s3_client_dialect(s3), S3_IF_NONE_MATCH) ? look_first(k, e) : put(k, true, e)) < 0) {
        free(k);
        return NULL;
    }
    return k;
}

static bool is_ours(const struct key_object *k, struct bytes found)
{
    return found.len == k->wrapped_len && sodium_memcmp(found.data, k->wrapped, found.len) == 0;
}

static void on_got_for_check(void *ctx, const struct s3_response *res, const struct err *err)
{
    static const uint8_t nothing[1];
    struct key_object *k = ctx;
    struct bytes found = {0};

    k->request = NULL;
    if (res && !is_ours(k, res->body))
        found = res->body.len ? res->body : (struct bytes){.data = nothing, .len = sizeof(nothing)};
    k->on_checked(k->check_ctx, found, err);
}

int key_object_check(struct key_object *k, void *ctx,
        void (*on_checked)(void *ctx, struct bytes found, const struct err *err), struct err *e)
{
    struct s3_get_spec spec = {.key = k->name,
            .limit = KEY_OBJECT_LIMIT,
            .patience_ms = S3_OUTAGE_MS,
            .ctx = k,
            .on_retry = on_retry,
            .on_done = on_got_for_check};

    k->check_ctx = ctx;
    k->on_checked = on_checked;
    k->request = s3_get(k->s3, &spec, e);
    return k->request ? 0 : -1;
}

void key_object_hurry(struct key_object *k)
{
    if (k->request)
        s3_request_hurry(k->request);
}

bool key_object_remove(struct key_object *k, void *ctx, void (*on_removed)(void *ctx))
{
    k->remove_ctx = ctx;
    k->on_removed = on_removed;
    key_object_hurry(k);
    /* While it is still being stored, nobody knows what there is to take back: end_with goes on from here. */
    return k->request || take_back(k);
}

void key_object_free(struct key_object *k)
{
    if (!k)
        return;
    if (k->request)
        s3_request_cancel(k->request);
    free(k);
}
