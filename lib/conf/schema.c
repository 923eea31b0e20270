#include "conf/schema.h"

#include <string.h>

#define TO(member)  .offset = offsetof(struct conf, member), .width = sizeof(((struct conf *)NULL)->member)
#define MIB(n)      ((uint64_t)(n) << 20)
#define TIMEOUT_MIN 1
#define TIMEOUT_MAX (UINT64_C(7) * 24 * 3600 * 1000)
#define RETRIES_MAX 1000000
#define SECOND      UINT64_C(1000) /* ms */
#define HOUR        (3600 * SECOND)
#define KEEP_MAX    1000000

static const struct conf_schema_key keys[] = {
        {"etcd_client.endpoints", CONF_KIND_ENDPOINTS, .sample = "[\"127.0.0.1:2379\"]", TO(etcd.endpoints),
                .help = "The members of the cluster, host:port each (TLS) or with https://, http:// or unix:// in "
                        "front; "
                        "port 2379 if none is given. A backup needs them; what reads the bucket alone does not."},
        {"etcd_client.connection_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN,
                .max = TIMEOUT_MAX, TO(etcd.connection_timeout_ms),
                .help = "How long connecting and the TLS handshake may take, for each member."},
        {"etcd_client.request_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN, .max = TIMEOUT_MAX,
                TO(etcd.request_timeout_ms),
                .help = "How long a request may make no progress; not how long a snapshot may take."},
        {"etcd_client.retries", CONF_KIND_COUNT, .by_default = "10", .min = 0, .max = RETRIES_MAX, TO(etcd.retries),
                .help = "How often a backup that failed for a passing reason is made anew, be it etcd's or S3's."},
        {"etcd_client.auth.ca_cert", CONF_KIND_AUTHORITIES, .sample = "/etc/etcd-backupd/etcd-ca.crt", TO(etcd.ca_cert),
                .help = "Certificates (PEM) of the authorities that the members' certificates must be signed by; left "
                        "out: those of the system."},
        {"etcd_client.auth.password_auth", CONF_KIND_ETCD_CREDENTIALS, .sample = "/etc/etcd-backupd/etcd-password.yml",
                TO(etcd.password_auth), .help = "YAML file with username and password, if the cluster asks for them."},
        {"etcd_client.auth.client_cert", CONF_KIND_CERTIFICATES, .sample = "/etc/etcd-backupd/etcd-client.crt",
                TO(etcd.client_cert),
                .help = "Our own certificate (PEM), if the cluster asks for one; needs client_key."},
        {"etcd_client.auth.client_key", CONF_KIND_PRIVATE_KEY, .sample = "/etc/etcd-backupd/etcd-client.key",
                TO(etcd.client_key),
                .help = "The private key (PEM, without a pass phrase) that belongs to client_cert."},
        {"snapshot_path", CONF_KIND_OUTPUT, .sample = "/var/lib/etcd-backupd/snapshot.db", TO(snapshot_path),
                .help = "Where a restore writes the snapshot unless it is told otherwise; a backup keeps its spool in "
                        "the "
                        "same directory."},
        {"encryption_key_path", CONF_KIND_MASTER_KEY, .sample = "/etc/etcd-backupd/master.key", TO(encryption_key_path),
                .help = "File with the master key, 64 hexadecimal digits; left out: backups are NOT encrypted."},
        {"previous_key_paths", CONF_KIND_MASTER_KEYS, .sample = "[\"/etc/etcd-backupd/previous.key\"]",
                TO(previous_key_paths),
                .help = "Files with master keys that were in use before: restore and verify try them, too, until "
                        "rotate-key is done."},
        {"s3_client.objects_prefix", CONF_KIND_PREFIX, .by_default = "backup", TO(s3.objects_prefix),
                .help = "Objects are named PREFIX-TIMESTAMP.dump and PREFIX-TIMESTAMP.key."},
        {"s3_client.endpoint", CONF_KIND_ENDPOINT, .mandatory = true, .sample = "s3.example.com:443", TO(s3.endpoint),
                .help = "The S3 store, host:port (TLS) or with https:// or http:// in front; port 443, or 80 for "
                        "http://, "
                        "if none is given."},
        {"s3_client.bucket", CONF_KIND_BUCKET, .mandatory = true, .sample = "etcd-backups", TO(s3.bucket),
                .help = "The bucket that holds the backups; it must exist."},
        {"s3_client.region", CONF_KIND_REGION, .by_default = "us-east-1", TO(s3.region),
                .help = "The region of the bucket, which requests are signed for."},
        {"s3_client.auth.ca_cert", CONF_KIND_AUTHORITIES, .sample = "/etc/etcd-backupd/s3-ca.crt", TO(s3.ca_cert),
                .help = "Certificates (PEM) of the authorities that the store's certificate must be signed by; left "
                        "out: "
                        "those of the system."},
        {"s3_client.auth.key_auth", CONF_KIND_S3_CREDENTIALS, .mandatory = true,
                .sample = "/etc/etcd-backupd/s3-keys.yml", TO(s3.key_auth),
                .help = "YAML file with access_key and secret_key, and session_token if there is one; credentials are "
                        "never taken from the environment."},
        {"s3_client.connection_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN, .max = TIMEOUT_MAX,
                TO(s3.connection_timeout_ms), .help = "How long connecting and the TLS handshake may take."},
        {"s3_client.request_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN, .max = TIMEOUT_MAX,
                TO(s3.request_timeout_ms),
                .help = "How long a request may make no progress; not how long it may take."},
        {"s3_client.addressing", CONF_KIND_ADDRESSING, .by_default = "auto", TO(s3.addressing),
                .help = "Where the bucket is named: path (https://HOST/BUCKET/), virtual (https://BUCKET.HOST/) or "
                        "auto, "
                        "by the host."},
        {"s3_client.part_size", CONF_KIND_SIZE, .by_default = "0", .min = MIB(5), .max = MIB(5 * 1024),
                TO(s3.part_size),
                .help = "Size of the parts of an upload, 5MiB to 5GiB; 0: by the size of the snapshot."},
        {"s3_client.parts_in_flight", CONF_KIND_COUNT, .by_default = "3", .min = 1, .max = 16, TO(s3.parts_in_flight),
                .help = "How many parts are uploaded at once, 1 to 16; each takes memory of the size of a part."},
        {"s3_client.spool_size", CONF_KIND_SIZE, .by_default = "8GiB", .min = 1, .max = INT64_MAX, TO(s3.spool_size),
                .help = "How much encrypted data may wait on disk, beside snapshot_path, when S3 is slower than etcd, "
                        "so "
                        "that etcd is not held up; 0, or without snapshot_path or encryption: none."},
        {"control.socket", CONF_KIND_SOCKET, .by_default = "/run/etcd-backupd/control.sock", TO(control.socket),
                .help = "The Unix socket that etcd-backupctl talks to."},
        {"control.group", CONF_KIND_GROUP, .sample = "etcd-backup", TO(control.group),
                .help = "A group whose members may use the socket, beside root and the daemon's own user."},
        {"schedule.interval", CONF_KIND_DURATION, .sample = "6h", .min = SECOND, .max = UINT64_C(366) * 24 * HOUR,
                TO(schedule.interval_ms),
                .help = "How long after the newest backup the next one is made; or cron. Without either: on command "
                        "alone."},
        {"schedule.cron", CONF_KIND_CRON, .sample = "\"0 */6 * * *\"", TO(schedule.cron),
                .help = "When backups are made, in UTC: minute, hour, day of month, month, day of week."},
        {"schedule.jitter", CONF_KIND_DURATION, .by_default = "0s", .min = 0, .max = 24 * HOUR, TO(schedule.jitter_ms),
                .help = "At most so much later, by chance, so that many daemons do not come at once."},
        {"schedule.retry.initial", CONF_KIND_DURATION, .by_default = "30s", .min = 100, .max = 24 * HOUR,
                TO(schedule.retry_initial_ms), .help = "When a failed cycle is tried again; doubled each time."},
        {"schedule.retry.max", CONF_KIND_DURATION, .by_default = "10m", .min = 100, .max = 24 * HOUR,
                TO(schedule.retry_max_ms), .help = "The longest time between two tries."},
        {"prune.max_age", CONF_KIND_DURATION, .sample = "15d", .min = SECOND, .max = UINT64_C(366000) * 24 * HOUR,
                TO(prune.max_age_ms),
                .help = "Older backups are deleted after each backup that the daemon made, unless something below "
                        "keeps them; left out: none is."},
        {"prune.min_count", CONF_KIND_COUNT, .by_default = "20", .min = 1, .max = KEEP_MAX, TO(prune.min_count),
                .help = "So many complete backups stay, whatever their age."},
        {"prune.keep_hourly", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_hourly),
                .help = "The newest of each of so many hours (UTC) stays."},
        {"prune.keep_daily", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_daily),
                .help = "The newest of each of so many days stays."},
        {"prune.keep_weekly", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_weekly),
                .help = "The newest of each of so many ISO weeks stays."},
        {"prune.keep_monthly", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_monthly),
                .help = "The newest of each of so many months stays."},
        {"prune.keep_yearly", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_yearly),
                .help = "The newest of each of so many years stays."},
        {"metrics.listen", CONF_KIND_LISTEN, .sample = "127.0.0.1:9379", TO(metrics.listen),
                .help = "Where Prometheus finds /metrics, and whoever asks /healthz; left out: nowhere."},
        {"health.max_age", CONF_KIND_DURATION, .sample = "13h", .min = SECOND, .max = UINT64_C(3660) * 24 * HOUR,
                TO(health.max_age_ms),
                .help = "/healthz fails when the newest backup is older; left out: it never does."},
        {"hooks.on_success", CONF_KIND_COMMAND, .sample = "/usr/local/bin/backup-done", TO(hooks.on_success),
                .help = "A command for the shell, run after each backup that was made, with the event as JSON on "
                        "stdin."},
        {"hooks.on_failure", CONF_KIND_COMMAND,
                .sample = "curl -fsS --data-binary @- https://alerts.example.com/etcd-backup", TO(hooks.on_failure),
                .help = "The same after each backup that failed, but for one that was cancelled."},
        {"hooks.timeout", CONF_KIND_DURATION, .by_default = "1m", .min = 100, .max = 24 * HOUR, TO(hooks.timeout_ms),
                .help = "How long such a command may take before it is ended."},
        {"log_level", CONF_KIND_LOG_LEVEL, .by_default = "info", TO(log_level),
                .help = "How much is logged: error, warning, info or debug."},
};

