/*
 * endpoint.h: where an etcd member listens, from its text. Pure.
 *
 *     host:port    https://host:port    http://host:port    [v6]:port    unix://PATH    unixs://PATH (TLS)
 *
 * Without a scheme it is TLS, as in the Go tool; without a port it is 2379.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { H2_HOST_MAX = 256, H2_UNIX_PATH_MAX = 108 };

struct h2_endpoint {
    bool tls;
    char host[H2_HOST_MAX]; /* without brackets; "" for a Unix socket */
    uint16_t port;
    char unix_path[H2_UNIX_PATH_MAX]; /* "" for TCP */
    char authority[H2_HOST_MAX + 10]; /* for :authority: host:port, IPv6 in brackets; "localhost" for a Unix socket */
};

/* Errors: ERR_CONFIG, quoting the text. */
int h2_endpoint_parse(const char *text, struct h2_endpoint *out, struct err *e);

/* Whether the bytes never leave the machine: 127.0.0.0/8, ::1, "localhost", a Unix socket. */
bool h2_endpoint_is_loopback(const struct h2_endpoint *ep);
