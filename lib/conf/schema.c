#include "conf/schema.h"

#include <string.h>

#define TO(member)  .offset = offsetof(struct conf, member), .width = sizeof(((struct conf *)NULL)->member)
#define KIB(n)      ((uint64_t)(n) << 10)
#define MIB(n)      ((uint64_t)(n) << 20)
#define TIMEOUT_MIN 1
#define TIMEOUT_MAX (UINT64_C(7) * 24 * 3600 * 1000)
#define RETRIES_MAX 1000000
#define SECOND      UINT64_C(1000) /* ms */
#define MINUTE      (60 * SECOND)
#define HOUR        (3600 * SECOND)
#define KEEP_MAX    1000000

static const struct conf_schema_key keys[] = {
        {"etcd_client.endpoints", CONF_KIND_ENDPOINTS, .sample = "[\"127.0.0.1:2379\"]", TO(etcd.endpoints),
                .if_missing =
                        "The members of the cluster, host:port each (TLS) or with https://, http:// or unix:// in "
                        "front; "
                        "port 2379 if none is given. A backup needs them; what reads the bucket alone does not."},
        {"etcd_client.connection_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN,
                .max = TIMEOUT_MAX, TO(etcd.connection_timeout_ms)},
        {"etcd_client.request_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN, .max = TIMEOUT_MAX,
                TO(etcd.request_timeout_ms)},
        {"etcd_client.retries", CONF_KIND_COUNT, .by_default = "10", .min = 0, .max = RETRIES_MAX, TO(etcd.retries)},
        {"etcd_client.compare_members", CONF_KIND_SWITCH, .by_default = "true", TO(etcd.compare_members)},
        {"etcd_client.auth.ca_cert", CONF_KIND_AUTHORITIES, .sample = "/etc/etcd-backupd/etcd-ca.crt",
                TO(etcd.ca_cert)},
        {"etcd_client.auth.password_auth", CONF_KIND_ETCD_CREDENTIALS, .sample = "/etc/etcd-backupd/etcd-password.yml",
                TO(etcd.password_auth)},
        {"etcd_client.auth.client_cert", CONF_KIND_CERTIFICATES, .sample = "/etc/etcd-backupd/etcd-client.crt",
                TO(etcd.client_cert)},
        {"etcd_client.auth.client_key", CONF_KIND_PRIVATE_KEY, .sample = "/etc/etcd-backupd/etcd-client.key",
                TO(etcd.client_key)},
        {"snapshot_path", CONF_KIND_OUTPUT, .sample = "/var/lib/etcd-backupd/snapshot.db", TO(snapshot_path)},
        {"encryption_key_path", CONF_KIND_MASTER_KEY, .sample = "/etc/etcd-backupd/master.key",
                TO(encryption_key_path)},
        {"previous_key_paths", CONF_KIND_MASTER_KEYS, .sample = "[\"/etc/etcd-backupd/previous.key\"]",
                TO(previous_key_paths)},
        {"encryption_recipients", CONF_KIND_RECIPIENTS,
                .sample = "[\"age1kmwm8ns7lt9p7xzryuxjrwhv0xcusnyqrrn0e8t85nv5rkkr2f3qlertnu\"]",
                TO(encryption_recipients)},
        {"compression", CONF_KIND_COMPRESSION, .by_default = "none", TO(compression)},
        {"compression_level", CONF_KIND_COUNT, .by_default = "3", .min = 1, .max = 9, TO(compression_level)},
        {"s3_client.objects_prefix", CONF_KIND_PREFIX, .by_default = "backup", TO(s3.objects_prefix)},
        {"s3_client.endpoint", CONF_KIND_ENDPOINT, .mandatory = true, .sample = "s3.example.com:443", TO(s3.endpoint),
                .if_missing = "The S3 store, host:port (TLS) or with https:// or http:// in front; port 443, or 80 for "
                              "http://, "
                              "if none is given."},
        {"s3_client.bucket", CONF_KIND_BUCKET, .mandatory = true, .sample = "etcd-backups", TO(s3.bucket),
                .if_missing = "The bucket that holds the backups; it must exist."},
        {"s3_client.region", CONF_KIND_REGION, .by_default = "us-east-1", TO(s3.region)},
        {"s3_client.auth.ca_cert", CONF_KIND_AUTHORITIES, .sample = "/etc/etcd-backupd/s3-ca.crt", TO(s3.ca_cert)},
        {"s3_client.auth.source", CONF_KIND_SOURCE, .by_default = "file", TO(s3.source)},
        {"s3_client.auth.key_auth", CONF_KIND_S3_CREDENTIALS, .sample = "/etc/etcd-backupd/s3-keys.yml",
                TO(s3.key_auth),
                .if_missing = "YAML file with access_key and secret_key, and session_token if there is one; where the "
                              "credentials come from somewhere else, s3_client.auth.source says so."},
        {"s3_client.auth.role_arn", CONF_KIND_ROLE, .sample = "arn:aws:iam::123456789012:role/etcd-backup",
                TO(s3.role_arn)},
        {"s3_client.auth.role_session_name", CONF_KIND_SESSION, .sample = "etcd-backupd-node1",
                TO(s3.role_session_name)},
        {"s3_client.auth.external_id", CONF_KIND_EXTERNAL_ID, .sample = "etcd-of-berlin", TO(s3.external_id)},
        {"s3_client.auth.token_file", CONF_KIND_TOKEN, .sample = "/var/run/secrets/tokens/s3", TO(s3.token_file)},
        {"s3_client.auth.sts_endpoint", CONF_KIND_ENDPOINT, .sample = "sts.example.com", TO(s3.sts_endpoint)},
        {"s3_client.auth.process", CONF_KIND_ARGUMENTS,
                .sample = "[\"/usr/local/bin/s3-credentials\", \"--role\", \"etcd\"]", TO(s3.process),
                .if_missing = "The program that prints credentials, and its arguments, as a list."},
        {"s3_client.auth.profile", CONF_KIND_PROFILE, .by_default = "default", TO(s3.profile)},
        {"s3_client.auth.shared_credentials_file", CONF_KIND_PROFILES, .sample = "/etc/etcd-backupd/aws-credentials",
                TO(s3.shared_credentials_file),
                .if_missing = "The file of the AWS CLI that the profile is in; HOME does not say where it is."},
        {"s3_client.auth.instance_endpoint", CONF_KIND_ENDPOINT, .by_default = "http://169.254.169.254",
                TO(s3.instance_endpoint)},
        {"s3_client.connection_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN, .max = TIMEOUT_MAX,
                TO(s3.connection_timeout_ms)},
        {"s3_client.request_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN, .max = TIMEOUT_MAX,
                TO(s3.request_timeout_ms)},
        {"s3_client.proxy", CONF_KIND_PROXY, .by_default = "none", TO(s3.proxy)},
        {"s3_client.proxy_auth", CONF_KIND_ETCD_CREDENTIALS, .sample = "/etc/etcd-backupd/proxy-password.yml",
                TO(s3.proxy_auth)},
        {"s3_client.addressing", CONF_KIND_ADDRESSING, .by_default = "auto", TO(s3.addressing)},
        {"s3_client.part_size", CONF_KIND_SIZE, .by_default = "0", .min = MIB(5), .max = MIB(5 * 1024),
                TO(s3.part_size)},
        {"s3_client.parts_in_flight", CONF_KIND_COUNT, .by_default = "3", .min = 1, .max = 16, TO(s3.parts_in_flight)},
        {"s3_client.spool_size", CONF_KIND_SIZE, .by_default = "8GiB", .min = 1, .max = INT64_MAX, TO(s3.spool_size)},
        {"s3_client.max_bandwidth", CONF_KIND_SIZE, .by_default = "0", .min = KIB(64), .max = INT64_MAX,
                TO(s3.max_bandwidth)},
        {"s3_client.server_side_encryption", CONF_KIND_ENCRYPTION, .by_default = "none", TO(s3.server_side_encryption)},
        {"s3_client.kms_key_id", CONF_KIND_KMS_KEY, .sample = "alias/etcd-backups", TO(s3.kms_key_id)},
        {"s3_client.storage_class", CONF_KIND_STORAGE_CLASS, .by_default = "STANDARD", TO(s3.storage_class)},
        {"s3_client.tags", CONF_KIND_TAGS, .sample = "[\"team=database\"]", TO(s3.tags)},
        {"s3_client.object_lock.mode", CONF_KIND_LOCK, .by_default = "none", TO(s3.object_lock.mode)},
        {"s3_client.object_lock.retain", CONF_KIND_DURATION, .sample = "14d", .min = MINUTE,
                .max = UINT64_C(36500) * 24 * HOUR, TO(s3.object_lock.retain_ms)},
        {"control.socket", CONF_KIND_SOCKET, .by_default = "/run/etcd-backupd/control.sock", TO(control.socket)},
        {"control.group", CONF_KIND_GROUP, .sample = "etcd-backup", TO(control.group)},
        {"schedule.interval", CONF_KIND_DURATION, .sample = "6h", .min = SECOND, .max = UINT64_C(366) * 24 * HOUR,
                TO(schedule.interval_ms)},
        {"schedule.cron", CONF_KIND_CRON, .sample = "\"0 */6 * * *\"", TO(schedule.cron)},
        {"schedule.jitter", CONF_KIND_DURATION, .by_default = "0s", .min = 0, .max = 24 * HOUR, TO(schedule.jitter_ms)},
        {"schedule.shared", CONF_KIND_SWITCH, .by_default = "false", TO(schedule.is_shared)},
        {"schedule.takeover", CONF_KIND_DURATION, .by_default = "3m", .min = SECOND, .max = 24 * HOUR,
                TO(schedule.takeover_ms)},
        {"schedule.retry.initial", CONF_KIND_DURATION, .by_default = "30s", .min = 100, .max = 24 * HOUR,
                TO(schedule.retry_initial_ms)},
        {"schedule.retry.max", CONF_KIND_DURATION, .by_default = "10m", .min = 100, .max = 24 * HOUR,
                TO(schedule.retry_max_ms)},
        {"prune.max_age", CONF_KIND_DURATION, .sample = "15d", .min = SECOND, .max = UINT64_C(366000) * 24 * HOUR,
                TO(prune.max_age_ms)},
        {"prune.min_count", CONF_KIND_COUNT, .by_default = "20", .min = 1, .max = KEEP_MAX, TO(prune.min_count)},
        {"prune.keep_hourly", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_hourly)},
        {"prune.keep_daily", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_daily)},
        {"prune.keep_weekly", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_weekly)},
        {"prune.keep_monthly", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_monthly)},
        {"prune.keep_yearly", CONF_KIND_COUNT, .by_default = "0", .min = 0, .max = KEEP_MAX, TO(prune.keep_yearly)},
        {"verify.schedule.interval", CONF_KIND_DURATION, .sample = "24h", .min = SECOND,
                .max = UINT64_C(366) * 24 * HOUR, TO(verify.interval_ms)},
        {"verify.schedule.cron", CONF_KIND_CRON, .sample = "\"0 3 * * *\"", TO(verify.cron)},
        {"verify.schedule.jitter", CONF_KIND_DURATION, .by_default = "0s", .min = 0, .max = 24 * HOUR,
                TO(verify.jitter_ms)},
        {"verify.what", CONF_KIND_VERIFY_WHAT, .by_default = "newest", TO(verify.what)},
        {"verify.drill", CONF_KIND_SWITCH, .by_default = "false", TO(verify.drill)},
        {"metrics.listen", CONF_KIND_LISTEN, .sample = "127.0.0.1:9379", TO(metrics.listen)},
        {"health.max_age", CONF_KIND_DURATION, .sample = "13h", .min = SECOND, .max = UINT64_C(3660) * 24 * HOUR,
                TO(health.max_age_ms)},
        {"hooks.on_success", CONF_KIND_COMMAND, .sample = "/usr/local/bin/backup-done", TO(hooks.on_success)},
        {"hooks.on_failure", CONF_KIND_COMMAND,
                .sample = "curl -fsS --data-binary @- https://alerts.example.com/etcd-backup", TO(hooks.on_failure)},
        {"hooks.timeout", CONF_KIND_DURATION, .by_default = "1m", .min = 100, .max = 24 * HOUR, TO(hooks.timeout_ms)},
        {"heartbeat.url_file", CONF_KIND_URL, .sample = "/etc/etcd-backupd/heartbeat.url", TO(heartbeat.url_file)},
        {"heartbeat.on", CONF_KIND_EVENTS, .sample = "[start, success, failure]", TO(heartbeat.on)},
        {"heartbeat.proxy", CONF_KIND_PROXY, .by_default = "none", TO(heartbeat.proxy)},
        {"log_level", CONF_KIND_LOG_LEVEL, .by_default = "info", TO(log_level)},
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
    return kind == CONF_KIND_ENDPOINTS || kind == CONF_KIND_MASTER_KEYS || kind == CONF_KIND_ARGUMENTS ||
           kind == CONF_KIND_EVENTS || kind == CONF_KIND_TAGS || kind == CONF_KIND_RECIPIENTS;
}

