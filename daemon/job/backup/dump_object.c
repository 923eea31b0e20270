#include "job/backup/dump_object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "job/bucket/dump_metadata.h"
#include "job/bucket/object_lock.h"

/* A slow S3 may hold etcd's read transaction open so much longer than etcd itself needs; then the spool is used. */
enum { S3_PATIENCE_MS = 2000 };

/* Metadata that every dump has, and that one may have. */
enum { METADATA_ALWAYS = 4, METADATA_MAX = METADATA_ALWAYS + 3 };

/* The directory of snapshot_path. The caller frees; NULL: nowhere. */
static char *spool_directory(const struct conf *conf)
{
    return conf->snapshot_path && conf->s3.spool_size ? path_dir(conf->snapshot_path) : NULL;
}

struct s3_upload *dump_object_start(
        struct core *core, const struct backup_result *backup, const struct dump_object_events *events, struct err *e)
{
    const struct conf *conf = core_conf(core);
    struct s3_client *s3 = core_s3(core, e);
    _cleanup_free_ char *dir = backup->encrypted ? spool_directory(conf) : NULL;
    char revision[24], cluster[24], snapshot_size[24];
    struct s3_param metadata[METADATA_MAX] = {
            {"etcd-version", backup->member.version},
            {"etcd-revision", revision},
            {DUMP_CLUSTER, cluster},
            {DUMP_ENCRYPTION, backup->encrypted ? DUMP_ENCRYPTION_STREAM : DUMP_ENCRYPTION_NONE},
    };
    size_t n_metadata = METADATA_ALWAYS;
    struct s3_upload_spec spec = {
            .key = backup->name,
            .size = backup->stored_size,
            .at_most = backup->compressed,
            .part_size = conf->s3.part_size,
            .parts_in_flight = conf->s3.parts_in_flight,
            .metadata = metadata,
            .must_be_new = !backup->encrypted, /* else it is the key that takes the name (key_object.h) */
            .spool_dir = dir,
            .spool_limit = conf->s3.spool_size,
            .rate = conf->s3.max_bandwidth,
            .patience_ms = conf->s3.max_bandwidth ? 0 : S3_PATIENCE_MS, /* that it will be slow is known */
            .outage_ms = S3_OUTAGE_MS,
            .ctx = events->ctx,
            .on_retry = events->on_retry,
            .on_room = events->on_room,
            .on_flushed = events->on_flushed,
            .on_failed = events->on_failed,
            .on_committed = events->on_committed,
            .on_aborted = events->on_aborted,
    };

    (void)snprintf(revision, sizeof(revision), "%" PRId64, backup->member.revision);
    (void)snprintf(cluster, sizeof(cluster), "%" PRIx64, backup->member.cluster_id);
    (void)snprintf(snapshot_size, sizeof(snapshot_size), "%" PRIu64, backup->snapshot_size);
    if (backup->storage_version[0])
        metadata[n_metadata++] = (struct s3_param){DUMP_STORAGE, backup->storage_version};
    if (backup->compressed) {
        metadata[n_metadata++] = (struct s3_param){DUMP_COMPRESSION, DUMP_COMPRESSION_ZSTD};
        metadata[n_metadata++] = (struct s3_param){DUMP_SNAPSHOT_SIZE, snapshot_size};
    }
    spec.n_metadata = n_metadata;
    spec.lock = object_lock_now(core, backup->instant, NULL);
    return s3 ? s3_upload_start(s3, &spec, e) : NULL;
}
