#include "job/restore/opened_backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/bucket/retry_note.h"
#include "job/keys/keyring.h"
#include "job/restore/frames.h"
#include "s3/object.h"
#include "seal/sealed_key.h"
#include "seal/unseal.h"

struct opened_backup {
    struct core *core;
    struct opened_backup_spec spec;
    char name[NAME_TEXT_MAX];
    int64_t instant;
    bool has_key;
    bool may_lack_key; /* by its size, and cannot be told from a plain one */
    uint64_t size;
    char etag[S3_ETAG_MAX];
    char etcd_version[24], storage_version[24];
    uint64_t cluster;
    struct dump_hashkv hashkv;
    struct s3_request *call; /* HEAD of the dump, or GET of the key */
    struct secret *data_key;
    struct frames *frames; /* are being looked for */
    struct seek_table *table;
};

CLEANUP_FUNC(struct opened_backup *, opened_backup_free)

static void end_with(struct opened_backup *s, const struct err *err)
{
    struct err named;

    if (err) {
        named = *err;
        err_prepend(&named, "%s: ", s->name);
    }
    s->spec.on_done(s->spec.ctx, err ? &named : NULL);
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    struct opened_backup *s = ctx;
    char note[RETRY_NOTE_MAX];

    s->spec.on_note(s->spec.ctx, retry_note(retry, note));
}

static void on_frames(void *ctx, struct seek_table *table, const struct err *err)
{
    struct opened_backup *s = ctx;

    frames_free(TAKE_PTR(s->frames));
    s->table = table;
    end_with(s, err);
}

/* The last thing: who may read it is settled. */
static void look_for_frames(struct opened_backup *s)
{
    const struct frames_spec spec = {
            .key = s->name,
            .etag = s->etag,
            .data_key = s->data_key,
            .size = s->size,
            .ctx = s,
            .on_retry = on_retry,
            .on_done = on_frames,
    };
    struct err e = ERR_INIT;
    struct s3_client *s3 = core_s3(s->core, &e);

    s->frames = s3 ? frames_start(s3, &spec, &e) : NULL;
    if (!s->frames)
        end_with(s, &e);
}

/* Whoever can write to the bucket can seal something to those whom it is for: who did is what the vouch says. */
static struct secret *open_sealed(
        struct opened_backup *s, const struct keyring *ring, struct bytes object, struct err *e)
{
    const struct brought_keys *brought = s->spec.brought;
    struct err why = ERR_INIT;

    if (keyring_check(ring, object, s->instant, s->spec.allow_renamed, NULL, &why) < 0 &&
            brought_keys_forgive(brought, &why, e) < 0)
        return NULL;
    if (!(brought && brought->data_key) && unseal_plain_size(s->size) % CATALOG_PAGE != 32) {
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "cut off: no snapshot has as many bytes as are sealed in it");
        return NULL;
    }
    return brought_keys_open(brought, object, s->instant, s->spec.allow_renamed, e);
}

static void on_key(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct opened_backup *s = ctx;
    _cleanup_(cleanup_keyring_free) struct keyring *ring = NULL;
    char name[NAME_TEXT_MAX];
    struct err e = ERR_INIT;

    s->call = NULL;
    if (err) {
        name_key_of_dump(name, s->name);
        e = *err;
        err_prepend(&e, "reading its key %s: ", name);
        end_with(s, &e);
        return;
    }
    s->hashkv = dump_metadata_hashkv(res);
    ring = keyring_new(core_conf(s->core), &e);
    /* Who brings a data key has it from what is sealed: an object of another shape would have no vouch to be looked at.
     */
    if (ring)
        s->data_key = sealed_key_is(res->body) || (s->spec.brought && s->spec.brought->data_key)
                              ? open_sealed(s, ring, res->body, &e)
                              : keyring_unwrap(ring, res->body, s->instant, s->spec.allow_renamed, NULL, &e);
    if (!s->data_key && e.domain == ERR_DOMAIN_KEY && e.code == KEY_FAULT_BOUND_ELSEWHERE)
        err_set(&e, e.kind, e.domain, e.code, "%.400s; --allow-renamed accepts it", e.text);
    if (s->data_key)
        look_for_frames(s);
    else
        end_with(s, &e);
}

static int read_key(struct opened_backup *s, struct err *e)
{
    struct s3_get_spec get = {.limit = KEY_OBJECT_LIMIT, .ctx = s, .on_retry = on_retry, .on_done = on_key};
    char name[NAME_TEXT_MAX];
    struct s3_client *s3;

    name_key_of_dump(name, s->name);
    get.key = name;
    s3 = core_s3(s->core, e);
    s->call = s3 ? s3_get(s3, &get, e) : NULL;
    return s->call ? 0 : -1;
}

/* What the size says by itself. */
static int check_size(const struct opened_backup *s, struct err *e)
{
    if (s->size == UINT64_MAX)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "the store does not say how large it is");
    if (s->size == 0)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "is empty");
    if (s->has_key && unseal_plain_size(s->size) == UINT64_MAX)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "chunk %" PRIu64 " at byte %" PRIu64 ": cut off: no encrypted dump has %" PRIu64 " bytes",
                s->size / SEAL_SEALED_CHUNK, s->size / SEAL_SEALED_CHUNK * SEAL_SEALED_CHUNK, s->size);
    return 0;
}

