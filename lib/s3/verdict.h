/*
 * verdict.h: what a failed attempt means: a kind, one line for a person, and whether to try again. Pure.
 *
 * All knowledge about S3's codes and libcurl's is in the tables of verdict.c.
 */
#pragma once

#include <curl/curl.h>

#include "base/err.h"
#include "s3/xml.h"

/* Where the attempt went, for the text. */
struct s3_verdict_place {
    const char *host; /* with the proxy before it, if there is one */
    const char *bucket;
    bool tls;
    const char *ca_cert; /* or NULL */
    const char *proxy;   /* its name without a password, or NULL */
};

/* An answer that is not the one wanted, as far as it was seen. */
struct s3_verdict_answer {
    int status;
    bool is_bucket;         /* it was asked about the bucket, not about an object */
    struct xml_error error; /* what the <Error> said; "" where there was none, but for the message: then it is the first
                               line of a plain text that came instead */
    const char *content_type, *location; /* or NULL, or "" */
};

/* Sets *e, returns whether another attempt may help. A 404 of a web page or of JSON is ERR_PROTOCOL: it does not come
 * from a store, and says nothing about what one has. */
bool s3_verdict_http(const struct s3_verdict_place *at, const struct s3_verdict_answer *a, struct err *e);

/* Whether that is no answer of S3, whose documents are XML. */
bool s3_verdict_is_foreign(const char *content_type);

/* An answer of 2xx whose document is foreign. Sets *e. */
void s3_verdict_page(const struct s3_verdict_place *at, int status, const char *content_type, struct err *e);

/* What is said of one object in an answer about several (S3 API, DeleteObjects), which has no status of its own. Kinds
 * as above, ERR_CONFIG for codes that no table has. Sets *e, returns whether another attempt may help. */
bool s3_verdict_code(const struct xml_error *error, struct err *e);

/* libcurl's own failure: no answer, or not a whole one. `os_error` is CURLINFO_OS_ERRNO, or with
 * CURLE_ABORTED_BY_CALLBACK the errno of what libcurl's handle cannot go on without; `verify` is
 * CURLINFO_SSL_VERIFYRESULT, `detail` what CURLOPT_ERRORBUFFER says. */
struct s3_verdict_failure {
    CURLcode code;
    long os_error;
    long verify;
    const char *detail;
};
bool s3_verdict_curl(const struct s3_verdict_place *at, const struct s3_verdict_failure *f, struct err *e);

/* A proxy's answer to CONNECT, CURLINFO_HTTP_CONNECTCODE, that is not 2xx. Never ERR_NOT_FOUND, and not of
 * ERR_DOMAIN_HTTP: it says nothing about what the store has. Sets *e, returns whether another attempt may help. */
bool s3_verdict_proxy(const struct s3_verdict_place *at, int status, struct err *e);

/* No connection: `why` is net/race.h's. Sets *e, of ERR_DOMAIN_CURL. */
void s3_verdict_dial(const struct s3_verdict_place *at, const struct err *why, struct err *e);

/* Whether it can be the fate of a connection that was kept too long, whose other end went while nobody looked. */
bool s3_verdict_is_stale(CURLcode code);
