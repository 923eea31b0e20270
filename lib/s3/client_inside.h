/*
 * client_inside.h: what requests use of their client. For this room alone.
 *
 * A request takes a slot before each attempt and gives it back after, so that there are never more than max_connections
 * connections, and whoever waits does so before it signs: a signature is good for minutes only.
 */
#pragma once

#include <sys/queue.h>

#include "http/multi.h"
#include "http/proxy.h"
#include "net/race.h"
#include "s3/client.h"
#include "s3/dialect.h"
#include "s3/request.h"
#include "s3/sign.h"
#include "s3/url.h"

uv_loop_t *s3_client_loop(struct s3_client *c);
const struct s3_conf *s3_client_conf(const struct s3_client *c);
struct http_multi *s3_client_multi(struct s3_client *c);
const struct s3_url_target *s3_client_target(const struct s3_client *c);
const struct http_proxy *s3_client_proxy(const struct s3_client *c); /* its url is NULL where there is none */
/* The host for people, with the proxy that stands before it. */
const char *s3_client_shown(const struct s3_client *c);

/* What is known of the addresses: one that answered is tried first from then on, one that did not, though it could be
 * connected to, last. */
void s3_client_saw_address(struct s3_client *c, const union race_address *a, bool answered);
void s3_client_sort_addresses(const struct s3_client *c, struct race_addresses *a);

/* Embedded in who waits for a slot. */
struct s3_client_waiter {
    void (*on_slot)(struct s3_client_waiter *w); /* the slot is taken for it; may not call back any owner */
    bool waiting;
    TAILQ_ENTRY(s3_client_waiter) link;
};
/* True: the slot is taken. False: on_slot will tell. */
bool s3_client_take_slot(struct s3_client *c, struct s3_client_waiter *w);
/* The slot goes to who has waited longest. */
void s3_client_give_slot(struct s3_client *c);
/* No longer wanted; fine if it does not wait. */
void s3_client_leave(struct s3_client *c, struct s3_client_waiter *w);

/* The credentials for a signature now. Errors: as the owner's callback. */
int s3_client_credentials(struct s3_client *c, struct s3_credentials *out, struct err *e);

/* As those of s3_conf, with NULL for what is not there. */
bool s3_client_wait_for_credentials(struct s3_client *c, struct wait_link *w);
void s3_client_leave_credentials(struct s3_client *c, struct wait_link *w);
bool s3_client_refuse_credentials(struct s3_client *c, const char *access_key);

/* What the owner wants of what is put, beside its metadata: headers of PutObject and CreateMultipartUpload (S3 API). Of
 * an `upload` also the storage class. Returns how many; the texts are the client's. */
enum { S3_PUT_HEADERS_MAX = 4 };
size_t s3_client_put_headers(const struct s3_client *c, bool upload, struct s3_param out[S3_PUT_HEADERS_MAX]);

/* Appends Authorization for *r, whose region and time the client fills in. */
int s3_client_sign(struct s3_client *c, struct sign_request *r, struct buf *out, struct err *e);

/* Now, by the clock that the server accepts. */
int64_t s3_client_now(const struct s3_client *c);

/* A Date header: `server` seconds since the epoch. */
void s3_client_saw_date(struct s3_client *c, int64_t server);

/* The store has accepted a signature; whether it ever has. */
void s3_client_saw_accepted(struct s3_client *c);
bool s3_client_was_accepted(const struct s3_client *c);

/* Seconds that signatures are corrected by. */
int64_t s3_client_used_skew(const struct s3_client *c);

/*
 * A signature corrected by `used` was refused. From now on the server's own time is used, by its last Date. `certain`:
 * it said that time was the reason; otherwise that is assumed only if the clocks differ by minutes. False when that is
 * no news, so that trying again would be the same again.
 */
bool s3_client_correct_clock(struct s3_client *c, int64_t used, bool certain);
