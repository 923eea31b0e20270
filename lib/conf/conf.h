/*
 * conf.h: the YAML file -> struct conf, with defaults, or one line that says what is wrong and where.
 *
 * The keys and their meanings are those of the Go tool `etcd-backup`, whose config.yml must work unchanged, and ours
 * beside them; etcd-backupd.conf.example lists them all at their defaults, and a test keeps the three in step. Strict:
 * an unknown key, a duplicate, a wrong type, `15x`: each is an ERR_CONFIG whose text is
 *
 *     FILE:LINE:COLUMN: s3_client.region: what is wrong
 *
 * with the position of the key or value that is wrong. An optional key without a value ("", null, nothing) means its
 * default, as in the Go tool. Loading reads the one file; conf_check_files looks at the files
 * that it names, and conf_read_credentials reads one of them. A struct conf never changes after it was loaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"

enum conf_log_level { CONF_LOG_ERROR, CONF_LOG_WARNING, CONF_LOG_INFO, CONF_LOG_DEBUG };
/* What the store encrypts by. */
enum conf_encryption { CONF_ENCRYPTION_NONE, CONF_ENCRYPTION_S3, CONF_ENCRYPTION_KMS };

/* Where S3's credentials come from. */
enum conf_source {
    CONF_SOURCE_FILE,
    CONF_SOURCE_INSTANCE,
    CONF_SOURCE_CONTAINER,
    CONF_SOURCE_WEB_IDENTITY,
    CONF_SOURCE_PROCESS,
    CONF_SOURCE_PROFILE
};
enum conf_addressing { CONF_ADDRESSING_AUTO, CONF_ADDRESSING_PATH, CONF_ADDRESSING_VIRTUAL };

struct conf_etcd {
    char **endpoints; /* as written: "host:port" (TLS), "https://...", "http://...", "unix://PATH"; there may be none */
    size_t n_endpoints;
    uint64_t connection_timeout_ms; /* default 1m; connecting and the TLS handshake, for each address */
    uint64_t request_timeout_ms;    /* default 1m; time without progress */
    bool compare_members;           /* default true; by HashKV, behind each snapshot */
    uint64_t retries;               /* default 10; attempts of a backup after the first, whichever side failed */
    bool use_learner;               /* always false for now: a learner is read only if configured */
    char *ca_cert;                  /* NULL: the system's CAs */
    char *password_auth;            /* path of a YAML file with username and password, or NULL */
    char *client_cert;              /* both or neither; see conf_uses_client_cert */
    char *client_key;
};

enum conf_lock { CONF_LOCK_NONE, CONF_LOCK_GOVERNANCE, CONF_LOCK_COMPLIANCE };

struct conf_object_lock {
    enum conf_lock mode; /* default none */
    uint64_t retain_ms;  /* since the backup; there with a mode alone */
};

struct conf_s3 {
    char *objects_prefix; /* default "backup" */
    char *endpoint;       /* "host:port" (TLS) or with a scheme; no path */
    char *bucket;
    char *region;                   /* default "us-east-1" */
    uint64_t connection_timeout_ms; /* default 1m */
    uint64_t request_timeout_ms;    /* default 1m; time without progress */
    char *ca_cert;                  /* NULL: the system's CAs */
    enum conf_source source; /* default file; each key below belongs to some of them, see conf_auth_key_is_used */
    char *key_auth;          /* path of a YAML file with access_key and secret_key (session_token optional) */
    char *role_arn;          /* of web-identity; with any other, one more step: AssumeRole; or NULL */
    char *role_session_name; /* NULL: etcd-backupd-HOST */
    char *external_id;       /* or NULL */
    char *token_file;        /* NULL: the variable of the environment says */
    char *sts_endpoint;      /* as endpoint; NULL: Amazon's of the region */
    char **process;          /* argv */
    size_t n_process;
    char *profile; /* default "default" */
    char *shared_credentials_file;
    char *instance_endpoint; /* as endpoint */
    char *proxy;             /* "http://host:port", also https, socks5, socks5h; NULL: none */
    char *proxy_auth;        /* path of a YAML file with username and password, or NULL */
    enum conf_addressing addressing;
    uint64_t part_size;       /* bytes, 5 MiB to 5 GiB; 0 (default): chosen from the size of the snapshot */
    unsigned parts_in_flight; /* 1 to 16, default 3 */
    uint64_t spool_size;      /* bytes of sealed data that may wait on disk, beside snapshot_path, for a slow S3;
                                 default 8GiB; 0, or no snapshot_path, or no encryption_key_path: none do */
    uint64_t max_bandwidth;   /* bytes a second of a dump's upload; 0 (default): no limit */
    enum conf_encryption server_side_encryption; /* by the store, beside ours; default none */
    char *kms_key_id;                            /* or NULL: the account's own */
    char *storage_class;                         /* of dumps; default "STANDARD" */
    char **tags;                                 /* "KEY=VALUE" */
    size_t n_tags;
    struct conf_object_lock object_lock; /* of dumps and their keys */
};

