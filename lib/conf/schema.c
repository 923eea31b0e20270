#include "conf/schema.h"

#include <string.h>

#define TO(member)  .offset = offsetof(struct conf, member), .width = sizeof(((struct conf *)NULL)->member)
#define MIB(n)      ((uint64_t)(n) << 20)
#define TIMEOUT_MIN 1
#define TIMEOUT_MAX (UINT64_C(7) * 24 * 3600 * 1000)
#define RETRIES_MAX 1000000

static const struct conf_schema_key keys[] = {
        {"etcd_client.endpoints", CONF_KIND_ENDPOINTS, .mandatory = true, .sample = "[\"127.0.0.1:2379\"]",
                TO(etcd.endpoints),
                .help = "The members of the cluster, host:port each (TLS) or with https://, http:// or unix:// in "
                        "front; "
                        "port 2379 if none is given."},
        {"etcd_client.connection_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN,
                .max = TIMEOUT_MAX, TO(etcd.connection_timeout_ms),
                .help = "How long connecting and the TLS handshake may take, for each member."},
        {"etcd_client.request_timeout", CONF_KIND_DURATION, .by_default = "1m", .min = TIMEOUT_MIN, .max = TIMEOUT_MAX,
                TO(etcd.request_timeout_ms),
                .help = "How long a request may make no progress; not how long a snapshot may take."},
        {"etcd_client.retries", CONF_KIND_COUNT, .by_default = "10", .min = 0, .max = RETRIES_MAX, TO(etcd.retries),
                .help = "How often an operation that failed is tried again."},
        {"etcd_client.auth.ca_cert", CONF_KIND_CERTIFICATES, .sample = "/etc/etcd-backupd/etcd-ca.crt",
                TO(etcd.ca_cert),
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
                .help = "Where a restore writes the snapshot unless it is told otherwise; a backup writes nothing "
                        "there."},
        {"encryption_key_path", CONF_KIND_MASTER_KEY, .sample = "/etc/etcd-backupd/master.key", TO(encryption_key_path),
                .help = "File with the master key, 64 hexadecimal digits; left out: backups are NOT encrypted."},
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
        {"s3_client.auth.ca_cert", CONF_KIND_CERTIFICATES, .sample = "/etc/etcd-backupd/s3-ca.crt", TO(s3.ca_cert),
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
                .help = "How much encrypted data may wait on disk when S3 is slower than etcd, so that etcd is not "
                        "held "
                        "up; 0: none."},
        {"control.socket", CONF_KIND_SOCKET, .by_default = "/run/etcd-backupd/control.sock", TO(control.socket),
                .help = "The Unix socket that etcd-backupctl talks to."},
        {"control.group", CONF_KIND_GROUP, .sample = "etcd-backup", TO(control.group),
                .help = "A group whose members may use the socket, beside root and the daemon's own user."},
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
    case CONF_KIND_DURATION:
        return "duration";
    case CONF_KIND_COUNT:
        return "number";
    case CONF_KIND_SIZE:
        return "size";
    case CONF_KIND_SOCKET:
    case CONF_KIND_CERTIFICATES:
    case CONF_KIND_PRIVATE_KEY:
    case CONF_KIND_MASTER_KEY:
    case CONF_KIND_ETCD_CREDENTIALS:
    case CONF_KIND_S3_CREDENTIALS:
    case CONF_KIND_OUTPUT:
        return "path";
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
