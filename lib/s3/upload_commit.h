/*
 * upload_commit.h: the step of an upload that makes its object visible: CompleteMultipartUpload, and HEADs that look
 * before it whether the name is taken, and behind it whether the object is there. Where the name must be new the store
 * is asked to see to it, too (If-None-Match: *). Where the last
 * look shows no lock that was asked for, it is asked for again (PutObjectRetention).
 */
#pragma once

#include "s3/upload_store.h"
#include "s3/xml.h"

struct upload_commit_spec {
    struct upload_store *store; /* borrowed, like all here, until the end */
    const struct parts *parts;  /* all stored */
    const char *id;
    bool must_be_new;
    struct s3_lock lock; /* asked for when the upload was created; or none */
    void *ctx;
    /* Once unless cancelled, never inside the start. err NULL: S3_OUTCOME_VISIBLE; else it is valid during the call. */
    void (*on_done)(void *ctx, enum s3_outcome outcome, const struct err *err);
};

struct upload_commit {
    struct upload_commit_spec spec;
    struct upload_call call;
    char lock_body[S3_LOCK_BODY_MAX];
    struct buf body;         /* of CompleteMultipartUpload */
    bool is_conditional;     /* it is to be done only where there is no such object */
    bool may_not_ask;        /* the store refused that condition */
    bool is_sent;            /* the request was started: it may take effect */
    bool is_completed;       /* it was answered with success */
    char etag[XML_ETAG_MAX]; /* of the object, by that answer; "" if it said none */
    struct err commit_err;   /* or how it failed */
    struct err lock_err;     /* why the object may not be under its lock; or kind 0 */
    struct err unseen_err;   /* why the object could not be looked at, of one that the store has completed; or kind 0 */
};

/* Errors: ERR_RESOURCE, ERR_PROTOCOL. */
int upload_commit_start(struct upload_commit *c, const struct upload_commit_spec *spec, struct err *e);

/* Without a callback; fine if it was not started. is_sent and is_completed stay. */
void upload_commit_cancel(struct upload_commit *c);
