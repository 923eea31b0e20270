#include "conf/named.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kinds whose values, strings all of them, name something on this machine. */
static bool names_something(const struct conf_schema_key *key)
{
    return key->kind >= CONF_KIND_GROUP && !conf_schema_is_list(key->kind);
}

bool conf_named_is_client_cert(const struct conf_schema_key *key)
{
    static const char prefix[] = "etcd_client.auth.client_";

    return strncmp(key->key, prefix, strlen(prefix)) == 0;
}

static bool is_absent(const char *path)
{
    return access(path, F_OK) < 0 && errno == ENOENT;
}

bool conf_uses_client_cert(const struct conf *c)
{
    const struct conf_etcd *etcd = &c->etcd;

    if (!etcd->client_cert || !etcd->client_key)
        return false;
    return !etcd->password_auth || is_absent(etcd->password_auth) || !is_absent(etcd->client_cert) ||
           !is_absent(etcd->client_key);
}

#define ON(source) (1U << CONF_SOURCE_##source)

bool conf_auth_key_is_used(const struct conf *c, const char *key)
{
    static const char prefix[] = "s3_client.auth.";
    static const unsigned all = ~0U;
    static const struct {
        const char *name;
        unsigned sources;
    } rows[] = {
            {"key_auth", ON(FILE)},
            {"token_file", ON(CONTAINER) | ON(WEB_IDENTITY)},
            {"process", ON(PROCESS)},
            {"profile", ON(PROFILE)},
            {"shared_credentials_file", ON(PROFILE)},
            {"instance_endpoint", ON(INSTANCE)},
            {"external_id", all & ~ON(WEB_IDENTITY)},
    };

    if (strncmp(key, prefix, strlen(prefix)) != 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(key + strlen(prefix), rows[i].name) == 0)
            return rows[i].sources & 1U << c->s3.source;
    return true;
}

const char *conf_named_string(const struct conf *c, const struct conf_schema_key *key)
{
    return names_something(key) ? *(char *const *)(const void *)((const char *)c + key->offset) : NULL;
}

void conf_files_each(const struct conf *c, void (*each)(void *ctx, const char *key, const char *path), void *ctx)
{
    size_t n;
    const struct conf_schema_key *keys = conf_schema_keys(&n);
    bool with_client_cert = conf_uses_client_cert(c);

    for (size_t i = 0; i < n; i++) {
        const char *value = conf_named_string(c, &keys[i]);

        if (value && keys[i].kind >= CONF_KIND_AUTHORITIES && keys[i].kind != CONF_KIND_OUTPUT &&
                (with_client_cert || !conf_named_is_client_cert(&keys[i])) && conf_auth_key_is_used(c, keys[i].key))
            each(ctx, keys[i].key, value);
    }
    for (size_t i = 0; i < c->n_previous_key_paths; i++) {
        char key[48];

        (void)snprintf(key, sizeof(key), "previous_key_paths[%zu]", i);
        each(ctx, key, c->previous_key_paths[i]);
    }
}