struct conf_control {
    char *socket; /* default /run/etcd-backupd/control.sock */
    char *group;  /* members may use the socket, beside root and the daemon's own user; NULL: none */
};

enum conf_compression { CONF_COMPRESSION_NONE, CONF_COMPRESSION_ZSTD };

struct conf_schedule {
    uint64_t interval_ms;                    /* 0: none; at most one of the two is there */
    char *cron;                              /* a line that cron_parse takes, or NULL */
    uint64_t jitter_ms;                      /* default 0 */
    bool is_shared;                          /* with daemons of the same prefix elsewhere; default false */
    uint64_t takeover_ms;                    /* a claim that stays as it is for so long is a dead one's; default 3m */
    uint64_t retry_initial_ms, retry_max_ms; /* default 30s and 10m */
};

struct conf_prune {
    uint64_t max_age_ms;                                                      /* 0: nothing is pruned after a cycle */
    uint64_t min_count;                                                       /* default 20 */
    uint64_t keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly; /* default 0 */
};

struct conf_metrics {
    char *listen; /* HOST:PORT, an IP address or localhost; NULL: nowhere */
};

struct conf_health {
    uint64_t max_age_ms; /* 0: any age will do */
};

struct conf_hooks {
    char *on_success, *on_failure; /* for /bin/sh -c; or NULL */
    uint64_t timeout_ms;           /* default 1m */
};

struct conf_heartbeat {
    char *url_file; /* path of a file that holds one URL; or NULL */
    char **on;      /* of "start", "success", "failure"; none: all */
    size_t n_on;
    char *proxy; /* as s3.proxy */
};

enum conf_verify_what { CONF_VERIFY_NEWEST, CONF_VERIFY_SAMPLE, CONF_VERIFY_ALL };

struct conf_verify {
    uint64_t interval_ms; /* 0: none; at most one of the two is there; without both nothing is verified by itself */
    char *cron;           /* as schedule.cron, or NULL */
    uint64_t jitter_ms;   /* default 0 */
    enum conf_verify_what what; /* default newest */
    bool drill;                 /* default false */
};

struct conf_positions;

struct conf {
    char *file;                       /* the path that it was loaded from */
    struct conf_positions *positions; /* where each key stands in it; for lib/conf alone */
    struct conf_etcd etcd;
    struct conf_s3 s3;
    struct conf_control control;
    struct conf_schedule schedule;
    struct conf_prune prune;
    struct conf_verify verify;
    struct conf_metrics metrics;
    struct conf_health health;
    struct conf_hooks hooks;
    struct conf_heartbeat heartbeat;
    char *snapshot_path;       /* NULL if left out: restore then needs --output */
    char *encryption_key_path; /* NULL: no master key */
    char **previous_key_paths; /* tried beside it when a backup is read; NULL: none */
    size_t n_previous_key_paths;
    char **encryption_recipients; /* of age, to which data keys are sealed; the master key then only vouches; NULL: none
                                   */
    size_t n_encryption_recipients;
    enum conf_compression compression; /* default none */
    uint64_t compression_level;        /* 1 to 9, default 3 */
    enum conf_log_level log_level;     /* default info; the Go tool's words: error, warning, info, debug, in any case */
};

/* Whether backups are encrypted, by whichever key. */
static inline bool conf_encrypts(const struct conf *c)
{
    return c->encryption_key_path || c->n_encryption_recipients;
}

