/*
 * url.h: where a bucket is, and the paths and queries of requests to it. Pure.
 *
 * What comes out of here is encoded once and goes both into the URL and into the signature.
 */
#pragma once

#include "base/bytes.h"
#include "s3/client.h"
#include "s3/request.h"

/* A bucket's place. Owns its strings. */
struct s3_url_target {
    bool tls;
    char *host; /* as in the Host header: with the port unless it is the scheme's own */
    char *base; /* "https://host:port", the host with its final dot, if it was written with one */
    char *root; /* path of the bucket, encoded: "/bucket", or "" when the host names it */
};

/*
 * Reads endpoint, bucket and addressing of `conf` into *out, which s3_url_target_reset releases. Errors:
 * ERR_CONFIG (endpoint.h), ERR_RESOURCE.
 */
int s3_url_target(struct s3_url_target *out, const struct s3_conf *conf, struct err *e);
void s3_url_target_reset(struct s3_url_target *t);

enum { S3_URL_KEY_MAX = 1024 };
/* Appends the encoded path of an object, or with NULL of the bucket itself, and a 0. Errors: ERR_CONFIG (key empty or
 * longer than S3_URL_KEY_MAX bytes), ERR_RESOURCE. */
int s3_url_path(struct buf *out, const struct s3_url_target *t, const char *key, struct err *e);

/* Appends the encoded query, sorted as SigV4 wants it, without "?", and a 0. Errors: ERR_RESOURCE. */
int s3_url_query(struct buf *out, const struct s3_param *params, size_t n, struct err *e);
