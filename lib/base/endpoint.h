/*
 * endpoint.h: where a server is, from what people write. Pure. Who checks a configuration and who connects read the
 * same text by this one parser.
 *
 *     host    host:port    [v6]:port    https://...    http://...
 *
 * Without a scheme it is TLS, as in the Go tool. Strict: a scheme, a host, a port and nothing else, so that a password
 * or a path in there is noticed and not sent somewhere. For etcd also unix://PATH, unixs://PATH (TLS), the interface of
 * an address (fe80::1%eth0), schemes in capitals, and a final `/` that is passed over: what people copy from etcd's own
 * settings.
 *
 * A name may end in a dot, as Kubernetes' do: it is looked up as it stands, without the resolver's search list. The dot
 * is not part of the name that a certificate has or that a request carries (RFC 6066, section 3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { ENDPOINT_HOST_MAX = 256, ENDPOINT_PATH_MAX = 108, ENDPOINT_AUTHORITY_MAX = ENDPOINT_HOST_MAX + 10 };

enum endpoint_kind { ENDPOINT_ETCD, ENDPOINT_S3 };

struct endpoint {
    bool tls;
    bool is_unix;                           /* then there is a path, and neither host nor port */
    bool is_address;                        /* the host is an IP address, not a name */
    bool is_rooted;                         /* the name was written with a final dot */
    char host[ENDPOINT_HOST_MAX];           /* without brackets and final dot */
    uint16_t port;                          /* if none is given: 2379 of etcd; 443 or 80 of S3 */
    char path[ENDPOINT_PATH_MAX];           /* of a Unix socket */
    char authority[ENDPOINT_AUTHORITY_MAX]; /* for :authority and Host: host:port, IPv6 in brackets and without its
                                               interface; S3's own port is left out; "localhost" of a Unix socket */
};

/* Errors: ERR_CONFIG, quoting the text unless it has a password in it; then *out stays as it was. */
int endpoint_parse(const char *text, enum endpoint_kind kind, struct endpoint *out, struct err *e);

/* The host as the resolver wants it: with its final dot. Returns out. */
char *endpoint_to_resolve(const struct endpoint *ep, char out[ENDPOINT_HOST_MAX + 1]);

/* Whether the bytes never leave the machine: 127.0.0.0/8, ::1, "localhost", a Unix socket. */
bool endpoint_is_loopback(const struct endpoint *ep);
