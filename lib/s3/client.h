/*
 * client.h: one bucket on one S3 store, over libcurl's multi interface driven by a libuv loop.
 *
 * A client holds what requests share: where the bucket is and how it is addressed, the connections kept for reuse, the
 * signing key of the day, and how far the server's clock is from ours. request.h runs one request on it; object.h and
 * upload.h are built from requests. HTTP/1.1 alone: parts in flight want a connection each.
 *
 * Addressing: "path" is https://host/bucket/key, "virtual" is https://bucket.host/key. AUTO is virtual for hosts of
 * amazonaws.com when the bucket's name is a DNS label without dots, path for every other host.
 *
 * Payloads are unsigned over TLS (UNSIGNED-PAYLOAD), unless the store refuses that, and signed over plain HTTP (SigV4,
 * "Signature Calculations for the Authorization Header" in the S3 API).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/wait_link.h"

enum s3_addressing { S3_ADDRESSING_AUTO, S3_ADDRESSING_PATH, S3_ADDRESSING_VIRTUAL };

/* What a request is signed with. Borrowed: valid until the next call of the callback that returned it. */
struct s3_credentials {
    const char *access_key;
    const struct secret *secret_key;
    const struct secret *session_token; /* or NULL */
};

struct s3_dialect;
struct http_proxy;

struct s3_conf {
    const char *endpoint; /* "host[:port]" (TLS), "https://host[:port]" or "http://host[:port]"; IPv6 in brackets */
    const char *bucket;
    const char *region;
    const char *ca_cert;            /* path of a PEM file; NULL: the system's CAs; read anew for each connection */
    const struct http_proxy *proxy; /* or NULL: none; borrowed */
    enum s3_addressing addressing;
    uint64_t connect_timeout_ms;
    uint64_t stall_timeout_ms;  /* without a byte in either direction */
    unsigned max_attempts;      /* for each request, >= 1 */
    unsigned max_connections;   /* at once; further requests wait for their turn */
    uint64_t retry_min_ms;      /* the wait after the first failure, doubled with each; 0: 500 ms */
    uint64_t retry_max_ms;      /* 0: 20 s */
    struct s3_dialect *dialect; /* what is known of this bucket's store (dialect.h), and what is learnt; borrowed. NULL:
                                   a client's own */

    /* Of all objects that are put; copied. What is left out is NULL: the bucket's own. */
    const char *encryption;    /* "AES256", "aws:kms" */
    const char *kms_key_id;    /* with the latter, or NULL */
    const char *storage_class; /* of uploads alone: small objects are read, and replaced */
    const char *const *tags;   /* "KEY=VALUE" */
    size_t n_tags;

    /* Asked before each signature, so that credentials that changed on disk are used at once. Errors: passed on. */
    void *credentials_ctx;
    int (*credentials)(void *ctx, struct s3_credentials *out, struct err *e);
    /* For credentials that have to be fetched; NULL otherwise. Asked before each attempt: true where they are not there
     * yet and w->on_ready comes, never inside of this call. The second: no longer wanted, fine if it does not wait. */
    bool (*credentials_wait)(void *ctx, struct wait_link *w);
    void (*credentials_leave)(void *ctx, struct wait_link *w);
    /* The store says that those of this access key are not valid any more, or not yet: whether others are there or on
     * their way, so that one more attempt is worth it. */
    bool (*credentials_refused)(void *ctx, const char *access_key);
};

struct s3_client;

/* Copies the configuration. The caller frees after all requests are done or cancelled. Errors: ERR_CONFIG (endpoint,
 * CA file), ERR_RESOURCE. */
struct s3_client *s3_client_new(uv_loop_t *loop, const struct s3_conf *conf, struct err *e);

/* The loop it was made for: what is built on requests keeps its timers there. */
uv_loop_t *s3_client_loop(struct s3_client *c);

/* Whether bytes travel encrypted; if not, the daemon warns. */
bool s3_client_is_tls(const struct s3_client *c);

/* What is known of its store; for who asks for what not every store has. */
struct s3_dialect *s3_client_dialect(struct s3_client *c);

/* Seconds that the server's clock is ahead of ours, by the last `Date` header seen; 0 before the first. */
int64_t s3_client_clock_skew(const struct s3_client *c);

/*
 * Closes the connections. libuv's handles close in the next turns of the loop, and the memory goes with the last of
 * them, so the loop must run until uv_run(loop, UV_RUN_DEFAULT) returns. Idle connections are closed by themselves
 * after a while without a timer of ours (libcurl's CURLOPT_MAXAGE_CONN at the next use): an idle client wakes up for
 * nothing. NULL is fine.
 */
void s3_client_free(struct s3_client *c);

/* Closes idle connections now: called by the daemon when a job ends, so that an idle daemon holds none. */
void s3_client_close_idle(struct s3_client *c);
