#include "job/backup/data_key.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/backup/key_object.h"
#include "job/bucket/object_lock.h"
#include "job/keys/key_form.h"
#include "job/keys/keyring.h"
#include "seal/sealed_key.h"

struct data_key {
    struct core *core;
    int64_t instant;
    struct secret *secret;
    struct buf wrapped; /* by the master key; or sealed, and vouched for by it */
    char dump[NAME_TEXT_MAX];
    struct key_object *object;
    void *ctx;
    void (*on_checked)(void *ctx, const struct err *err);
    void (*on_removed)(void *ctx);
};

CLEANUP_FUNC(struct data_key *, data_key_free)

/* Anew each time: what is configured may be another meanwhile. */
static int wrap(struct data_key *k, struct err *e)
{
    const struct conf *conf = core_conf(k->core);
    _cleanup_secret_ struct secret *master = NULL;
    struct key_form form;

    buf_reset(&k->wrapped);
    if (conf->encryption_key_path && !(master = key_read_master(conf->encryption_key_path, e)))
        return -1;
    if (!conf_encrypts(conf))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "encryption is not configured any more");
    if (key_form_of(conf, master, &form, e) < 0)
        return -1;
    return key_form_write(&form, k->secret, k->instant, &k->wrapped, e);
}

struct data_key *data_key_new(struct core *core, int64_t instant, struct err *e)
{
    _cleanup_(cleanup_data_key_free) struct data_key *k = calloc(1, sizeof(*k));

    if (!k) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    k->core = core;
    k->instant = instant;
    k->wrapped = BUF_INIT(SEALED_KEY_MAX);
    k->secret = key_new_data(e);
    return k->secret && wrap(k, e) == 0 ? TAKE_PTR(k) : NULL;
}

const struct secret *data_key_secret(const struct data_key *k)
{
    return k->secret;
}

int data_key_store(
        struct data_key *k, const struct backup_result *backup, const struct data_key_events *events, struct err *e)
{
    struct key_object_spec spec = {
            .dump = backup->name,
            .cluster = backup->member.cluster_id,
            .etcd_version = backup->member.version,
            .storage_version = backup->storage_version,
            .snapshot_size = backup->compressed ? backup->snapshot_size : 0,
            .revision_before = backup->member.revision,
            .revision_after = backup->revision_after,
            .facts = &backup->facts,
            .lock = object_lock_now(k->core, k->instant, NULL),
            .members = &backup->members,
            .ctx = events->ctx,
            .on_retry = events->on_retry,
            .on_stored = events->on_stored,
    };

    (void)snprintf(k->dump, sizeof(k->dump), "%s", backup->name);
    if (wrap(k, e) < 0)
        return -1;
    spec.wrapped = buf_bytes(&k->wrapped);
    k->object = key_object_store(core_s3(k->core, e), &spec, e);
    return k->object ? 0 : -1;
}

bool data_key_is_there(const struct data_key *k)
{
    return k->object != NULL;
}

static bool opens_to_ours(const struct data_key *k, struct bytes found)
{
    struct err ignored = ERR_INIT;
    _cleanup_(cleanup_keyring_free) struct keyring *ring = keyring_new(core_conf(k->core), &ignored);
    _cleanup_secret_ struct secret *key = NULL;

    if (ring)
        key = keyring_unwrap(ring, found, k->instant, false, NULL, &ignored);
    return key && secret_equal(key, k->secret);
}

static void on_checked(void *ctx, struct bytes found, const struct err *err)
{
    struct data_key *k = ctx;
    struct err e = err ? *err : ERR_INIT;

    if (err && err->kind != ERR_AUTH) {
        err_prepend(&e, "the dump %s is stored, but its key was not seen: ", k->dump);
        if (err->kind == ERR_NOT_FOUND)
            e.kind = ERR_TRANSIENT;
    } else if (!err && found.len && !opens_to_ours(k, found)) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0,
                "the key beside %s is not the one that was stored: another backup has the same name, and this one "
                "cannot be read",
                k->dump);
    }
    k->on_checked(k->ctx, e.kind == ERR_NONE ? NULL : &e);
}

int data_key_check(struct data_key *k, void *ctx, void (*on_done)(void *ctx, const struct err *err), struct err *e)
{
    k->ctx = ctx;
    k->on_checked = on_done;
    return key_object_check(k->object, k, on_checked, e);
}

void data_key_hurry(struct data_key *k)
{
    if (k->object)
        key_object_hurry(k->object);
}

static void on_removed(void *ctx)
{
    struct data_key *k = ctx;

    data_key_leave(k);
    k->on_removed(k->ctx);
}

bool data_key_remove(struct data_key *k, void *ctx, void (*on_done)(void *ctx))
{
    k->ctx = ctx;
    k->on_removed = on_done;
    return k->object && key_object_remove(k->object, k, on_removed);
}

void data_key_leave(struct data_key *k)
{
    key_object_free(TAKE_PTR(k->object));
}

void data_key_free(struct data_key *k)
{
    if (!k)
        return;
    data_key_leave(k);
    secret_free(k->secret);
    buf_reset(&k->wrapped);
    free(k);
}
