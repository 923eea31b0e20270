#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cron.h"
#include "base/duration.h"
#include "base/endpoint.h"
#include "base/size.h"
#include "conf/parse.h"
#include "conf/place.h"
#include "conf/positions.h"
#include "conf/schema.h"
#include "conf/text.h"
#include "conf/value.h"

enum { FILE_LEN_MAX = 1 << 20 };

/* What is worth a word: the parts of one upload that are in memory at the same time. */
#define PARTS_MEMORY_NOTEWORTHY ((uint64_t)1 << 30)

#define DAY_MS UINT64_C(86400000)

#define ALL_MINUTES ((UINT64_C(1) << 60) - 1)
#define ALL_HOURS   ((UINT32_C(1) << 24) - 1)

struct conf *conf_load(const char *path, struct err *e)
{
    size_t len;
    _cleanup_free_ char *text = conf_text_read(path, FILE_LEN_MAX, &len, e);

    return text ? conf_parse(path, (struct bytes){(const uint8_t *)text, len}, e) : NULL;
}

struct warner {
    const struct conf *conf;
    void (*each)(void *ctx, const char *text);
    void *ctx;
};

/* The place is that of the value of `key`, or the start of the file if it is left out. */
static void warn(const struct warner *w, const char *key, const char *text)
{
    const struct conf_node *node = w->conf->positions ? conf_positions_find(w->conf->positions, key) : NULL;
    struct conf_place at = {.file = w->conf->file, .line = 1, .column = 1, .key = key};
    struct err line = ERR_INIT;

    if (node)
        at = conf_positions_of_value(w->conf->positions, node);
    conf_place_error(&line, &at, "%s", text);
    w->each(w->ctx, line.text);
}

static void warn_if_open(
        const struct warner *w, const char *key, const char *endpoint, enum endpoint_kind kind, const char *who)
{
    struct endpoint ep;
    struct err ignored;
    char text[192];

    if (endpoint_parse(endpoint, kind, &ep, &ignored) < 0 || ep.tls || endpoint_is_loopback(&ep))
        return;
    (void)snprintf(text, sizeof(text), "http:// is not encrypted: whoever is on the way can %s", who);
    warn(w, key, text);
}

/* "https://backups.s3.example.com" of the bucket "backups": most stores take the host for the bucket, and what stands
 * behind it for the name of an object. */
static bool is_address_of(const char *bucket, const struct endpoint *ep)
{
    const size_t len = strlen(bucket);

    return !ep->is_address && strncasecmp(ep->host, bucket, len) == 0 && ep->host[len] == '.';
}

static void warn_of_s3(const struct warner *w)
{
    const struct conf_s3 *s3 = &w->conf->s3;
    struct endpoint ep;
    struct err ignored;

    warn_if_open(w, "s3_client.endpoint", s3->endpoint, ENDPOINT_S3, "read what is sent, and change or delete backups");
    if (s3->sts_endpoint)
        warn_if_open(w, "s3_client.auth.sts_endpoint", s3->sts_endpoint, ENDPOINT_S3,
                "take the token, and the credentials that it is exchanged for");
    if (s3->part_size > PARTS_MEMORY_NOTEWORTHY / (s3->parts_in_flight + 1)) {
        char size[SIZE_TEXT_MAX], text[96];

        size_format(s3->part_size * (s3->parts_in_flight + 1), size);
        (void)snprintf(text, sizeof(text), "a backup will take %s of memory for its parts in flight", size);
        warn(w, "s3_client.part_size", text);
    }
    if (endpoint_parse(s3->endpoint, ENDPOINT_S3, &ep, &ignored) == 0 && is_address_of(s3->bucket, &ep))
        warn(w, "s3_client.endpoint",
                "begins with the name of the bucket; if that is the bucket's address and not the store's, backups go "
                "where none are found again: write it without the bucket");
    if (s3->addressing == CONF_ADDRESSING_VIRTUAL && strchr(s3->bucket, '.') &&
            endpoint_parse(s3->endpoint, ENDPOINT_S3, &ep, &ignored) == 0 && ep.tls)
        warn(w, "s3_client.bucket",
                "has dots, which the store's certificate for *.HOST does not cover; use s3_client.addressing: path");
}

