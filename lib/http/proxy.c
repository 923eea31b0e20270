#include "http/proxy.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

enum { NAME_MAX_LEN = 256 };

/* A name or an address, without brackets and final dot. */
static bool bare(char out[NAME_MAX_LEN], const char *s, size_t len)
{
    if (len > 0 && s[0] == '[') {
        const char *end = memchr(s, ']', len);

        s++;
        len = end ? (size_t)(end - s) : 0;
    }
    while (len > 0 && s[len - 1] == '.')
        len--;
    if (len == 0 || len >= NAME_MAX_LEN)
        return false;
    memcpy(out, s, len);
    out[len] = '\0';
    return true;
}

/* The bits of both that count. */
static bool is_same_net(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    const unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* `pattern` is "10.0.0.0/8", "fd00::/8", or an address alone. */
static bool is_in_net(char *pattern, const char *host)
{
    static const struct {
        int family;
        unsigned bits;
    } kinds[] = {{AF_INET, 32}, {AF_INET6, 128}};
    char *slash = strchr(pattern, '/'), *end = NULL;
    unsigned long bits = ULONG_MAX;
    uint8_t net[16], address[16];

    if (slash) {
        *slash = '\0';
        bits = strtoul(slash + 1, &end, 10);
        if (end == slash + 1 || *end)
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (inet_pton(kinds[i].family, host, address) == 1)
            return inet_pton(kinds[i].family, pattern, net) == 1 && (!slash || bits <= kinds[i].bits) &&
                   is_same_net(address, net, slash ? (unsigned)bits : kinds[i].bits);
    return false;
}

static bool is_address(const char *host)
{
    uint8_t address[16];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool is_at_or_below(const char *host, const char *name)
{
    const size_t host_len = strlen(host), len = strlen(name);

    if (host_len < len || (host_len > len && is_address(host)) || strcasecmp(host + host_len - len, name) != 0)
        return false;
    return host_len == len || host[host_len - len - 1] == '.';
}

static bool matches(const char *s, size_t len, const char *host)
{
    char pattern[NAME_MAX_LEN];

    if (len == 1 && *s == '*')
        return true;
    while (len > 0 && *s == '.') {
        s++;
        len--;
    }
    return bare(pattern, s, len) && (is_at_or_below(host, pattern) || is_in_net(pattern, host));
}

bool http_proxy_is_excepted(const char *list, const char *host)
{
    static const char between[] = ", \t";
    char name[NAME_MAX_LEN];

    if (!list || !bare(name, host, host[0] == '[' ? strlen(host) : strcspn(host, ":")))
        return false;
    for (list += strspn(list, between); *list; list += strspn(list, between)) {
        const size_t len = strcspn(list, between);

        if (matches(list, len, name))
            return true;
        list += len;
    }
    return false;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

static const char *no_proxy(void)
{
    const char *list = variable("no_proxy");

    return list ? list : variable("NO_PROXY");
}

/* "scheme://user:password@host:port/" as "scheme://host:port"; the scheme is http where none stands (CURLOPT_PROXY). */
static char *name_of(const char *url)
{
    const char *scheme_end = strstr(url, "://"), *host = scheme_end ? scheme_end + 3 : url, *at;
    size_t len = strcspn(host, "/?#");
    char *name;

    at = memrchr(host, '@', len);
    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (asprintf(&name, "%.*s://%.*s", scheme_end ? (int)(scheme_end - url) : 4, scheme_end ? url : "http", (int)len,
                host) < 0)
        return NULL;
    return name;
}

int http_proxy_find(struct http_proxy *out, bool tls, const char *host, struct err *e)
{
    static const char *const names[][5] = {
            {"http_proxy", "all_proxy", "ALL_PROXY"}, {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}};
    const char *url = NULL;

    *out = (struct http_proxy){0};
    for (const char *const *name = names[tls]; *name && !url; name++) {
        url = variable(*name);
        out->variable = *name;
    }
    if (!url || http_proxy_is_excepted(no_proxy(), host)) {
        out->variable = NULL;
        return 0;
    }
    out->url = strdup(url);
    out->name = name_of(url);
    if (out->url && out->name)
        return 0;
    http_proxy_reset(out);
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

void http_proxy_reset(struct http_proxy *p)
{
    free(p->url);
    free(p->name);
    *p = (struct http_proxy){0};
}
