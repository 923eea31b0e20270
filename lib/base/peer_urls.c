#include "base/peer_urls.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A piece of one of the lists. */
struct piece {
    const char *text;
    size_t len;
};

struct url {
    struct piece scheme, host; /* the host in brackets, if it is IPv6 */
    unsigned port;
};

struct look {
    const struct peer_urls *given;
    void (*found)(void *ctx, const struct err *e);
    void *ctx;
};

__attribute__((format(printf, 2, 3))) static void object(const struct look *l, const char *fmt, ...)
{
    struct err e = ERR_INIT;
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s", text);
    l->found(l->ctx, &e);
}

/* The next between commas; etcd passes over an empty one. */
static bool next(const char **at, struct piece *out)
{
    while (**at == ',')
        (*at)++;
    *out = (struct piece){*at, strcspn(*at, ",")};
    *at += out->len;
    return out->len > 0;
}

static bool is_same(struct piece a, struct piece b)
{
    return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

static bool is_word(struct piece a, const char *word)
{
    return a.len == strlen(word) && memcmp(a.text, word, a.len) == 0;
}

/* Splits NAME=URL; without a "=" the URL is empty. */
static void split(struct piece entry, struct piece *name, struct piece *url)
{
    const char *equals = memchr(entry.text, '=', entry.len);

    *name = entry;
    *url = (struct piece){entry.text + entry.len, 0};
    if (!equals)
        return;
    name->len = (size_t)(equals - entry.text);
    *url = (struct piece){equals + 1, entry.len - name->len - 1};
}

static bool has_blank(struct piece p)
{
    for (size_t i = 0; i < p.len; i++)
        if ((unsigned char)p.text[i] <= ' ')
            return true;
    return false;
}

static bool parse_port(const char *s, size_t len, unsigned *port)
{
    *port = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9' || *port > 65535)
            return false;
        *port = 10 * *port + (unsigned)(s[i] - '0');
    }
    return len > 0 && *port > 0 && *port <= 65535;
}

/* NULL, or what is wrong with it. */
static const char *parse_url(struct piece text, struct url *out)
{
    static const char *const schemes[] = {"http", "https", "unix", "unixs"};
    const char *host = memmem(text.text, text.len, "://", 3), *colon;
    size_t len;
    bool is_known = false;

    out->scheme = (struct piece){text.text, host ? (size_t)(host - text.text) : 0};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        is_known = is_known || is_word(out->scheme, schemes[i]);
    if (has_blank(text))
        return "there is a blank in it";
    if (!is_known)
        return "it begins with neither http:// nor https://";
    host += 3;
    len = text.len - out->scheme.len - 3;
    for (size_t i = 0; i < len; i++)
        if (strchr("/?#@", host[i]))
            return "nothing may stand behind the port, and no user before the host";
    colon = memrchr(host, ':', len);
    if (!colon || memrchr(host, ']', len) > (const void *)colon)
        return "it has no port (etcd's for members is 2380)";
    out->host = (struct piece){host, (size_t)(colon - host)};
    if (!parse_port(colon + 1, len - out->host.len - 1, &out->port))
        return "its port is no number from 1 to 65535";
    if (out->host.len == 0)
        return "it has no host, by which others could find this member";
    if (host[0] != '[' && memchr(host, ':', out->host.len))
        return "an IPv6 address stands in brackets";
    return NULL;
}

static bool is_address(struct piece host)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;

    if (host.text[0] == '[')
        return true;
    if (host.len >= sizeof(text))
        return false;
    (void)memcpy(text, host.text, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1;
}

/* etcd asks the resolver what names mean, but for localhost: that cannot be known here. */
static bool may_be_one_host(struct piece a, struct piece b)
{
    if (is_same(a, b))
        return true;
    return !is_word(a, "localhost") && !is_word(b, "localhost") && !(is_address(a) && is_address(b));
}

static bool may_be_one(const struct url *a, const struct url *b)
{
    return is_same(a->scheme, b->scheme) && a->port == b->port && may_be_one_host(a->host, b->host);
}

/* ---- the list of the cluster ---- */

static bool stands_before(const char *cluster, struct piece entry)
{
    struct piece other, name, url, wanted_name, wanted;

    split(entry, &wanted_name, &wanted);
    for (const char *at = cluster; next(&at, &other) && other.text < entry.text;) {
        split(other, &name, &url);
        if (is_same(url, wanted))
            return true;
    }
    return false;
}