bool conf_schema_is_section(const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (len == 0 || (strncmp(keys[i].key, path, len) == 0 && keys[i].key[len] == '.'))
            return true;
    return false;
}

/* What a value of each kind is called. */
static const char *const kind_names[] = {
        [CONF_KIND_ENDPOINTS] = "list of endpoints",
        [CONF_KIND_ENDPOINT] = "endpoint",
        [CONF_KIND_PROXY] = "proxy",
        [CONF_KIND_BUCKET] = "name",
        [CONF_KIND_PREFIX] = "name",
        [CONF_KIND_REGION] = "name",
        [CONF_KIND_GROUP] = "name",
        [CONF_KIND_ROLE] = "name",
        [CONF_KIND_SESSION] = "name",
        [CONF_KIND_EXTERNAL_ID] = "name",
        [CONF_KIND_PROFILE] = "name",
        [CONF_KIND_KMS_KEY] = "name",
        [CONF_KIND_ADDRESSING] = "word",
        [CONF_KIND_COMPRESSION] = "word",
        [CONF_KIND_SOURCE] = "word",
        [CONF_KIND_ENCRYPTION] = "word",
        [CONF_KIND_VERIFY_WHAT] = "word",
        [CONF_KIND_STORAGE_CLASS] = "word",
        [CONF_KIND_LOCK] = "word",
        [CONF_KIND_LOG_LEVEL] = "word",
        [CONF_KIND_SWITCH] = "true or false",
        [CONF_KIND_CRON] = "cron line",
        [CONF_KIND_LISTEN] = "host:port",
        [CONF_KIND_COMMAND] = "command",
        [CONF_KIND_DURATION] = "duration",
        [CONF_KIND_COUNT] = "number",
        [CONF_KIND_SIZE] = "size",
        [CONF_KIND_SOCKET] = "path",
        [CONF_KIND_AUTHORITIES] = "path",
        [CONF_KIND_CERTIFICATES] = "path",
        [CONF_KIND_PRIVATE_KEY] = "path",
        [CONF_KIND_MASTER_KEY] = "path",
        [CONF_KIND_ETCD_CREDENTIALS] = "path",
        [CONF_KIND_S3_CREDENTIALS] = "path",
        [CONF_KIND_TOKEN] = "path",
        [CONF_KIND_PROFILES] = "path",
        [CONF_KIND_URL] = "path",
        [CONF_KIND_OUTPUT] = "path",
        [CONF_KIND_ARGUMENTS] = "list of words",
        [CONF_KIND_EVENTS] = "list of words",
        [CONF_KIND_TAGS] = "list of words",
        [CONF_KIND_MASTER_KEYS] = "list of paths",
        [CONF_KIND_RECIPIENTS] = "list of recipients",
};

const char *conf_schema_kind_name(enum conf_kind kind)
{
    return kind_names[kind];
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
                  });
    }
}