/* It did once, and many programs go by it. */
static void warn_of_proxy(const struct warner *w)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"};
    struct endpoint ep;
    struct err ignored;
    char text[128];

    if (w->conf->s3.proxy || (w->conf->positions && conf_positions_find_value(w->conf->positions, "s3_client.proxy")) ||
            (endpoint_parse(w->conf->s3.endpoint, ENDPOINT_S3, &ep, &ignored) == 0 && endpoint_is_loopback(&ep)))
        return;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);

        if (!value || !value[0])
            continue;
        (void)snprintf(text, sizeof(text), "is left out: %s of the environment does not count", names[i]);
        warn(w, "s3_client.proxy", text);
        return;
    }
}

/* Who wrote it down believes that it is used. */
static void warn_of_auth(const struct warner *w)
{
    size_t n;
    const struct conf_schema_key *keys = conf_schema_keys(&n);

    for (size_t i = 0; i < n; i++)
        if (w->conf->positions && !conf_auth_key_is_used(w->conf, keys[i].key) &&
                conf_positions_find_value(w->conf->positions, keys[i].key))
            warn(w, keys[i].key, "is not used: s3_client.auth.source says that the credentials come from elsewhere");
}

/* Amazon S3 bills each object of these for so long, however early it is deleted (S3 User Guide, "Storage classes"). */
static void warn_of_storage(const struct warner *w)
{
    static const struct {
        const char *name;
        unsigned days;
    } rows[] = {{"STANDARD_IA", 30}, {"ONEZONE_IA", 30}, {"GLACIER_IR", 90}};
    const struct conf *c = w->conf;
    char text[128];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(c->s3.storage_class, rows[i].name) == 0 && c->prune.max_age_ms &&
                c->prune.max_age_ms < rows[i].days * DAY_MS) {
            (void)snprintf(
                    text, sizeof(text), "is billed for %u days at least, and prune.max_age is shorter", rows[i].days);
            warn(w, "s3_client.storage_class", text);
        }
    if (c->s3.kms_key_id && c->s3.server_side_encryption != CONF_ENCRYPTION_KMS)
        warn(w, "s3_client.kms_key_id", "is not used: s3_client.server_side_encryption is not kms");
}

/* What is locked for longer than it is wanted is paid for all the same, and what is not locked until there is another
 * leaves a moment in which nothing is. */
static void warn_of_lock(const struct warner *w)
{
    const struct conf *c = w->conf;
    const uint64_t retain = c->s3.object_lock.retain_ms;
    char age[DURATION_TEXT_MAX], text[192];

    if (c->s3.object_lock.mode == CONF_LOCK_NONE)
        return;
    if (c->prune.max_age_ms && c->prune.max_age_ms < retain) {
        duration_format(c->prune.max_age_ms, age);
        (void)snprintf(text, sizeof(text),
                "is longer than prune.max_age (%s): what is older stays, and prune says so, until its lock has ended",
                age);
        warn(w, "s3_client.object_lock.retain", text);
    }
    if (c->schedule.interval_ms && retain < c->schedule.interval_ms + c->schedule.jitter_ms)
        warn(w, "s3_client.object_lock.retain",
                "is shorter than the time between two backups: for a while none of them is locked");
}

/* Only whoever has asked for a spool wants to hear that there is none. */
static void warn_of_spool(const struct warner *w)
{
    const struct conf *c = w->conf;

    if (c->s3.max_bandwidth && (!c->s3.spool_size || !c->snapshot_path || !conf_encrypts(c)))
        warn(w, "s3_client.max_bandwidth",
                "holds up etcd, too: there is no spool (encryption_key_path, snapshot_path, s3_client.spool_size), so "
                "etcd keeps its snapshot open as long as the upload takes");

    if (c->s3.spool_size && (!c->snapshot_path || !conf_encrypts(c)) && c->positions &&
            conf_positions_find(c->positions, "s3_client.spool_size"))
        warn(w, "s3_client.spool_size",
                c->snapshot_path
                        ? "there is no spool without encryption_key_path, since no plaintext goes to the disk: "
                          "etcd has to wait for a slow S3"
                        : "there is no spool without snapshot_path, in whose directory it lies: etcd has to "
                          "wait for a slow S3");
}

