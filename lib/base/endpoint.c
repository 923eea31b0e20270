#include "base/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/utf8.h"

/* RFC 1035, section 2.3.4: what a name and its parts may have. */
enum { NAME_LEN_MAX = 253, LABEL_LEN_MAX = 63, PORT_ETCD = 2379, PORT_HTTPS = 443, PORT_HTTP = 80 };

static const char digits[] = "0123456789";

static int bad(const char *text, const char *why, struct err *e)
{
    char shown[UTF8_QUOTE_MAX];

    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s is not an endpoint: %s", utf8_quote(text, shown), why);
}

/* Letters, digits, `-`, and `_`, which names in containers' networks have. */
static bool is_label(const char *s, size_t len)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    return len > 0 && len <= LABEL_LEN_MAX && strspn(s, ok) >= len && s[0] != '-' && s[len - 1] != '-';
}

/* A name; one whose last part is a number is none (RFC 3696, section 2), but a mistyped address. */
static bool is_name(const char *host)
{
    const char *label = host, *dot;

    if (strlen(host) > NAME_LEN_MAX)
        return false;
    for (; (dot = strchr(label, '.')); label = dot + 1)
        if (!is_label(label, (size_t)(dot - label)))
            return false;
    return is_label(label, strlen(label)) && strspn(label, digits) != strlen(label);
}

/* An IPv6 address, perhaps with the interface to use, as in fe80::1%eth0. */
static bool is_ipv6(const char *host)
{
    struct in6_addr v6;
    char bare[INET6_ADDRSTRLEN];
    size_t len = strcspn(host, "%");

    if (len >= sizeof(bare))
        return false;
    memcpy(bare, host, len);
    bare[len] = '\0';
    return inet_pton(AF_INET6, bare, &v6) == 1 &&
           (host[len] == '\0' || is_label(host + len + 1, strlen(host + len + 1)));
}

static int read_port(const char *text, const char *port, struct endpoint *ep, struct err *e)
{
    unsigned long value;
    size_t len = strlen(port);

    if (len == 0 || strspn(port, digits) != len)
        return bad(text, "the port is not a number", e);
    value = len > 5 ? 0 : strtoul(port, NULL, 10);
    if (value == 0 || value > UINT16_MAX)
        return bad(text, "the port is not between 1 and 65535", e);
    ep->port = (uint16_t)value;
    return 0;
}

/* Takes the host at `rest` off, with its brackets or what follows up to the colon. *port becomes NULL without one. */
static int split_host(const char *text, char *rest, char **host, char **port, struct err *e)
{
    bool v6 = rest[0] == '[';
    char *end;

    *host = v6 ? rest + 1 : rest;
    *port = NULL;
    end = strchr(*host, v6 ? ']' : ':');
    if (strpbrk(rest, "/?#"))
        return bad(text, "there is something after host and port; they stand alone", e);
    if (v6 && (!end || (end[1] != '\0' && end[1] != ':')))
        return bad(text, "an IPv6 address is written [address]:port", e);
    if (end) {
        *port = !v6 ? end + 1 : end[1] ? end + 2 : NULL;
        *end = '\0';
    }
    if (!v6 && *port && strchr(*port, ':'))
        return bad(text, "an IPv6 address needs brackets around it", e);
    return **host ? 0 : bad(text, "the host is missing", e);
}

/* `rest` is what follows the scheme, and is taken to pieces. */
static int read_host(const char *text, char *rest, struct endpoint *ep, struct err *e)
{
    bool v6 = rest[0] == '[';
    char *host, *port;
    struct in_addr v4;
    size_t len;

    if (split_host(text, rest, &host, &port, e) < 0)
        return -1;
    ep->is_address = v6 || inet_pton(AF_INET, host, &v4) == 1;
    len = strlen(host);
    if (!ep->is_address && len > 1 && host[len - 1] == '.') {
        ep->is_rooted = true;
        host[--len] = '\0';
    }
    if (len >= sizeof(ep->host) || (v6 ? !is_ipv6(host) : !ep->is_address && !is_name(host)))
        return bad(text, v6 ? "no such IPv6 address" : "no such host name or IP address", e);
    memcpy(ep->host, host, len + 1);
    return port ? read_port(text, port, ep, e) : 0;
}

