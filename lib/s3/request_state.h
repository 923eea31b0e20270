/*
 * request_state.h: what is inside a request. For request.c, attempt.c and headers.c alone.
 *
 *     request.c   the life of a request: waiting for a slot, attempts, waits between them, its end
 *     attempt.c   one attempt: curl's options and callbacks, and the watch over it
 *     connect.c   the connection of an attempt, where curl has none that is kept
 *     outcome.c   what came of it
 *     headers.c   what is sent in an attempt's head, and its signature
 */
#pragma once

#include <curl/curl.h>
#include <uv.h>

#include "base/backoff.h"
#include "s3/answer.h"
#include "s3/body_digest.h"
#include "s3/client_inside.h"
#include "s3/request.h"
#include "s3/right.h"
#include "s3/verdict.h"

#define S3_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

enum { S3_ACCESS_KEY_MAX = 1025 };

struct s3_request_header {
    char *name, *value;
};

struct s3_request {
    struct s3_client *client;

    /* What is asked for. The strings are ours; body and into are the owner's. */
    enum s3_method method;
    struct buf path, query, url; /* encoded, with a 0 */
    struct s3_request_header *headers;
    size_t n_headers;
    struct bytes body;
    char payload_hash[65]; /* "" until the first attempt */
    uint64_t send_rate;
    bool with_md5;
    char md5[BODY_DIGEST_MAX]; /* of the body; "" until the store wants it */
    uint8_t *into;
    size_t into_len;
    uint64_t range_start;
    uint64_t patience_ms; /* 0: max_attempts counts */
    char *if_match, *fine_code;
    bool is_bucket;        /* not an object: its answers are XML */
    char *key;             /* as it was given, for people; NULL: the bucket */
    struct s3_right right; /* that it needs */
    size_t body_limit;
    bool body_limit_is_integrity;
    void *ctx;
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
    void (*on_retry)(void *ctx, const struct s3_retry *retry);
    void (*on_progress)(void *ctx, uint64_t bytes);

    /* One timer for all: the turn of the loop before an attempt, the watch over it, the wait after it. */
    uv_timer_t timer;
    struct s3_client_waiter waiter;
    bool has_slot;
    struct wait_link credentials;

    /* The connection, see connect.c. */
    struct race_addresses addresses; /* that curl was about to connect to in this pass */
    struct race *dial;
    union race_address address; /* of the connection that was made for this attempt; the family 0: of none */
    int ready_fd;               /* connected, for curl to take; or -1 */
    bool dialed;                /* in this attempt */

    /* The attempt. */
    CURL *easy;
    struct http_multi_transfer transfer;
    struct curl_slist *lines;
    char curl_error[CURL_ERROR_SIZE];
    struct s3_answer answer;
    struct buf answer_body;
    bool lacks_option;  /* that curl could not copy */
    struct err stopped; /* why we stopped curl; ERR_NONE otherwise */
    bool connected;
    bool fills_packets;
    size_t sent;    /* bytes of body that curl has taken */
    uint64_t moved; /* bytes in both directions, for the watch */
    uint64_t seen_moved, seen_change_ms;
    int seen_unsent;
    size_t into_begun;                /* into_done when the attempt began */
    int64_t used_skew;                /* what its signature was corrected by */
    char used_key[S3_ACCESS_KEY_MAX]; /* the access key that it was made with */

    /* Over the attempts. */
    size_t into_done;      /* bytes of `into` that are there */
    size_t into_most;      /* that were ever there: a store without ETags makes us begin again */
    uint64_t into_grew_ms; /* or, without `into`, when the first attempt failed */
    char into_etag[S3_ETAG_MAX];
    unsigned attempts;
    unsigned resent; /* within attempts */
    bool fresh, went_stale, corrected_clock, signed_again, renewed;
    bool signs_payload; /* though it is protected by TLS */
    struct backoff backoff;
    uint64_t start_ms;
    struct s3_response response;
};

/* What to do after an attempt. */
enum s3_attempt_end {
    S3_ATTEMPT_DONE,    /* r->response is the answer */
    S3_ATTEMPT_FAILED,  /* for good */
    S3_ATTEMPT_AGAIN,   /* after a wait */
    S3_ATTEMPT_AT_ONCE, /* the connection was dead, the clock is corrected, or other credentials come */
};

/* Signs and starts an attempt, or with dialed set its second pass. Errors: ERR_RESOURCE, ERR_CONFIG, those of the
 * credentials. */
int s3_attempt_start(struct s3_request *r, struct err *e);

/* Sets an option of curl whose text curl copies: without a CA file or a proxy it would go on as if there were none. */
void s3_attempt_text(struct s3_request *r, CURLoption option, const char *text);

/* connect.c: curl's options; whether curl has ended because it needs a connection, which then is made: `on_connected`
 * follows, err NULL or why not, unless s3_connect_forget comes first. */
void s3_connect_set(struct s3_request *r);
bool s3_connect_is_wanted(const struct s3_request *r, CURLcode code);
int s3_connect_start(struct s3_request *r, struct err *e);
void s3_connect_forget(struct s3_request *r);
void s3_request_connected(struct s3_request *r, const struct err *err);

/* curl is done with it: what that means. Unless DONE, *e says why. */
enum s3_attempt_end s3_attempt_end(struct s3_request *r, CURLcode code, struct err *e);

/* Looks whether bytes have moved since the last look; true when none have for too long, which then is why the attempt
 * was stopped. */
bool s3_attempt_stalled(struct s3_request *r);

/* Milliseconds between looks. */
uint64_t s3_attempt_look_ms(const struct s3_request *r);

/* Makes r->lines, the head of the next attempt. Errors: ERR_CONFIG (a value that cannot be in a header), ERR_RESOURCE,
 * those of the credentials. */
int s3_headers_make(struct s3_request *r, struct err *e);

/* Wipes and frees r->lines: they hold the session token. */
void s3_headers_free(struct s3_request *r);

/* Blanks `text`, which a server sent, if it quotes a secret of r->lines. */
void s3_headers_redact(const struct s3_request *r, char *text);

const char *s3_headers_method(enum s3_method method);

/* Where it goes, for what is told of a failure. */
struct s3_verdict_place s3_outcome_place(const struct s3_request *r);
