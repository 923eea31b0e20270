/*
 * exchange.h: one small HTTP request and its answer, of services that are no bucket: credentials, heartbeats.
 *
 * One attempt on a connection of its own, which is closed after it. Answers may hold secrets: they lie in locked
 * memory, and no error quotes anything of them, nor of the URL, which may be a secret itself. Redirects are not
 * followed: what is sent is meant for who was asked. HTTP/1.1; TLS 1.2 and above, certificates are checked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"

struct http_exchange_answer;
struct http_proxy;

enum { HTTP_EXCHANGE_ANSWER_MAX = 64 << 10 };

struct http_header {
    const char *name, *value;
};

struct http_exchange_spec {
    const char *method; /* "GET", "PUT", "POST" */
    const char *url;
    const char *name; /* of who is asked, for people: "the metadata service at 169.254.169.254" */
    const struct http_header *headers;
    size_t n_headers;
    struct bytes body;              /* of PUT and POST, may be empty */
    const struct http_proxy *proxy; /* or NULL: none; borrowed until the end */
    const char *ca_cert;            /* path of a PEM file; NULL: the system's CAs */
    uint64_t connect_ms;            /* for the connection with its TLS */
    uint64_t total_ms;              /* for everything */
    const char *hint;               /* static; what no answer in time may mean; or NULL */
    void *ctx;
    /* Once, unless cancelled; never inside http_exchange_start. Exactly one is not NULL; both end with the call, and
     * the exchange is gone when this returns. Any status is an answer. */
    void (*on_done)(void *ctx, const struct http_exchange_answer *answer, const struct err *err);
};

struct http_exchange_answer {
    int status;
    struct bytes body; /* at most HTTP_EXCHANGE_ANSWER_MAX */
    int64_t date;      /* of the answer, by the server's clock, seconds since the epoch; 0: it had none */
};

struct http_exchange;

/*
 * Copies all of the spec and starts. Errors: ERR_RESOURCE, ERR_CONFIG (a header with a line break in it, a URL that is
 * none). on_done is told ERR_TRANSIENT (ERR_DOMAIN_CURL: no connection, time-out, a broken one), ERR_AUTH
 * (certificates), ERR_PROTOCOL (no HTTP; an answer that is too long), ERR_RESOURCE, "NAME: what went wrong".
 */
struct http_exchange *http_exchange_start(uv_loop_t *loop, const struct http_exchange_spec *spec, struct err *e);

/* Without a callback. NULL is fine. */
void http_exchange_cancel(struct http_exchange *x);
