/*
 * proxy.h: the HTTP or SOCKS proxy that requests go through. No variable of the environment counts, since what stands
 * there is seldom meant for a service, and who wonders where bytes go looks into its configuration.
 */
#pragma once

#include <curl/curl.h>

#include "base/err.h"
#include "base/secret.h"

/* Zeroed: none. */
struct http_proxy {
    char *url;                /* or NULL */
    char *name;               /* for people: scheme, host and port; NULL without a url */
    struct secret *line;      /* Proxy-Authorization, or NULL: none */
    struct curl_slist header; /* the same as libcurl wants it; it points into `line` */
};

/* Fills *out, which is zeroed. `url`: "http://proxy.example.com:3128", without user and password, or NULL: none. `user`
 * and `password` (Basic, of an HTTP proxy alone) may be NULL. Errors: ERR_RESOURCE, ERR_CONFIG (a user with a colon in
 * it). */
int http_proxy_set(
        struct http_proxy *out, const char *url, const char *user, const struct secret *password, struct err *e);

/* Whatever `easy` did before. `proxy` is borrowed as long as that is used, and stays where it is; NULL: none. While a
 * request is made libcurl has a copy of the line in its heap, which is wiped (base/wiped_heap.h). */
CURLcode http_proxy_use(const struct http_proxy *proxy, CURL *easy);

void http_proxy_reset(struct http_proxy *p);
