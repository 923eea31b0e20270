/*
 * san.h: the names that a certificate stands for (subjectAltName, RFC 5280, section 4.2.1.6), from its extensions.
 * Pure.
 *
 * mbedTLS matches DNS names, wildcards included. IP addresses it does not match in 2.28, and certificates for etcd
 * mostly name addresses: kubeadm's endpoint is https://127.0.0.1:2379. So addresses are looked up here, from the raw
 * DER of the extensions, which a hostile server has written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { H2_SAN_TEXT_MAX = 200 };

/*
 * Whether the extensions have an iPAddress of exactly these bytes (4 or 16, network order). `extensions` is the DER of
 * `Extensions ::= SEQUENCE OF Extension`, the v3_ext of mbedTLS. What is not well-formed has no names.
 */
bool h2_san_has_ip(struct bytes extensions, const uint8_t *ip, size_t ip_len);

/* For a person: "localhost, 127.0.0.1, ::1", cut at the length of `out`; "no name" if there is none. Returns out. */
char *h2_san_describe(struct bytes extensions, char out[H2_SAN_TEXT_MAX]);