static int read_unix(const char *text, const char *path, struct endpoint *ep, struct err *e)
{
    if (*path == '\0')
        return bad(text, "the path of the socket is missing", e);
    if (strlen(path) >= sizeof(ep->path))
        return bad(text, "the path of the socket is longer than 107 bytes", e);
    memcpy(ep->path, path, strlen(path) + 1);
    return 0;
}

/* Reads the scheme into *ep. Returns what follows it, or all of the text if it has none that is known. */
static const char *read_scheme(const char *text, enum endpoint_kind kind, struct endpoint *ep)
{
    static const struct {
        const char *prefix;
        bool tls, is_unix;
    } schemes[] = {
            {"https://", true, false}, {"http://", false, false}, {"unix://", false, true}, {"unixs://", true, true}};
    bool etcd = kind == ENDPOINT_ETCD;

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t len = strlen(schemes[i].prefix);

        if (etcd ? strncasecmp(text, schemes[i].prefix, len) : strncmp(text, schemes[i].prefix, len))
            continue;
        if (schemes[i].is_unix && !etcd)
            continue;
        ep->tls = schemes[i].tls;
        ep->is_unix = schemes[i].is_unix;
        return text + len;
    }
    return text;
}

/* The port that nobody gave, and host and port as a request names them. */
static void complete(struct endpoint *ep, enum endpoint_kind kind)
{
    uint16_t own = kind == ENDPOINT_ETCD ? PORT_ETCD : ep->tls ? PORT_HTTPS : PORT_HTTP;
    bool v6 = strchr(ep->host, ':') != NULL;
    char port[8] = "";

    if (ep->is_unix) {
        (void)snprintf(ep->authority, sizeof(ep->authority), "localhost");
        return;
    }
    if (!ep->port)
        ep->port = own;
    if (kind == ENDPOINT_ETCD || ep->port != own)
        (void)snprintf(port, sizeof(port), ":%u", ep->port);
    (void)snprintf(ep->authority, sizeof(ep->authority), v6 ? "[%.*s]%s" : "%.*s%s", (int)strcspn(ep->host, "%"),
            ep->host, port);
}

int endpoint_parse(const char *text, enum endpoint_kind kind, struct endpoint *out, struct err *e)
{
    struct endpoint ep = {.tls = true};
    char rest[ENDPOINT_HOST_MAX + 16];
    const char *p = read_scheme(text, kind, &ep);
    bool etcd = kind == ENDPOINT_ETCD;

    if (!ep.is_unix && strchr(p, '@')) /* may be a password, so it is not quoted */
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "is not an endpoint: a user name does not belong here");
    if (p == text && strstr(text, "://"))
        return bad(text,
                etcd ? "the scheme is none of https, http and unix"
                     : "the scheme is neither https nor http, in small letters",
                e);
    if (strlen(p) >= sizeof(rest))
        return bad(text, "too long", e);
    memcpy(rest, p, strlen(p) + 1);
    if (etcd && !ep.is_unix && *rest && rest[strlen(rest) - 1] == '/')
        rest[strlen(rest) - 1] = '\0';
    if ((ep.is_unix ? read_unix(text, rest, &ep, e) : read_host(text, rest, &ep, e)) < 0)
        return -1;
    if (!etcd && strchr(ep.host, '%'))
        return bad(text, "an address of S3 cannot name an interface", e);
    complete(&ep, kind);
    *out = ep;
    return 0;
}

char *endpoint_to_resolve(const struct endpoint *ep, char out[ENDPOINT_HOST_MAX + 1])
{
    (void)snprintf(out, ENDPOINT_HOST_MAX + 1, "%s%s", ep->host, ep->is_rooted ? "." : "");
    return out;
}

bool endpoint_is_loopback(const struct endpoint *ep)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (ep->is_unix)
        return true;
    if (inet_pton(AF_INET, ep->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, ep->host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(ep->host, "localhost") == 0;
}
