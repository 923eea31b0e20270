#include "control/requests.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"

static int check_absolute(const char *path, struct err *e)
{
    return !*path || *path == '/' ? 0 : err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: not an absolute path", path);
}

/* The daemon writes and starts programs with its own rights, which a member of the group does not have. */
static int check_trust(const Control__Restore *m, const char *snapshot_path, struct err *e)
{
    if (m->unpack)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0,
                "only root and the daemon's own user may have it unpacked; --use-etcdutl=false restores to a file");
    if (m->output[0] && (!snapshot_path || strcmp(m->output, snapshot_path) != 0))
        return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0,
                "only root and the daemon's own user may choose the file; leave out --output to restore to %s",
                snapshot_path ? snapshot_path : "snapshot_path");
    return 0;
}

static int take_unpack(struct restore_request *request, const Control__Unpack *m, struct err *e)
{
    request->unpacks = true;
    request->unpack = (struct unpack_options){
            .data_dir = m->data_dir,
            .wal_dir = m->wal_dir[0] ? m->wal_dir : NULL,
            .tool = m->tool,
            .name = m->name,
            .initial_cluster = m->initial_cluster,
            .initial_cluster_token = m->initial_cluster_token,
            .initial_advertise_peer_urls = m->initial_advertise_peer_urls,
            .owner = m->owner,
            .bump_revision = m->bump_revision,
            .mark_compacted = m->mark_compacted,
    };
    if (!m->data_dir[0])
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no data directory to unpack into");
    return check_absolute(m->data_dir, e) < 0 || check_absolute(m->wal_dir, e) < 0 ? -1 : 0;
}

/* Who names an object of another prefix must not get ours of the same instant: clusters with one schedule have those.
 */
static int check_object(const char *object, const struct conf *conf, struct err *e)
{
    _cleanup_free_ char *name = NULL;
    const char *suffix = strrchr(object, '.');
    int64_t instant;

    if (!*object)
        return 0;
    if (asprintf(&name, "%s%s", object,
                suffix && (strcmp(suffix, ".dump") == 0 || strcmp(suffix, ".key") == 0) ? "" : ".dump") < 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (name_parse(conf->s3.objects_prefix, name, &instant) >= NAME_DUMP)
        return 0;
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "%.200s is no backup of this configuration: with its objects_prefix their names begin with %.200s-", object,
            conf->s3.objects_prefix);
}

static int take_secret(const ProtobufCBinaryData *data, struct secret **out, struct err *e)
{
    if (data->len)
        *out = secret_copy(data->data, data->len, e);
    return data->len && !*out ? -1 : 0;
}

static int take_brought(const Control__Brought *m, struct brought_keys *out, struct err *e)
{
    enum { ONE = 32 };

    *out = (struct brought_keys){.allow_unvouched = m && m->allow_unvouched};
    if (!m)
        return 0;
    if (m->identities.len % ONE)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the identities have %zu bytes, which are not %d each",
                m->identities.len, ONE);
    if (take_secret(&m->identities, &out->identities, e) == 0 && take_secret(&m->data_key, &out->data_key, e) == 0)
        return 0;
    brought_keys_clear(out);
    return -1;
}

int requests_restore(
        const Control__Restore *m, const struct conf *conf, bool is_trusted, struct restore_request *out, struct err *e)
{
    *out = (struct restore_request){
            .choice = {.latest = m->latest, .instant = m->instant},
            .output = m->output[0] ? m->output : NULL,
            .allow_renamed = m->allow_renamed,
            .skip_hash_check = m->skip_hash_check,
            .allow_plain = m->allow_plain,
            .dry_run = m->dry_run,
    };
    if (check_object(m->object, conf, e) < 0 || check_absolute(m->output, e) < 0 ||
            (!is_trusted && check_trust(m, conf->snapshot_path, e) < 0))
        return -1;
    if (m->unpack && take_unpack(out, m->unpack, e) < 0)
        return -1;
    return take_brought(m->brought, &out->brought, e);
}

int requests_verify(
        const Control__Verify *m, const struct conf *conf, bool is_trusted, struct verify_request *out, struct err *e)
{
    *out = (struct verify_request){
            .all = m->all,
            .choice = {.latest = m->latest, .instant = m->instant},
            .drill = m->drill,
            .tool = m->tool[0] ? m->tool : NULL,
            .allow_renamed = m->allow_renamed,
            .allow_plain = m->allow_plain,
    };
    if (check_object(m->object, conf, e) < 0)
        return -1;
    if (out->tool && !is_trusted)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0,
                "only root and the daemon's own user may choose the program; leave out --etcdutl-path");
    return take_brought(m->brought, &out->brought, e);
}

int requests_look(
        const Control__Look *m, const struct conf *conf, bool is_trusted, struct look_request *out, struct err *e)
{
    *out = (struct look_request){
            .choice = {.latest = m->latest, .instant = m->instant},
            .allow_renamed = m->allow_renamed,
            .allow_plain = m->allow_plain,
            .skip_hash_check = m->skip_hash_check,
    };
    if (!is_trusted)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "only root and the daemon's own user may look inside a backup");
    return check_object(m->object, conf, e) < 0 ? -1 : take_brought(m->brought, &out->brought, e);
}

int requests_prune(
        const Control__Prune *m, const struct conf *conf, bool is_trusted, struct prune_request *out, struct err *e)
{
    *out = (struct prune_request){.policy = prune_policy(conf), .dry_run = m->dry_run};
    if (!is_trusted && !m->dry_run)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0,
                "only root and the daemon's own user may delete backups; --dry-run shows what would go");
    out->allow_other_keys = m->allow_other_keys;
    if (m->has_max_age)
        out->policy.max_age = m->max_age_ms / 1000;
    if (m->has_min_count)
        out->policy.min_count = m->min_count;
    return 0;
}

static int take_key(const ProtobufCBinaryData *data, const char *which, struct secret **out, struct err *e)
{
    if (data->len != KEY_LEN)
        return err_set(
                e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the %s key has %zu bytes instead of %d", which, data->len, KEY_LEN);
    *out = secret_copy(data->data, data->len, e);
    return *out ? 0 : -1;
}

int requests_rotate(const Control__RotateKey *m, bool is_trusted, struct rotate_request *out, struct secret **previous,
        struct secret **next, struct err *e)
{
    if (!is_trusted) /* a dry run, too: it says whether a key is the right one */
        return err_set(
                e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "only root and the daemon's own user may rotate the master key");
    if ((m->previous_key.len || !m->brought) && take_key(&m->previous_key, "previous", previous, e) < 0)
        return -1;
    if (m->new_key.len && take_key(&m->new_key, "new", next, e) < 0)
        return -1;
    *out = (struct rotate_request){
            .previous = *previous, .next = *next, .dry_run = m->dry_run, .purge_versions = m->purge_versions};
    if (m->beside)
        out->beside = (struct beside){m->beside->socket, m->beside->bucket, m->beside->form, m->beside->trouble};
    if (m->brought && m->brought->data_key.len) /* it is of one backup alone */
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "a data key cannot be brought to a rotation");
    return take_brought(m->brought, &out->brought, e);
}
