/*
 * check_bucket_inside.h: what check_bucket.c does, step by step, and check_judge.c tells of. For these two alone.
 */
#pragma once

#include "base/bytes.h"
#include "job/check/check_bucket.h"
#include "s3/object.h"
#include "s3/xml.h"

enum { VERSIONS_MAX = 8, VERSION_ID_MAX = 1024, RANGE_FIRST = 5, RANGE_LEN = 4 };

/* What is written. */
#define CHECK_CONTENT "etcd-backupd looks whether it may write here, and takes this away again.\n"

/* In this order. */
enum step {
    LIST,
    VERSIONING,
    LOCK,
    LIFECYCLE,
    DELETE_NOTHING,
    DELETE_NO_VERSION,
    ABORT_NOTHING,
    CREATE,
    LIST_UPLOADS,
    ABORT,
    PUT,
    PUT_AGAIN,
    GET,
    RANGE,
    DELETE,
    LIST_VERSIONS,
    DELETE_VERSION,
    N_STEPS
};

struct check_bucket {
    struct core *core;
    struct check_report *report;
    struct s3_client *client;
    struct s3_request *request;
    struct s3_listing *listing;
    enum step step;
    char *name; /* of what is tried */
    char upload_id[XML_UPLOAD_ID_MAX];
    uint64_t objects;
    bool is_seen; /* the upload, in the list of them */
    bool keeps_versions, locks;
    bool may_delete, may_delete_versions, may_abort;
    bool is_stored, has_created;
    bool is_ending; /* what was made is taken away, and no more */
    char versions[VERSIONS_MAX][VERSION_ID_MAX];
    unsigned n_versions;
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

/* Only a right is missing, and other things may be allowed. */
bool check_is_right(const struct err *err);
