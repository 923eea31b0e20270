/*
 * object.h: the requests of the S3 API that we use on objects and listings, each with its answer parsed.
 *
 * Every function starts one operation and returns its request, to be cancelled with s3_request_cancel or
 * s3_listing_cancel; the callback comes once unless cancelled and never inside the start.
 */
#pragma once

#include "s3/request.h"

struct s3_object {
    const char *key; /* decoded; valid during the callback */
    uint64_t size;
    int64_t last_modified; /* seconds since the epoch */
};

struct s3_unfinished {
    const char *key;
    const char *upload_id;
    int64_t initiated; /* seconds since the epoch */
};

/* PutObject with a small body, borrowed until done (S3 API, PutObject). `metadata` may be NULL; names without the
 * x-amz-meta- prefix. */
struct s3_put_spec {
    const char *key;
    struct bytes body;
    const struct s3_param *metadata;
    size_t n_metadata;
    const char *if_match; /* or NULL: only over this ETag (Ceph 16 compares it without its quotes) */
    bool if_none_match;   /* only if there is none yet */
    void *ctx;
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
};
struct s3_request *s3_put(struct s3_client *c, const struct s3_put_spec *spec, struct err *e);

/* GetObject of a small object, whole, at most `limit` bytes (else ERR_INTEGRITY) into res->body. */
struct s3_get_spec {
    const char *key;
    size_t limit;
    void *ctx;
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
};
struct s3_request *s3_get(struct s3_client *c, const struct s3_get_spec *spec, struct err *e);

/* HeadObject: size, ETag, metadata. A missing object is ERR_NOT_FOUND. */
struct s3_request *s3_head(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e);

/* DeleteObject. S3 answers 204 also when there was none. */
struct s3_request *s3_delete(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e);

/* AbortMultipartUpload. An upload that is gone (404 NoSuchUpload) counts as aborted; res->status is 404 then. */
struct s3_request *s3_abort(struct s3_client *c, const char *key, const char *upload_id, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e);

/*
 * ListObjectsV2 and ListMultipartUploads, page after page until the end; objects with encoding-type=url, so that any
 * key survives XML. (Not uploads: Ceph encodes their keys then without saying so.) Each item is shown once, in the
 * server's order. on_done with NULL means that the listing is complete; with an error, that what was shown is not the
 * whole. A store whose names do not ascend, do not begin with the prefix, or whose pages do not advance is
 * ERR_PROTOCOL.
 */
struct s3_listing;
struct s3_listing_spec {
    const char *prefix; /* copied */
    void *ctx;
    int (*on_object)(void *ctx, const struct s3_object *o, struct err *e);         /* for s3_list_objects */
    int (*on_unfinished)(void *ctx, const struct s3_unfinished *u, struct err *e); /* for s3_list_unfinished */
    void (*on_done)(void *ctx, const struct err *err);
};
struct s3_listing *s3_list_objects(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e);
struct s3_listing *s3_list_unfinished(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e);
void s3_listing_cancel(struct s3_listing *l);
