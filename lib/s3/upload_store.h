/*
 * upload_store.h: the store, as the steps of one upload speak to it. For upload*.c alone.
 *
 *     upload.c         the owner: its states, what may be asked of it when; it starts the steps, and they report to it
 *     upload_create.c  CreateMultipartUpload
 *     upload_parts.c   from bytes to stored parts, by way of the spool if need be
 *     upload_buffers.c memory for parts
 *     upload_commit.c  CompleteMultipartUpload, and the HEADs before and after it
 *     upload_abort.c   leaving nothing behind in the store
 *     upload_store.c   what all their requests have in common
 *
 * A step knows what is below it and calls its owner by what it was given at the start, and by nothing else.
 */
#pragma once

#include "s3/client_inside.h"
#include "s3/parts.h"
#include "s3/upload.h"

/* What all requests of an upload share. Lives as long as any of them. */
struct upload_store {
    struct s3_client *client;
    char *key;            /* owned */
    int64_t started;      /* our clock, seconds since the epoch */
    uint64_t outage_ms;   /* s3_upload_spec */
    bool hurried;         /* somebody waits for the end: no patience */
    bool leaving;         /* the abort has begun: it has what is left of outage_ms since the store last did something */
    uint64_t answered_ms; /* when the store last did what it was asked for, by uv_now */
    unsigned retries;     /* attempts beyond the first */
    char etag[S3_ETAG_MAX]; /* of our object, once it is visible; "" if nobody named one */
    void *ctx;              /* of on_retry */
    void (*on_retry)(void *ctx, const struct s3_retry *retry); /* s3_upload_spec */
    uint64_t told_ms;                                          /* when it was last told; 0: never */
};

/* Errors: ERR_RESOURCE. */
int upload_store_init(struct upload_store *s, struct s3_client *c, const struct s3_upload_spec *spec, struct err *e);
void upload_store_reset(struct upload_store *s);

uv_loop_t *upload_store_loop(const struct upload_store *s);

/* How long a request that starts now may fail, in ms; 0: max_attempts counts. */
uint64_t upload_store_patience(const struct upload_store *s);

/* Whether the store says that this (seconds since the epoch) happened after our start, by its clock. */
bool upload_store_since_start(const struct upload_store *s, int64_t instant);

/* Whether the answer to a HEAD shows the object that these parts make. */
bool upload_store_is_ours(const struct upload_store *s, const struct parts *parts, const struct s3_response *head);

/* Our object is visible, and this is its ETag; "": it names none. */
void upload_store_saw(struct upload_store *s, const char *etag);

/* The owner may be told of another attempt. Nothing may be touched after it. */
void upload_store_tell_retry(struct upload_store *s, const struct s3_retry *retry);

/* One request of an upload, embedded in who makes it. */
struct upload_call {
    struct upload_store *store;
    struct s3_request *request; /* NULL: none is under way */
    void *ctx;
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
};

/*
 * Starts it: spec's key and callbacks are filled in here, and its patience. call->ctx and call->on_done are set by the
 * caller; on_done comes once unless cancelled, never inside the start; then the call can be used again. Errors:
 * ERR_RESOURCE, ERR_CONFIG.
 */
int upload_call_start(struct upload_call *call, struct s3_request_spec spec, struct err *e);

/* The same with the patience that is given: 0, max_attempts counts. */
int upload_call_start_within(
        struct upload_call *call, struct s3_request_spec spec, uint64_t patience_ms, struct err *e);

bool upload_call_is_under_way(const struct upload_call *call);

/* From now on max_attempts counts. Fine if nothing is under way, as is the next. */
void upload_call_hurry(struct upload_call *call);

/* Without a callback. */
void upload_call_cancel(struct upload_call *call);
