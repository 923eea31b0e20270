/*
 * proxy.h: the HTTP or SOCKS proxy that the environment names. Pure but for getenv.
 *
 * The variables and their rules are curl's (curl(1), "ENVIRONMENT"; CURLOPT_PROXY, CURLOPT_NOPROXY): https_proxy or
 * HTTPS_PROXY for TLS, http_proxy (in lower case alone) for plain HTTP, all_proxy or ALL_PROXY for both; no_proxy or
 * NO_PROXY lists the hosts that are reached without: names, that stand for all below them, too, addresses, networks
 * (10.0.0.0/8), or "*". They are read here and not by libcurl so that an error can say what stands between.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct http_proxy {
    char *url;            /* as the variable has it, may hold a password; NULL: no proxy */
    char *name;           /* for people: scheme, host and port without user and password; NULL without a url */
    const char *variable; /* that it came from */
};

/* Whether `host` (with a port or without; an IPv6 address in brackets) is one of those that `list`, as no_proxy's,
 * names.
 */
bool http_proxy_is_excepted(const char *list, const char *host);

/* Fills *out, which http_proxy_reset releases. Errors: ERR_RESOURCE. */
int http_proxy_find(struct http_proxy *out, bool tls, const char *host, struct err *e);
void http_proxy_reset(struct http_proxy *p);
