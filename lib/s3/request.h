/*
 * request.h: one S3 request, retried until it is answered.
 *
 * Each attempt is signed anew. Tried again with backoff and jitter, `max_attempts` in all or as long as `patience_ms`
 * says: connections that fail or stall, answers 500, 502, 503, 504, 429, 408, and the codes SlowDown, InternalError,
 * RequestTimeout, ServiceUnavailable, OperationAborted, ConditionalRequestConflict, also as an <Error> inside a 200 (S3
 * API, CompleteMultipartUpload, CopyObject, DeleteObjects). RequestTimeTooSkewed and a 403 whose Date is far from ours
 * correct the clock and are tried again once, at once; a signature that is refused is tried once more where one was
 * accepted before, or with other credentials where these are fetched from somewhere; so is a kept connection that turns
 * out to be dead. A put that is refused for want of Content-MD5, as
 * S3 does where objects come under retention by default, is sent again with it, and so are all later ones of this
 * client; the same goes for a body over TLS and its SHA-256. All else is an answer.
 *
 * Errors of S3 become: 403, 401 and expired tokens ERR_AUTH; 404 ERR_NOT_FOUND; 5xx but 501 and 505, and transport
 * ERR_TRANSIENT; certificates ERR_AUTH; redirects and other 4xx ERR_CONFIG; unparsable answers ERR_PROTOCOL; with
 * `into`, 412 and 416 ERR_INTEGRITY. Domain and code are those of the HTTP status or of libcurl. The text reads "HTTP
 * 503 SlowDown: <message> (5 attempts over 61 s)".
 */
#pragma once

#include "base/bytes.h"
#include "s3/client.h"
#include "s3/lock.h"

enum s3_method { S3_GET, S3_PUT, S3_POST, S3_HEAD, S3_DELETE };

struct s3_param {
    const char *name;
    const char *value; /* "" for a query like ?uploads */
};

/* Of ERR_DOMAIN_S3: what an answer says of one object, and its status does not. */
enum s3_fault {
    S3_FAULT_ARCHIVED = 1,  /* its bytes are in an archive (S3 API, GetObject: InvalidObjectState); kind ERR_AUTH */
    S3_FAULT_HIDES_UPLOADS, /* it does not show the unfinished uploads of a prefix (dialect.h); kind ERR_CONFIG */
};

enum { S3_ETAG_MAX = 128, S3_SERVER_MAX = 24, S3_BODY_LIMIT = 8 << 20 };

/* The patience of what is not to be thrown away because the store restarts, or a network does. */
enum { S3_OUTAGE_MS = 5 * 60 * 1000 };

struct s3_response {
    int status;                 /* HTTP status, 2xx */
    char etag[S3_ETAG_MAX];     /* with its quotes, as received; "" if there was none */
    char server[S3_SERVER_MAX]; /* what the store calls itself, or ""; for dialect.h */
    uint64_t content_length;    /* bytes announced; UINT64_MAX if not */
    int64_t last_modified;      /* seconds since the epoch; 0 if not announced */
    int64_t retain_until; /* by a HEAD or GET: the store keeps the object until then, seconds since the epoch; 0: no
                             retention; INT64_MAX: one that is not understood */
    bool is_compliance;   /* so that nobody can lift it */
    bool legal_hold;      /* likewise: the store keeps it until somebody lifts the hold */
    struct bytes body;    /* at most S3_BODY_LIMIT bytes; valid during the callback; empty when `into` was given */
    const struct s3_param *metadata; /* x-amz-meta-NAME headers, names in lower case without that prefix; during the
                                        callback; at most 32 */
    size_t n_metadata;
    unsigned attempts; /* how often it was sent: of all but the last the answer was lost, or asked for another */
};

/* An attempt that failed, and another follows. */
struct s3_retry {
    const struct err *why; /* valid during the call */
    unsigned attempts;     /* made so far */
    unsigned max_attempts; /* 0: it is patience that counts */
    uint64_t left_ms;      /* of the patience */
    uint64_t wait_ms;      /* until the next attempt */
};

struct s3_request_spec {
    enum s3_method method;
    const char *key;              /* of the object, not encoded; NULL: the bucket itself. Copied. */
    const struct s3_param *query; /* not encoded; copied */
    size_t n_query;
    const struct s3_param *headers; /* beside those that the request makes itself, all of them signed; copied */
    size_t n_headers;
    struct bytes body;  /* borrowed until done or cancelled: retries send it again */
    uint64_t send_rate; /* bytes a second, on the average, that the body is sent with at most; 0: as fast as it goes */
    bool with_md5;      /* of the body, whether the store has asked for it or not; of a PUT alone */

    /*
     * Where the body of a successful GET goes instead of s3_response.body: exactly `into_len` bytes, borrowed until
     * done or cancelled. An answer broken in the middle is continued by a Range request from the byte where it broke,
     * with If-Match on the first answer's ETag, so that two versions of an object are never spliced. Shorter or longer
     * answers are ERR_INTEGRITY.
     */
    uint8_t *into;
    size_t into_len;
    uint64_t range_start; /* with `into`: the first byte wanted of the object; a Range header asks for into_len bytes */
    const char *if_match; /* ETag that the object must still have, or NULL; copied */

    /*
     * Not 0: what counts is not max_attempts but time. With `into` so many ms without another byte of it, from the
     * beginning or from the end of the last attempt that brought some; without, so many ms since the first attempt
     * failed, and max_attempts in any case, since each may take long. Then waits get longer up to 12 s.
     */
    uint64_t patience_ms;

    size_t body_limit;     /* of s3_response.body, at most S3_BODY_LIMIT; more is ERR_INTEGRITY. 0: S3_BODY_LIMIT, and
                              more is ERR_PROTOCOL */
    const char *fine_code; /* a code of S3's, such as NoSuchUpload, that is no error here, or several with spaces
                              between: then s3_response.status is not 2xx. Or NULL; copied */

    void *ctx;
    /* Once, unless cancelled; never inside s3_request_start. Exactly one of res and err is not NULL; both end with the
     * call. The request is gone when this returns. */
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
    /* For whoever waits; may be NULL. It may cancel the request. */
    void (*on_retry)(void *ctx, const struct s3_retry *retry);
    /* Bytes of this request's body (or answer) that have moved in this attempt; may be NULL. */
    void (*on_progress)(void *ctx, uint64_t bytes);
};

struct s3_request;

/* Starts it. Errors: ERR_RESOURCE, ERR_CONFIG (key too long); then nothing is started. */
struct s3_request *s3_request_start(struct s3_client *c, const struct s3_request_spec *spec, struct err *e);

/* From now on max_attempts counts, and not its patience: somebody waits for the end. */
void s3_request_hurry(struct s3_request *r);

/* Stops it without a callback. The borrowed memory is free to go when this returns. */
void s3_request_cancel(struct s3_request *r);

/* The same for who does many requests at a time (base/lanes.h). */
static inline void s3_request_cancel_work(void *request)
{
    s3_request_cancel(request);
}
