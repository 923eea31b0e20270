/*
 * files.c: conf_check_files, a look at everything that the configuration names. Keys and certificates are loaded as the
 * connection will load them. What it reads it throws away: those who use a file read it again when they need it, for
 * keys and certificates are renewed while the daemon runs.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "conf/conf.h"
#include "conf/named.h"
#include "conf/place.h"
#include "conf/positions.h"
#include "conf/schema.h"
#include "conf/structure.h"
#include "conf/text.h"
#include "x509/pair.h"
#include "x509/trust.h"

enum {
    MASTER_KEY_LEN_MAX = 1024, /* as when it is used: seal/key.c */
    MASTER_KEY_DIGITS = 64,
    /* As when they are used: lib/cloud/fetch_state.h, lib/cloud/fetch_profile.c, daemon/tell/heartbeat.c. */
    TOKEN_LEN_MAX = 16 << 10,
    PROFILES_LEN_MAX = 48 << 10,
    URL_LEN_MAX = 2048,
    GROUP_BUFFER_MAX = 1 << 20,
};

static int objection(struct err *e, const char *path, const char *why)
{
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: %s", path, why);
}

static int check_authorities(const char *path, struct err *e)
{
    _cleanup_x509_trust_ struct x509_trust *trust = x509_trust_load(path, e);

    return trust ? 0 : -1;
}

static int check_certificates(const char *path, struct err *e)
{
    mbedtls_x509_crt certificate;
    int rc;

    mbedtls_x509_crt_init(&certificate);
    rc = x509_pair_load_certificate(&certificate, path, e);
    mbedtls_x509_crt_free(&certificate);
    return rc;
}

/* Alone, and with its certificate, if that can be read: what else is wrong with that one is told where it stands. */
static int check_private_key(const char *path, const char *certificate_path, struct err *e)
{
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    struct err other = ERR_INIT;
    int rc;

    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    rc = x509_pair_load_key(&key, path, true, e);
    if (rc == 0 && certificate_path) {
        if (x509_pair_load_certificate(&certificate, certificate_path, &other) == 0) {
            rc = x509_pair_match(&certificate, &key, certificate_path, path, e);
        } else if (other.kind == ERR_RESOURCE) {
            *e = other;
            rc = -1;
        }
    }
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&certificate);
    return rc;
}

/* 64 hexadecimal digits, white space around them. What is wrong is told without what is there. */
static int check_master_key(const char *path, struct err *e)
{
    _cleanup_secret_ struct secret *text = secret_read_file(path, MASTER_KEY_LEN_MAX, true, e);
    const uint8_t *p, *end, *start;

    if (!text)
        return -1;
    p = secret_const_data(text);
    end = p + secret_len(text);
    while (p < end && isspace(*p))
        p++;
    while (p < end && isspace(end[-1]))
        end--;
    for (start = p; p < end; p++)
        if (!isxdigit(*p))
            return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                    "%s: is not a master key: character %td is no hexadecimal digit", path, p - start + 1);
    if (end - start != MASTER_KEY_DIGITS)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: is not a master key: %td hexadecimal digits instead of %d", path, end - start, MASTER_KEY_DIGITS);
    return 0;
}

static int check_credentials(const char *path, enum conf_credentials_kind kind, struct err *e)
{
    struct conf_credentials c = {.id = NULL};

    if (conf_read_credentials(path, kind, &c, e) < 0)
        return -1;
    conf_credentials_clear(&c);
    return 0;
}

/* Something that can be read; what is in it changes under us. */
static int check_readable(const char *path, size_t len_max, bool is_private, struct err *e)
{
    struct secret *text = secret_read_file(path, len_max, is_private, e);

    secret_free(text);
    return text ? 0 : -1;
}

