/*
 * sign.h: AWS Signature Version 4 (S3 API, "Authenticating Requests"). Pure.
 *
 * The path and the query are encoded once, and the same strings make the URL and the canonical request: the two can not
 * disagree. HMAC-SHA-256 by libsodium. The signing key of the day is kept, in locked memory, and wiped.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

struct sign_header {
    const char *name; /* lower case */
    const char *value;
};

struct sign_request {
    const char *method;
    const char *path;                  /* encoded, begins with / */
    const char *query;                 /* encoded, sorted, without ?; "" for none */
    const struct sign_header *headers; /* all that are to be signed, host and x-amz-* among them; any order */
    size_t n_headers;
    const char *payload_hash; /* hexadecimal SHA-256, or "UNSIGNED-PAYLOAD" */
    const char *access_key;
    const struct secret *secret_key;
    const char *region;
    const char *service; /* "sts"; NULL: "s3" */
    int64_t instant;     /* seconds since the epoch, by the server's clock */
};

/* The day key's cache. */
struct sign_cache;
struct sign_cache *sign_cache_new(struct err *e);
void sign_cache_free(struct sign_cache *s);

/* Appends the value of the Authorization header to *out. Errors: ERR_RESOURCE. */
int sign_authorization(struct sign_cache *cache, const struct sign_request *r, struct buf *out, struct err *e);

/* Percent-encodes everything but unreserved characters (RFC 3986, 2.3), and `/` as well unless keep_slash, onto *out.
 */
int sign_encode(struct buf *out, const char *text, bool keep_slash, struct err *e);

enum { SIGN_TIME_MAX = 17 };
/* "20130524T000000Z". Returns out. */
char *sign_time(int64_t instant, char out[SIGN_TIME_MAX]);