/* Loads and checks. The caller frees. Errors: ERR_CONFIG (text as above), ERR_NOT_FOUND, ERR_RESOURCE. */
struct conf *conf_load(const char *path, struct err *e);

/*
 * One key as a person gets to know it. What holds when it is left out is `by_default`; a key without a default is
 * either mandatory or off.
 */
struct conf_schema_entry {
    const char *key;        /* dotted: "s3_client.auth.ca_cert" */
    const char *kind;       /* "duration", "size", "number", "path", "name", "word", "endpoint", "list of endpoints" */
    const char *by_default; /* as it is written in the file, or NULL */
    const char *example;    /* by_default, or a sample where there is none; never NULL */
    bool mandatory;
};

/* Calls `each` for every key there is, those of a section together. The texts are static. For the tests that keep the
 * example file and the documentation in step with what is loaded. */
void conf_schema_each(void (*each)(void *ctx, const struct conf_schema_entry *entry), void *ctx);

/*
 * What is legal and yet worth a word at start, each one line with the place: `http://` to other than loopback, no
 * encryption, a previous key that is gone, parts that need a lot of memory, a bucket whose name TLS cannot check, a
 * storage class or a lock that outlasts what prune keeps, a schedule that means more backups than it seems to, secrets
 * that all can read (where that is no objection). Calls `each` with a text valid during the call.
 */
void conf_warnings(const struct conf *c, void (*each)(void *ctx, const char *text), void *ctx);

/* The Go tool uses either a password or a client certificate, and its users have written down paths of certificates
 * that they never made: beside password_auth whose file is there, and where neither of the two is, there is none. */
bool conf_uses_client_cert(const struct conf *c);

/* Whether s3_client.auth.NAME means anything with the source of *c. `key` is dotted; true for all keys but those. */
bool conf_auth_key_is_used(const struct conf *c, const char *key);

/* "web-identity", as it is written. */
const char *conf_source_name(enum conf_source source);

/* What a configuration is going to be used for. */
enum conf_scope {
    CONF_SCOPE_ALL,
    CONF_SCOPE_BACKUP, /* the same, and etcd_client.endpoints must be there */
    CONF_SCOPE_BUCKET, /* for the bucket alone, on a machine that may have lost the rest: the files of etcd_client,
                          control.group and the directory of snapshot_path are left to whoever uses them */
};

/*
 * Looks at every file that the configuration names: exists, is a file, can be read, holds what it should (a master key
 * of 64 digits, PEM certificates, a credentials file with its two keys), and secrets are not open to other users; the
 * directory of snapshot_path exists; the control group exists. `each` is told all objections (ERR_CONFIG,
 * ERR_RESOURCE), with the position in the configuration of the key that names the file; valid during the call. Returns
 * their number.
 */
unsigned conf_check_files(
        const struct conf *c, enum conf_scope scope, void (*each)(void *ctx, const struct err *why), void *ctx);

/* Calls `each` for every file that the configuration names and that is read: key, and path; valid during the call. */
void conf_files_each(const struct conf *c, void (*each)(void *ctx, const char *key, const char *path), void *ctx);

/* Name and secret of a credentials file. Owned by whoever called conf_read_credentials. */
struct conf_credentials {
    char *id;              /* username, access_key: not a secret */
    struct secret *secret; /* password, secret_key: the bytes, without NUL */
    struct secret *token;  /* session_token of key_auth, or NULL */
};

enum conf_credentials_kind { CONF_CREDENTIALS_ETCD, CONF_CREDENTIALS_S3 };

/* Reads a `password_auth` or `key_auth` file into *out. Errors: ERR_CONFIG (FILE:LINE:COLUMN: ..., never the content),
 * ERR_NOT_FOUND, ERR_RESOURCE. */
int conf_read_credentials(
        const char *path, enum conf_credentials_kind kind, struct conf_credentials *out, struct err *e);

/* Wipes and releases what *c holds. */
void conf_credentials_clear(struct conf_credentials *c);

/* NULL is fine. */
void conf_free(struct conf *c);
CLEANUP_FUNC(struct conf *, conf_free)
