#include "conf/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/endpoint.h"
#include "conf/positions.h"
#include "conf/raw.h"
#include "conf/schema.h"
#include "conf/structure.h"
#include "conf/text.h"
#include "conf/value.h"

/* Sets from `text` what `key` names; an objection is told at the value of `node`. */
static int set_at(struct conf *c, const struct conf_schema_key *key, const char *text, const struct conf_node *node,
        struct err *e)
{
    struct conf_place at = conf_positions_of_value(c->positions, node);

    return conf_value_set(c, key, text, e) < 0 ? conf_place_prepend(e, &at) : 0;
}

/* The items of the list that `key` is. Its nodes stand behind it, in order. */
static int set_list(struct conf *c, const struct conf_schema_key *key, const struct conf_raw_value *value,
        const struct conf_node *node, struct err *e)
{
    for (uint32_t i = 0; i < value->n_items; i++)
        if (set_at(c, key, value->items[i], node + 1 + i, e) < 0)
            return -1;
    return 0;
}

static int set_values(struct conf *c, const struct conf_raw *raw, struct err *e)
{
    size_t n;
    const struct conf_schema_key *keys = conf_schema_keys(&n);

    for (size_t i = 0; i < n; i++) {
        const struct conf_raw_value *value = conf_raw_value(raw, i);
        const struct conf_node *node = conf_positions_find_value(c->positions, keys[i].key);
        int r = 0;

        if (!node && keys[i].by_default)
            r = conf_value_set(c, &keys[i], keys[i].by_default, e);
        else if (node && value->text)
            r = set_at(c, &keys[i], value->text, node, e);
        else if (node)
            r = set_list(c, &keys[i], value, node, e);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* A rule between two keys is broken: told at the one that is there. */
static int refuse_key(const struct conf *c, const char *key, const char *why, struct err *e)
{
    struct conf_place at = conf_positions_of_key(c->positions, conf_positions_find(c->positions, key));

    return conf_place_error(e, &at, "%s", why);
}

static bool is_there(const struct conf *c, const char *key)
{
    return conf_positions_find_value(c->positions, key) != NULL;
}

/* Whether any key of this section has a value. */
static bool has_values_below(const struct conf *c, const char *section)
{
    size_t n, len = strlen(section);
    const struct conf_schema_key *keys = conf_schema_keys(&n);

    for (size_t i = 0; i < n; i++)
        if (strncmp(keys[i].key, section, len) == 0 && keys[i].key[len] == '.' && is_there(c, keys[i].key))
            return true;
    return false;
}

static int check_schedule(const struct conf *c, struct err *e)
{
    if ((c->schedule.cron || c->schedule.interval_ms) && !c->etcd.n_endpoints)
        return refuse_key(c, "schedule", "needs etcd_client.endpoints: what would be backed up?", e);
    if (c->schedule.cron && c->schedule.interval_ms)
        return refuse_key(c, "schedule.cron", "and interval: give one of them", e);
    if (c->schedule.interval_ms && c->schedule.jitter_ms > c->schedule.interval_ms)
        return refuse_key(c, "schedule.jitter", "is longer than the interval", e);
    if (c->schedule.retry_initial_ms > c->schedule.retry_max_ms)
        return refuse_key(c, is_there(c, "schedule.retry.max") ? "schedule.retry.max" : "schedule.retry.initial",
                "retry.initial is longer than retry.max", e);
    if (c->heartbeat.n_on && !c->heartbeat.url_file)
        return refuse_key(c, "heartbeat.on", "needs url_file beside it", e);
    /* Who wrote down what to keep believes that the rest goes. */
    if (has_values_below(c, "prune") && !c->prune.max_age_ms)
        return refuse_key(c, "prune", "needs max_age: without it nothing is ever deleted", e);
    return 0;
}

static int check_verify(const struct conf *c, struct err *e)
{
    const struct conf_verify *v = &c->verify;

    if (has_values_below(c, "verify") && !v->interval_ms && !v->cron)
        return refuse_key(c, "verify", "needs schedule.interval or schedule.cron: when would that be?", e);
    if (v->interval_ms && v->cron)
        return refuse_key(c, "verify.schedule.cron", "and interval: give one of them", e);
    if (v->interval_ms && v->jitter_ms > v->interval_ms)
        return refuse_key(c, "verify.schedule.jitter", "is longer than the interval", e);
    if (v->drill && !c->snapshot_path)
        return refuse_key(c, "verify.drill", "needs snapshot_path, in whose directory backups are unpacked", e);
    return 0;
}

/* What this source cannot do without. */
static int check_auth(const struct conf *c, struct err *e)
{
    const struct {
        enum conf_source source;
        const char *key;
        bool is_there;
    } rows[] = {
            {CONF_SOURCE_FILE, "s3_client.auth.key_auth", c->s3.key_auth},
            {CONF_SOURCE_PROCESS, "s3_client.auth.process", c->s3.n_process > 0},
            {CONF_SOURCE_PROFILE, "s3_client.auth.shared_credentials_file", c->s3.shared_credentials_file},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (c->s3.source == rows[i].source && !rows[i].is_there)
            return conf_structure_missing(c->positions, conf_schema_find(rows[i].key), e);
    return 0;
}

/* Who asks for a lock and does not say how long gets none; who says how long alone believes in one. */
static int check_lock(const struct conf *c, struct err *e)
{
    const struct conf_object_lock *lock = &c->s3.object_lock;

    if (lock->mode != CONF_LOCK_NONE && !lock->retain_ms)
        return refuse_key(c, "s3_client.object_lock.mode", "needs retain beside it: for how long?", e);
    if (lock->mode == CONF_LOCK_NONE && lock->retain_ms && !is_there(c, "s3_client.object_lock.mode"))
        return refuse_key(c, "s3_client.object_lock.retain", "needs mode beside it: governance or compliance", e);
    return 0;
}

static int check_proxy(const struct conf *c, struct err *e)
{
    if (!c->s3.proxy_auth)
        return 0;
    if (!c->s3.proxy && !is_there(c, "s3_client.proxy"))
        return refuse_key(c, "s3_client.proxy_auth", "needs proxy beside it", e);
    if (c->s3.proxy && strncmp(c->s3.proxy, "socks", strlen("socks")) == 0)
        return refuse_key(c, "s3_client.proxy_auth", "is for proxies of HTTP alone", e);
    return 0;
}

/* What no row of the schema can say alone. */
static int check_together(const struct conf *c, struct err *e)
{
    struct endpoint ep;

    if (check_auth(c, e) < 0 || check_schedule(c, e) < 0 || check_lock(c, e) < 0 || check_proxy(c, e) < 0 ||
            check_verify(c, e) < 0)
        return -1;
    if (c->etcd.client_cert && !c->etcd.client_key)
        return refuse_key(c, "etcd_client.auth.client_cert", "needs client_key beside it", e);
    if (c->etcd.client_key && !c->etcd.client_cert)
        return refuse_key(c, "etcd_client.auth.client_key", "needs client_cert beside it", e);
    if (endpoint_parse(c->s3.endpoint, ENDPOINT_S3, &ep, e) < 0)
        return -1;
    if (c->s3.addressing == CONF_ADDRESSING_VIRTUAL && ep.is_address)
        return refuse_key(c, "s3_client.addressing",
                "virtual puts the bucket in front of the host's name, but s3_client.endpoint is an IP address", e);
    return 0;
}

struct conf *conf_parse(const char *file, struct bytes text, struct err *e)
{
    _cleanup_(cleanup_conf_free) struct conf *c = calloc(1, sizeof(*c));
    _cleanup_(cleanup_conf_raw_free) struct conf_raw *raw = NULL;

    if (c)
        c->file = strdup(file);
    if (!c || !c->file) {
        err_errno(e, ENOMEM, "configuration");
        return NULL;
    }
    if (conf_text_check(file, text, e) < 0)
        return NULL;
    text = conf_text_without_mark(text);
    c->positions = conf_positions_scan(file, text, e);
    if (!c->positions || conf_structure_check(c->positions, e) < 0)
        return NULL;
    raw = conf_raw_load(file, text, c->positions, e);
    if (!raw || set_values(c, raw, e) < 0 || check_together(c, e) < 0)
        return NULL;
    return TAKE_PTR(c);
}
