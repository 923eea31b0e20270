/*
 * pem.h: whether a text is what it should be of the things that PEM (RFC 7468) can hold. Pure.
 *
 * Looks at the armour and the base64 in it and leaves the ASN.1 to the TLS library: enough to find the usual mistakes
 * (key and certificate mixed up, DER, half a file, an encrypted key) when the configuration is checked and not at
 * night.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* At least one CERTIFICATE, and no block that is broken. Errors: ERR_CONFIG with `path`, never the content. */
int conf_pem_check_certificates(const char *path, struct bytes text, struct err *e);

/* Exactly one private key, in the clear. Errors as above. */
int conf_pem_check_private_key(const char *path, struct bytes text, struct err *e);