/* A file that will be written: it may be missing, its directory not. */
static int check_output(const char *path, struct err *e)
{
    _cleanup_free_ char *dir = path_dir(path);
    struct stat st;

    if (!dir)
        return err_errno(e, ENOMEM, "%s", path);
    if (path[strlen(path) - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return objection(e, path, "is a directory, not a file");
    if (stat(dir, &st) < 0)
        return errno == ENOENT ? err_set(e, ERR_CONFIG, ERR_DOMAIN_ERRNO, ENOENT,
                                         "directory %s does not exist: mkdir -p %s", dir, dir)
                               : err_errno(e, errno, "directory %s", dir);
    return S_ISDIR(st.st_mode) ? 0 : objection(e, dir, "is not a directory");
}

static int check_group(const char *name, struct err *e)
{
    struct group group, *found = NULL;
    _cleanup_free_ char *buffer = NULL;
    int r = ERANGE;

    for (size_t size = 1024; r == ERANGE && size <= GROUP_BUFFER_MAX; size *= 2) { /* a group can have many members */
        free(buffer);
        buffer = malloc(size);
        if (!buffer)
            return err_errno(e, ENOMEM, "group %s", name);
        r = getgrnam_r(name, &group, buffer, size, &found);
    }
    if (r != 0)
        return err_errno(e, r, "group %s", name);
    return found ? 0 : err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "there is no group '%s'", name);
}

static int check_value(const struct conf *c, const struct conf_schema_key *key, const char *value, struct err *e)
{
    switch (key->kind) {
    case CONF_KIND_AUTHORITIES:
        return check_authorities(value, e);
    case CONF_KIND_CERTIFICATES:
        return check_certificates(value, e);
    case CONF_KIND_PRIVATE_KEY: /* there is one */
        return check_private_key(value, c->etcd.client_cert, e);
    case CONF_KIND_MASTER_KEY:
        return check_master_key(value, e);
    case CONF_KIND_ETCD_CREDENTIALS:
        return check_credentials(value, CONF_CREDENTIALS_ETCD, e);
    case CONF_KIND_S3_CREDENTIALS:
        return check_credentials(value, CONF_CREDENTIALS_S3, e);
    case CONF_KIND_TOKEN:
        return check_readable(value, TOKEN_LEN_MAX, false, e);
    case CONF_KIND_PROFILES:
        return check_readable(value, PROFILES_LEN_MAX, true, e);
    case CONF_KIND_URL:
        return check_readable(value, URL_LEN_MAX, true, e);
    case CONF_KIND_OUTPUT:
        return check_output(value, e);
    case CONF_KIND_GROUP:
        return check_group(value, e);
    default:
        return 0;
    }
}

static bool is_in_scope(const struct conf_schema_key *key, enum conf_scope scope)
{
    return scope != CONF_SCOPE_BUCKET || (strncmp(key->key, "etcd_client.", strlen("etcd_client.")) != 0 &&
                                                 key->kind != CONF_KIND_GROUP && key->kind != CONF_KIND_OUTPUT);
}

struct listener {
    void (*each)(void *ctx, const struct err *why);
    void *ctx;
    unsigned told;
};

static void tell(struct listener *l, const struct err *why, const struct conf_place *at)
{
    struct err e = *why;

    (void)conf_place_prepend(&e, at);
    l->told++;
    l->each(l->ctx, &e);
}

/* Each objection stands at its item. */
static void check_previous_keys(const struct conf *c, struct listener *l)
{
    const struct conf_node *list = c->positions ? conf_positions_find(c->positions, "previous_key_paths") : NULL;

    for (size_t i = 0; i < c->n_previous_key_paths; i++) {
        struct conf_place at = {.file = c->file, .line = 1, .column = 1, .key = "previous_key_paths"};
        struct err why = ERR_INIT;

        if (list)
            at = conf_positions_of_value(c->positions, list + 1 + i); /* its items stand behind it, in order */
        /* It may have been destroyed, as it should be in the end: who wants to restore then must not be stopped by it
         * (conf_warnings tells). */
        if (check_master_key(c->previous_key_paths[i], &why) < 0 && why.kind != ERR_NOT_FOUND)
            tell(l, &why, &at);
    }
}

static void check_endpoints(const struct conf *c, enum conf_scope scope, struct listener *l)
{
    struct err why = ERR_INIT;

    if (scope != CONF_SCOPE_BACKUP || c->etcd.n_endpoints || !c->positions)
        return;
    (void)conf_structure_missing(c->positions, conf_schema_find("etcd_client.endpoints"), &why);
    l->told++;
    l->each(l->ctx, &why);
}

unsigned conf_check_files(
        const struct conf *c, enum conf_scope scope, void (*each)(void *ctx, const struct err *why), void *ctx)
{
    size_t n;
    const struct conf_schema_key *keys = conf_schema_keys(&n);
    struct listener listener = {.each = each, .ctx = ctx};
    bool with_client_cert = conf_uses_client_cert(c);

    check_endpoints(c, scope, &listener);
    for (size_t i = 0; i < n; i++) {
        const char *value = conf_named_string(c, &keys[i]);
        const struct conf_node *node = c->positions ? conf_positions_find(c->positions, keys[i].key) : NULL;
        struct conf_place at = {.file = c->file, .line = 1, .column = 1, .key = keys[i].key};
        struct err why = ERR_INIT;

        if (node)
            at = conf_positions_of_key(c->positions, node);
        if ((!with_client_cert && conf_named_is_client_cert(&keys[i])) || !conf_auth_key_is_used(c, keys[i].key))
            continue;
        if (value && is_in_scope(&keys[i], scope) && check_value(c, &keys[i], value, &why) < 0)
            tell(&listener, &why, &at);
    }
    check_previous_keys(c, &listener);
    return listener.told;
}