/* Who can write to the bucket but lacks the master key could take a key away and put any database in the dump's place:
 * of what is not encrypted nothing says who wrote it. */
static bool may_be_planted(const struct opened_backup *s)
{
    return conf_encrypts(core_conf(s->core)) && !s->spec.allow_plain;
}

/* A dump without a key. Its size may be that of a plain one by chance. */
static int check_plain(const struct opened_backup *s, enum dump_encryption encryption, struct err *e)
{
    const char *key = core_conf(s->core)->encryption_key_path ? "encryption_key_path" : "encryption_recipients";

    if (encryption == DUMP_ENCRYPTED)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "its key is missing: it is encrypted, as its metadata say, and cannot be read");
    if (!may_be_planted(s))
        return 0;
    if (s->may_lack_key && encryption == DUMP_UNKNOWN)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "its key is missing, or it is not encrypted, though %s is configured; --allow-plain accepts the latter",
                key);
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
            "is not encrypted, though %s is configured: whoever can write to the bucket may have made it; "
            "--allow-plain "
            "accepts it",
            key);
}

static void take_versions(struct opened_backup *s, const struct s3_response *res)
{
    (void)snprintf(s->etcd_version, sizeof(s->etcd_version), "%s", dump_metadata_text(res, "etcd-version"));
    (void)snprintf(s->storage_version, sizeof(s->storage_version), "%s", dump_metadata_text(res, DUMP_STORAGE));
}

static void take_cluster(struct opened_backup *s, const struct s3_response *res)
{
    const struct known_object object = {.name = s->name, .etag = s->etag, .size = s->size};

    s->cluster = dump_metadata_cluster(res);
    known_saw_cluster(core_known(s->core), &object, s->cluster);
}

static void on_headed(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct opened_backup *s = ctx;
    struct err e = ERR_INIT;

    s->call = NULL;
    if (err) {
        end_with(s, err);
        return;
    }
    s->size = res->content_length;
    (void)snprintf(s->etag, sizeof(s->etag), "%s", res->etag);
    take_versions(s, res);
    take_cluster(s, res);
    if (check_size(s, &e) < 0 || (s->has_key ? read_key(s, &e) : check_plain(s, dump_metadata_encryption(res), &e)) < 0)
        end_with(s, &e);
    else if (!s->has_key)
        look_for_frames(s);
}

static int start(struct opened_backup *s, struct err *e)
{
    const struct s3_request_spec head = {
            .method = S3_HEAD, .key = s->name, .ctx = s, .on_retry = on_retry, .on_done = on_headed};
    struct s3_client *s3 = core_s3(s->core, e);

    s->call = s3 ? s3_request_start(s3, &head, e) : NULL;
    return s->call ? 0 : -1;
}

struct opened_backup *opened_backup_open(struct core *core, const struct opened_backup_spec *spec, struct err *e)
{
    _cleanup_(cleanup_opened_backup_free) struct opened_backup *s = calloc(1, sizeof(*s));

    if (!s) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    s->core = core;
    s->spec = *spec;
    (void)snprintf(s->name, sizeof(s->name), "%s", spec->backup->name);
    s->instant = spec->backup->instant;
    s->has_key = spec->backup->has_key;
    s->may_lack_key = spec->backup->doubt == CATALOG_MAY_BE_PLAIN;
    s->spec.backup = NULL;
    if (start(s, e) < 0) {
        err_prepend(e, "%s: ", s->name);
        return NULL;
    }
    return TAKE_PTR(s);
}

const char *opened_backup_name(const struct opened_backup *s)
{
    return s->name;
}

uint64_t opened_backup_size(const struct opened_backup *s)
{
    return s->size;
}

const char *opened_backup_etag(const struct opened_backup *s)
{
    return s->etag;
}

const char *opened_backup_etcd_version(const struct opened_backup *s)
{
    return s->etcd_version;
}

const char *opened_backup_storage_version(const struct opened_backup *s)
{
    return s->storage_version;
}

const struct dump_hashkv *opened_backup_hashkv(const struct opened_backup *s)
{
    return &s->hashkv;
}

uint64_t opened_backup_cluster(const struct opened_backup *s)
{
    return s->cluster;
}

const struct secret *opened_backup_data_key(const struct opened_backup *s)
{
    return s->data_key;
}

const struct seek_table *opened_backup_frames(const struct opened_backup *s)
{
    return s->table;
}

uint64_t opened_backup_snapshot_size(const struct opened_backup *s)
{
    if (s->table)
        return seek_table_plain_size(s->table);
    return s->data_key ? unseal_plain_size(s->size) : s->size;
}

void opened_backup_free(struct opened_backup *s)
{
    if (!s)
        return;
    if (s->call)
        s3_request_cancel(s->call);
    frames_free(s->frames);
    seek_table_free(s->table);
    secret_free(s->data_key);
    free(s);
}
