/*
 * digest.h: watches a snapshot go by and says at the end whether it is whole.
 *
 * etcd appends to its snapshot the SHA-256 of everything before it (etcd, server/etcdserver/api/v3rpc/maintenance.go).
 * The digest sees all bytes in order, the last 32 included, in pieces of any size, and compares at the end. It observes
 * and changes nothing. SHA-256 by libcrypto's EVP, which uses the processor's own instructions: five times the speed of
 * the others here.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

enum { DIGEST_LEN = 32 };

struct digest;

/* The caller frees. Errors: ERR_RESOURCE. */
struct digest *digest_new(struct err *e);

/* The next bytes. Errors: ERR_RESOURCE (libcrypto failed). */
int digest_update(struct digest *d, struct bytes bytes, struct err *e);

/*
 * After the last byte, once. 0 when the last 32 bytes are the SHA-256 of the others. ERR_INTEGRITY otherwise: "too
 * short for a snapshot" below 33 bytes, "ends without etcd's SHA-256" when the total length is not 32 more than a
 * multiple of 512 (bbolt pages), else "SHA-256 does not match".
 */
int digest_verdict(struct digest *d, struct err *e);

/* NULL is fine. */
void digest_free(struct digest *d);
CLEANUP_FUNC(struct digest *, digest_free)