static void warn_of_recipients(const struct warner *w)
{
    const struct conf *c = w->conf;

    if (c->n_encryption_recipients && !c->encryption_key_path)
        warn(w, "encryption_recipients",
                "backups are sealed, and nobody vouches for them, since encryption_key_path is not configured: whoever "
                "can write to the bucket can make some, restore wants --allow-unvouched, prune refuses to, and healthz "
                "and a scheduled verify find none good");
    if (c->n_encryption_recipients == 1)
        warn(w, "encryption_recipients",
                "is one recipient alone: with his identity all backups are lost; name a second one, whose identity "
                "lies "
                "in a safe");
    for (size_t i = 0; i < c->n_encryption_recipients; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->encryption_recipients[i], c->encryption_recipients[j]) == 0)
                warn(w, "encryption_recipients", "names one recipient twice");
}

/* A star in the field of minutes is most often one that was meant to be a 0. */
static void warn_of_cron(const struct warner *w)
{
    struct cron cron;
    struct err ignored;

    if (w->conf->schedule.cron && cron_parse(w->conf->schedule.cron, &cron, &ignored) == 0 &&
            cron.minutes == ALL_MINUTES && cron.hours != ALL_HOURS)
        warn(w, "schedule.cron",
                "makes a backup in each minute of these hours, since its first field is a star; write 0 for one at the "
                "full hour");
}

static bool holds_secret(const char *key)
{
    const struct conf_schema_key *row = conf_schema_find(key);

    return !row || (row->kind != CONF_KIND_AUTHORITIES && row->kind != CONF_KIND_TOKEN &&
                           row->kind != CONF_KIND_CERTIFICATES); /* there is no row for one of a list: master keys */
}

/* Where this is no objection, because the file is only read for a person who is here. */
static void warn_of_open_file(void *ctx, const char *key, const char *path)
{
    struct stat st;
    char text[96];

    if (!holds_secret(key) || stat(path, &st) < 0 || (st.st_mode & 0007) == 0)
        return;
    (void)snprintf(text, sizeof(text), "the file holds a secret but is open to all users (mode %04o); use chmod o-rwx",
            (unsigned)st.st_mode & 07777);
    warn(ctx, key, text);
}

void conf_warnings(const struct conf *c, void (*each)(void *ctx, const char *text), void *ctx)
{
    const struct warner w = {.conf = c, .each = each, .ctx = ctx};

    for (size_t i = 0; i < c->etcd.n_endpoints; i++) {
        char key[48];

        (void)snprintf(key, sizeof(key), "etcd_client.endpoints[%zu]", i);
        warn_if_open(
                &w, key, c->etcd.endpoints[i], ENDPOINT_ETCD, "read and change the snapshot, and see the password");
    }
    for (size_t i = 0; i < c->n_previous_key_paths; i++) {
        char key[48];

        (void)snprintf(key, sizeof(key), "previous_key_paths[%zu]", i);
        if (access(c->previous_key_paths[i], F_OK) < 0 && errno == ENOENT)
            warn(&w, key, "there is no such file; if that key was destroyed after rotate-key, remove it here, too");
        else if (c->encryption_key_path && strcmp(c->encryption_key_path, c->previous_key_paths[i]) == 0)
            warn(&w, key, "is the file of encryption_key_path itself");
    }
    warn_of_recipients(&w);
    if (!conf_encrypts(c))
        warn(&w, "encryption_key_path",
                c->positions && conf_positions_find(c->positions, "encryption_key_path")
                        ? "has no value: backups are NOT encrypted, and whoever can read the bucket can read the whole "
                          "cluster"
                        : "is left out: backups are NOT encrypted, and whoever can read the bucket can read the whole "
                          "cluster");
    if (c->etcd.client_cert && !conf_uses_client_cert(c))
        warn(&w, "etcd_client.auth.client_cert",
                "there is no such file, nor that of client_key: password_auth goes alone");
    warn_of_s3(&w);
    warn_of_auth(&w);
    warn_of_proxy(&w);
    warn_of_storage(&w);
    warn_of_lock(&w);
    warn_of_spool(&w);
    warn_of_cron(&w);
    conf_files_each(c, warn_of_open_file, (void *)(uintptr_t)&w);
}

void conf_free(struct conf *c)
{
    size_t n;
    const struct conf_schema_key *keys = conf_schema_keys(&n);

    if (!c)
        return;
    for (size_t i = 0; i < n; i++)
        conf_value_free(c, &keys[i]);
    conf_positions_free(c->positions);
    free(c->file);
    free(c);
}
