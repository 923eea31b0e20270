#include "h2/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

enum { DEFAULT_PORT = 2379 };

static const struct scheme {
    const char *prefix;
    bool tls;
    bool unix_socket;
} schemes[] = {
        {"https://", true, false},
        {"http://", false, false},
        {"unixs://", true, true},
        {"unix://", false, true},
};

static int bad(const char *text, const char *why, struct err *e)
{
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "endpoint '%s': %s", text, why);
}

/* What a name may contain. Anything else would have to be escaped somewhere further on, or is a typing error. */
static bool is_host_name(const char *s, size_t len)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

    return len > 0 && strspn(s, ok) >= len;
}

/* An IPv6 address, perhaps with a zone ("fe80::1%eth0"), which is the interface to use and means nothing elsewhere. */
static bool is_ipv6(const char *host)
{
    struct in6_addr addr;
    char bare[H2_HOST_MAX];
    const char *zone = strchr(host, '%');
    size_t len = zone ? (size_t)(zone - host) : strlen(host);

    memcpy(bare, host, len);
    bare[len] = '\0';
    return inet_pton(AF_INET6, bare, &addr) == 1 && (!zone || is_host_name(zone + 1, strlen(zone + 1)));
}

static int read_port(const char *text, const char *p, uint16_t *port, struct err *e)
{
    unsigned value = 0;
    size_t len = strlen(p);

    if (len == 0 || len > 5 || strspn(p, "0123456789") != len)
        return bad(text, "the port is not a number", e);
    for (; *p; p++)
        value = value * 10 + (unsigned)(*p - '0');
    if (value == 0 || value > 65535)
        return bad(text, "the port is not in 1 to 65535", e);
    *port = (uint16_t)value;
    return 0;
}

/* `rest` is what follows the scheme: host, [host], host:port or [host]:port. */
static int read_host(const char *text, char *rest, struct h2_endpoint *out, struct err *e)
{
    bool v6 = rest[0] == '[';
    char *host = v6 ? rest + 1 : rest;
    char *end = v6 ? strchr(host, ']') : strchr(host, ':');
    const char *port = NULL;

    if (v6 && !end)
        return bad(text, "']' is missing", e);
    if (v6 && end[1] != '\0' && end[1] != ':')
        return bad(text, "after ']' a ':' and the port are expected", e);
    if (end) {
        port = v6 ? (end[1] ? end + 2 : NULL) : end + 1;
        *end = '\0';
    }
    if (!v6 && port && strchr(port, ':'))
        return bad(text, "an IPv6 address needs brackets around it", e);
    if (strlen(host) >= sizeof(out->host))
        return bad(text, "the host is too long", e);
    if (v6 ? !is_ipv6(host) : !is_host_name(host, strlen(host)))
        return bad(text, v6 ? "not an IPv6 address" : "not a host name or an IP address", e);
    out->port = DEFAULT_PORT;
    if (port && read_port(text, port, &out->port, e) < 0)
        return -1;
    memcpy(out->host, host, strlen(host) + 1);
    if (v6)
        (void)snprintf(out->authority, sizeof(out->authority), "[%.*s]:%u", (int)strcspn(out->host, "%"), out->host,
                out->port);
    else
        (void)snprintf(out->authority, sizeof(out->authority), "%s:%u", out->host, out->port);
    return 0;
}

static int read_unix(const char *text, const char *path, struct h2_endpoint *out, struct err *e)
{
    if (path[0] == '\0')
        return bad(text, "the path of the socket is missing", e);
    if (strlen(path) >= sizeof(out->unix_path))
        return bad(text, "the path of the socket is too long for the system", e);
    memcpy(out->unix_path, path, strlen(path) + 1);
    memcpy(out->authority, "localhost", sizeof("localhost"));
    return 0;
}

int h2_endpoint_parse(const char *text, struct h2_endpoint *out, struct err *e)
{
    struct h2_endpoint ep = {.tls = true};
    char rest[H2_HOST_MAX + 32];
    const char *p = text;
    bool unix_socket = false;
    size_t len;

    for (size_t i = 0; i < ARRAY_LEN(schemes) && p == text; i++)
        if (strncasecmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
            p += strlen(schemes[i].prefix);
            ep.tls = schemes[i].tls;
            unix_socket = schemes[i].unix_socket;
        }
    if (p == text && strstr(text, "://"))
        return bad(text, "the scheme is not one of http, https, unix, unixs", e);
    len = strlen(p);
    if (len >= sizeof(rest))
        return bad(text, "too long", e);
    memcpy(rest, p, len + 1);
    if (!unix_socket && len > 0 && rest[len - 1] == '/') /* https://host:2379/ is what people copy from elsewhere */
        rest[len - 1] = '\0';
    if ((unix_socket ? read_unix(text, rest, &ep, e) : read_host(text, rest, &ep, e)) < 0)
        return -1;
    *out = ep;
    return 0;
}

bool h2_endpoint_is_loopback(const struct h2_endpoint *ep)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (ep->unix_path[0])
        return true;
    if (inet_pton(AF_INET, ep->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, ep->host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(ep->host, "localhost") == 0;
}