const struct conf_schema_key *conf_schema_keys(size_t *n)
{
    *n = ARRAY_LEN(keys);
    return keys;
}

const struct conf_schema_key *conf_schema_find(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (strcmp(keys[i].key, key) == 0)
            return &keys[i];
    return NULL;
}

bool conf_schema_is_list(enum conf_kind kind)
{
    return kind == CONF_KIND_ENDPOINTS || kind == CONF_KIND_MASTER_KEYS;
}

bool conf_schema_is_section(const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (len == 0 || (strncmp(keys[i].key, path, len) == 0 && keys[i].key[len] == '.'))
            return true;
    return false;
}

const char *conf_schema_kind_name(enum conf_kind kind)
{
    switch (kind) {
    case CONF_KIND_ENDPOINTS:
        return "list of endpoints";
    case CONF_KIND_ENDPOINT:
        return "endpoint";
    case CONF_KIND_BUCKET:
    case CONF_KIND_PREFIX:
    case CONF_KIND_REGION:
    case CONF_KIND_GROUP:
        return "name";
    case CONF_KIND_ADDRESSING:
    case CONF_KIND_LOG_LEVEL:
        return "word";
    case CONF_KIND_CRON:
        return "cron line";
    case CONF_KIND_LISTEN:
        return "host:port";
    case CONF_KIND_COMMAND:
        return "command";
    case CONF_KIND_DURATION:
        return "duration";
    case CONF_KIND_COUNT:
        return "number";
    case CONF_KIND_SIZE:
        return "size";
    case CONF_KIND_SOCKET:
    case CONF_KIND_AUTHORITIES:
    case CONF_KIND_CERTIFICATES:
    case CONF_KIND_PRIVATE_KEY:
    case CONF_KIND_MASTER_KEY:
    case CONF_KIND_ETCD_CREDENTIALS:
    case CONF_KIND_S3_CREDENTIALS:
    case CONF_KIND_OUTPUT:
        return "path";
    case CONF_KIND_MASTER_KEYS:
        return "list of paths";
    }
    return "value";
}

void conf_schema_each(void (*each)(void *ctx, const struct conf_schema_entry *entry), void *ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct conf_schema_key *k = &keys[i];

        each(ctx, &(struct conf_schema_entry){
                          .key = k->key,
                          .kind = conf_schema_kind_name(k->kind),
                          .by_default = k->by_default,
                          .example = k->by_default ? k->by_default : k->sample,
                          .mandatory = k->mandatory,
                          .help = k->help,
                  });
    }
}
