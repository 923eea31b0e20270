/*
 * check_bucket_inside.h: what check_bucket.c does, step by step, and check_judge.c tells of. For these two alone.
 */
#pragma once

#include "base/bytes.h"
#include "catalog/name.h"
#include "job/check/check_bucket.h"
#include "s3/object.h"
#include "s3/xml.h"
#include "s3/xml_list.h"

/* More ids than four requests, each repeated, make of one name. */
enum { IDS_MAX = 32, ID_MAX = XML_VERSION_ID_MAX, RANGE_FIRST = 5, RANGE_LEN = 4 };

/* What is written. */
#define CHECK_CONTENT "etcd-backupd looks whether it may write here, and takes this away again.\n"

/* In this order. */
enum step {
    LIST,
    VERSIONING,
    LOCK,
    LIFECYCLE,
    LOCK_NOTHING,     /* where s3_client.object_lock is wanted */
    LIST_NO_VERSIONS, /* this and the next: where versions are kept, or nobody knows */
    DELETE_NO_VERSION,
    DELETE_NOTHING, /* makes a mark there, which is a version */
    ABORT_NOTHING,
    CREATE,
    LIST_UPLOADS,
    LIST_PARTS,
    ABORT, /* once for each upload */
    PUT,
    PUT_AGAIN,
    GET,
    RANGE,
    DELETE,
    LIST_VERSIONS,
    DELETE_VERSION, /* once for each */
    N_STEPS
};

struct check_bucket {
    struct core *core;
    struct check_report *report;
    struct s3_client *client;
    struct s3_request *request;
    struct s3_listing *listing;
    enum step step;
    char name[NAME_TEXT_MAX]; /* of what is tried */
    char upload_id[XML_UPLOAD_ID_MAX];
    uint64_t objects;
    unsigned tried;      /* a bit a step: its request was sent, so it may have done its work whatever came back */
    bool is_seen;        /* the upload, in the list of them */
    bool hides_uploads;  /* the store does: nobody asks it for the parts of any */
    bool is_upload_sure; /* that of `upload_id` is the only one that was made, or none was */
    bool keeps_versions, locks; /* or nobody knows */
    bool has_lock;              /* the bucket was made with Object Lock, for all that is known */
    char lock_body[S3_LOCK_BODY_MAX];
    bool may_delete, may_list_versions, may_delete_versions, may_abort;
    bool is_stored, has_created;
    bool is_ending;            /* what was made is taken away, and no more */
    char ids[IDS_MAX][ID_MAX]; /* what is still to be taken away: first of uploads, then of versions */
    unsigned n_ids;
    uint8_t range[RANGE_LEN];
    void *ctx;
    void (*on_done)(void *ctx);
};

#define OK(b, what, ...)            check_report_add((b)->report, FINDING_OK, "bucket", what, "", __VA_ARGS__)
#define WARN(b, what, affects, ...) check_report_add((b)->report, FINDING_WARNING, "bucket", what, affects, __VA_ARGS__)
#define FAIL(b, what, affects, ...) check_report_add((b)->report, FINDING_FAILS, "bucket", what, affects, __VA_ARGS__)

/* Tells what came of the step that b->step is, and notes what the others go by. One of res and err is not NULL. */
void check_judge(struct check_bucket *b, const struct s3_response *res, const struct err *err);

/* The same of a listing; NULL: it is whole. */
void check_judge_listing(struct check_bucket *b, const struct err *err);

void check_judge_clock(const struct check_bucket *b);

/* Whether what is put has to be under lock. */
bool check_wants_lock(const struct check_bucket *b);

/* Only a right is missing, and other things may be allowed. */
bool check_is_right(const struct err *err);
