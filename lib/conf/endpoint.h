/*
 * endpoint.h: the syntax of an endpoint, so that a typing error is found at load and not at the first backup. Pure.
 * Those who connect read the text on their own (h2/endpoint.h, s3/url.h); what passes here passes there.
 *
 *     host    host:port    [v6]:port    https://...    http://...
 *
 * and for etcd also unix://PATH, unixs://PATH (TLS), the interface of an address (fe80::1%eth0), schemes in capitals,
 * and a final `/` that is passed over: what people copy from etcd's own settings.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { CONF_HOST_MAX = 256 };

struct conf_endpoint {
    bool tls;                 /* without a scheme: true */
    bool is_unix;             /* then there is neither host nor port */
    bool is_address;          /* the host is an IP address, not a name */
    char host[CONF_HOST_MAX]; /* without brackets */
    uint16_t port;            /* 0: not given */
};

/* `etcd`: whether it is one of etcd, or of S3. Errors: ERR_CONFIG, quoting the text unless it has a password in it. */
int conf_endpoint_parse(const char *text, bool etcd, struct conf_endpoint *out, struct err *e);

/* Whether the bytes never leave the machine: 127.0.0.0/8, ::1, "localhost", a Unix socket. */
bool conf_endpoint_is_loopback(const struct conf_endpoint *ep);