static void check_entry(const struct look *l, struct piece entry)
{
    struct piece name, text;
    struct url url;
    const char *wrong;

    split(entry, &name, &text);
    if (name.len == entry.len || name.len == 0) {
        object(l, "--initial-cluster: '%.*s' is not NAME=URL", (int)entry.len, entry.text);
    } else if (has_blank(name)) {
        object(l, "--initial-cluster: '%.*s': the blank would be a part of the member's name: leave it out",
                (int)entry.len, entry.text);
    } else if ((wrong = parse_url(text, &url))) {
        object(l, "--initial-cluster: %.*s: %s", (int)entry.len, entry.text, wrong);
    } else if (stands_before(l->given->cluster, entry)) {
        object(l, "--initial-cluster: %.*s stands there twice: each member has URLs of its own", (int)text.len,
                text.text);
    }
}

static bool has_member(const char *cluster, const char *wanted)
{
    struct piece entry, name, url;

    for (const char *at = cluster; next(&at, &entry);) {
        split(entry, &name, &url);
        if (is_word(name, wanted))
            return true;
    }
    return false;
}

/* ---- this member's URLs stand in both lists ---- */

/* Whether one of the URLs in a list, there of the member `name`, may be this one. */
static bool stands_in(const char *list, const char *name, const struct url *wanted)
{
    struct piece entry, entry_name, text;
    struct url url;

    for (const char *at = list; next(&at, &entry);) {
        text = entry;
        if (name) {
            split(entry, &entry_name, &text);
            if (!is_word(entry_name, name))
                continue;
        }
        if (!parse_url(text, &url) && may_be_one(&url, wanted))
            return true;
    }
    return false;
}

static void check_advertised(const struct look *l)
{
    const struct peer_urls *g = l->given;
    struct piece text;
    const char *wrong;
    struct url url;

    for (const char *at = g->advertised; next(&at, &text);) {
        wrong = parse_url(text, &url);
        if (wrong)
            object(l, "--initial-advertise-peer-urls: '%.*s': %s", (int)text.len, text.text, wrong);
        else if (g->name && g->cluster && has_member(g->cluster, g->name) && !stands_in(g->cluster, g->name, &url))
            object(l, "--initial-advertise-peer-urls: %.*s is no URL of %s in --initial-cluster %s", (int)text.len,
                    text.text, g->name, g->cluster);
    }
}

static void check_member(const struct look *l)
{
    const struct peer_urls *g = l->given;
    struct piece entry, name, text;
    struct url url;

    for (const char *at = g->cluster; next(&at, &entry);) {
        split(entry, &name, &text);
        if (is_word(name, g->name) && !parse_url(text, &url) && !stands_in(g->advertised, NULL, &url))
            object(l, "--initial-cluster: %.*s of %s is missing from --initial-advertise-peer-urls %s", (int)text.len,
                    text.text, g->name, g->advertised);
    }
}

static const char *given_or_null(const char *s)
{
    return s && *s ? s : NULL;
}

void peer_urls_check(const struct peer_urls *given, void (*found)(void *ctx, const struct err *e), void *ctx)
{
    const struct peer_urls g = {.name = given_or_null(given->name),
            .cluster = given_or_null(given->cluster),
            .advertised = given_or_null(given->advertised)};
    const struct look l = {.given = &g, .found = found, .ctx = ctx};
    struct piece entry;

    for (const char *at = g.cluster; at && next(&at, &entry);)
        check_entry(&l, entry);
    if (g.name && g.cluster && !has_member(g.cluster, g.name))
        object(&l, "--initial-cluster %s has no member of the --name %s", g.cluster, g.name);
    if (g.advertised)
        check_advertised(&l);
    if (g.name && g.cluster && g.advertised)
        check_member(&l);
}

bool peer_urls_are_mixed(const char *cluster)
{
    struct piece entry, name, text;
    bool has_http = false, has_https = false;
    struct url url;

    for (const char *at = cluster; next(&at, &entry);) {
        split(entry, &name, &text);
        if (parse_url(text, &url))
            continue;
        has_http = has_http || is_word(url.scheme, "http");
        has_https = has_https || is_word(url.scheme, "https");
    }
    return has_http && has_https;
}
