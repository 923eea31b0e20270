/*
 * issue.h: certificates and keys for tests, made on the spot by libcrypto. What cannot be made fails the test.
 */
#pragma once

#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

struct issued {
    X509 *certificate;
    EVP_PKEY *key;
};

struct issue_extension {
    const char *name, *value; /* as in openssl.cnf; a name of digits is an OID */
};

enum { ISSUE_EXTENSIONS_MAX = 6 };

struct issue_spec {
    const char *name; /* common name */
    const char *key;  /* NULL: EC on P-256; "explicit": the same curve spelled out; "RSA", "RSA-1024", "ED25519" */
    const struct issued *by;                                 /* NULL: by itself */
    const char *digest;                                      /* NULL: SHA256, where the signer's key wants one */
    long from, to;                                           /* seconds from now; both 0: an hour ago to tomorrow */
    struct issue_extension extensions[ISSUE_EXTENSIONS_MAX]; /* up to the first without a name */
};

/* The caller clears. */
struct issued issue(const struct issue_spec *spec);
void issue_clear(struct issued *i);

/* An authority of this name, by itself. */
struct issued issue_authority(const char *name);

/* A server's certificate for localhost and 127.0.0.1 by `by`. */
struct issued issue_server(const struct issued *by);

/* Writes PEM into a file: certificates or keys, one behind the other. */
void issue_write_certificates(const char *file, const struct issued *const *all, size_t n);
void issue_write_key(const char *file, const struct issued *i);

/* For cmocka: makes a folder and makes it the working directory; removes it with its files. */
int issue_enter_folder(void **state);
int issue_leave_folder(void **state);
