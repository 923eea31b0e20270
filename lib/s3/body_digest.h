/*
 * body_digest.h: the digest of a whole body, as S3's headers carry it: in base64. Pure.
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>

#include "base/bytes.h"

enum { BODY_DIGEST_MAX = 64 };

/* Makes that of `body` by EVP_md5() (Content-MD5, RFC 1864) or EVP_sha256(). False where libcrypto has not that one, as
 * MD5 under FIPS 140; OpenSSL's queue of errors is left as it was. */
bool body_digest(struct bytes body, const EVP_MD *md, char out[BODY_DIGEST_MAX]);
