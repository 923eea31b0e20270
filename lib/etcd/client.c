#include "etcd/client_internal.h"

#include <string.h>

enum { WINDOW_DEFAULT = 4 << 20, WINDOW_MIN = 1 << 20 };

struct place {
    struct endpoint parsed;
    union race_address good;
};

struct etcd_client {
    uv_loop_t *loop;
    struct etcd_conf conf; /* its strings and arrays are ours */
    char **texts;          /* conf.endpoints */
    struct place *endpoints;
    unsigned blames; /* so far */
};

/* *copy becomes a copy of text, or NULL for NULL. */
static int copy_text(const char *text, const char **copy, struct err *e)
{
    if (text && !(*copy = strdup(text)))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a client of etcd");
    return 0;
}

static int copy_endpoints(struct etcd_client *c, const struct etcd_conf *conf, struct err *e)
{
    c->texts = calloc(conf->n_endpoints, sizeof(*c->texts));
    c->endpoints = calloc(conf->n_endpoints, sizeof(*c->endpoints));
    if (!c->texts || !c->endpoints)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a client of etcd");
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        if (endpoint_parse(conf->endpoints[i], ENDPOINT_ETCD, &c->endpoints[i].parsed, e) < 0)
            return -1;
        c->texts[i] = strdup(conf->endpoints[i]);
        if (!c->texts[i])
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a client of etcd");
        c->conf.n_endpoints++;
    }
    c->conf.endpoints = (const char *const *)c->texts;
    return 0;
}

static int copy_conf(struct etcd_client *c, const struct etcd_conf *conf, struct err *e)
{
    c->conf = *conf;
    c->conf.endpoints = NULL;
    c->conf.n_endpoints = 0;
    c->conf.ca_cert = c->conf.client_cert = c->conf.client_key = NULL;
    c->conf.window = conf->window ? conf->window : WINDOW_DEFAULT;
    if (c->conf.window < WINDOW_MIN)
        c->conf.window = WINDOW_MIN;
    if (copy_text(conf->ca_cert, &c->conf.ca_cert, e) < 0 ||
            copy_text(conf->client_cert, &c->conf.client_cert, e) < 0 ||
            copy_text(conf->client_key, &c->conf.client_key, e) < 0)
        return -1;
    return copy_endpoints(c, conf, e);
}

struct etcd_client *etcd_client_new(uv_loop_t *loop, const struct etcd_conf *conf, struct err *e)
{
    _cleanup_(cleanup_etcd_client_free) struct etcd_client *c = NULL;

    if (conf->n_endpoints == 0 || conf->n_endpoints > ETCD_CLIENT_ENDPOINTS_MAX) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%zu endpoints of etcd are given, 1 to %d are possible",
                conf->n_endpoints, ETCD_CLIENT_ENDPOINTS_MAX);
        return NULL;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a client of etcd");
        return NULL;
    }
    c->loop = loop;
    return copy_conf(c, conf, e) == 0 ? TAKE_PTR(c) : NULL;
}

void etcd_client_free(struct etcd_client *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->conf.n_endpoints; i++)
        free(c->texts[i]);
    free(c->texts);
    free(c->endpoints);
    free((char *)(uintptr_t)c->conf.ca_cert);
    free((char *)(uintptr_t)c->conf.client_cert);
    free((char *)(uintptr_t)c->conf.client_key);
    free(c);
}

const struct etcd_conf *etcd_client_conf(const struct etcd_client *c)
{
    return &c->conf;
}

uv_loop_t *etcd_client_loop(const struct etcd_client *c)
{
    return c->loop;
}

const struct endpoint *etcd_client_endpoint(const struct etcd_client *c, size_t i)
{
    return &c->endpoints[i].parsed;
}

union race_address *etcd_client_good_address(struct etcd_client *c, size_t i)
{
    return &c->endpoints[i].good;
}

void etcd_client_name_endpoint(const struct etcd_client *c, size_t i, const char *doing, struct err *e)
{
    const char *authority = c->endpoints[i].parsed.authority;

    if (!strstr(e->text, authority))
        err_prepend(e, "%s: %s", c->texts[i], doing);
}

struct etcd_blame etcd_client_blame(const struct etcd_client *c, size_t i)
{
    return c->conf.blame ? c->conf.blame(c->conf.memory_ctx, c->texts[i]) : (struct etcd_blame){0};
}

void etcd_client_remember(struct etcd_client *c, size_t i, const struct err *why)
{
    if (c->conf.remember)
        c->conf.remember(c->conf.memory_ctx, c->texts[i], why);
}
