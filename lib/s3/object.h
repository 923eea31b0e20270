/*
 * object.h: the requests of the S3 API that we use on objects and listings, each with its answer parsed.
 *
 * Every function starts one operation and returns its request, to be cancelled with s3_request_cancel or
 * s3_listing_cancel; the callback comes once unless cancelled and never inside the start.
 */
#pragma once

#include "s3/request.h"

struct s3_object {
    const char *key;  /* decoded; valid during the callback */
    const char *etag; /* as received, mostly in quotes; "" if the store tells none; valid during the callback */
    uint64_t size;
    int64_t last_modified; /* seconds since the epoch */
};

struct s3_unfinished {
    const char *key;
    const char *upload_id;
    int64_t initiated; /* seconds since the epoch */
};

/* One version of an object, or a mark that says "deleted from here on". In a bucket without versioning each object has
 * one, whose id is "null". */
struct s3_version {
    const char *key;        /* valid during the callback, as is version_id */
    const char *version_id; /* opaque; never "" */
    bool is_latest;         /* what a request without a version id finds; at most one of a key */
    bool is_delete_marker;  /* then it has no bytes: s3_get finds nothing, s3_delete_version takes it away */
    int64_t last_modified;  /* seconds since the epoch */
    uint64_t size;          /* bytes; 0 for a delete marker */
};

/* PutObject with a small body, borrowed until done (S3 API, PutObject). `metadata` may be NULL; names without the
 * x-amz-meta- prefix. */
struct s3_put_spec {
    const char *key;
    struct bytes body;
    const struct s3_param *metadata;
    size_t n_metadata;
    struct s3_lock lock; /* or none */
    bool legal_hold; /* put under one, which somebody must lift (S3 API, "Object Lock"); needs s3:PutObjectLegalHold */
    /*
     * Conditions. Not for a versioned bucket on Ceph 16: it looks for them at the version that is about to be made, and
     * so answers any if_match with 412 and never refuses an if_none_match.
     */
    const char *if_match; /* or NULL: only over this ETag, as it was received; sent as the store wants it (dialect.h) */
    bool if_none_match;   /* only if there is none yet */
    uint64_t patience_ms; /* as in s3_request_spec */
    void *ctx;
    void (*on_retry)(void *ctx, const struct s3_retry *retry); /* or NULL */
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
};
struct s3_request *s3_put(struct s3_client *c, const struct s3_put_spec *spec, struct err *e);

/* GetObject of a small object, whole, at most `limit` bytes (else ERR_INTEGRITY) into res->body. A version that is gone
 * or is a delete marker is ERR_NOT_FOUND (S3 itself says 405 of a marker: ERR_CONFIG). Errors of the start: ERR_CONFIG
 * also for a version id "". */
struct s3_get_spec {
    const char *key;
    const char *version_id; /* NULL: the current one */
    size_t limit;
    uint64_t patience_ms; /* as in s3_request_spec */
    void *ctx;
    void (*on_retry)(void *ctx, const struct s3_retry *retry); /* or NULL */
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
};
struct s3_request *s3_get(struct s3_client *c, const struct s3_get_spec *spec, struct err *e);

/* HeadObject: size, ETag, metadata. A missing object is ERR_NOT_FOUND. */
struct s3_request *s3_head(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e);

/* DeleteObject. S3 answers 204 also when there was none. */
struct s3_request *s3_delete(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e);

/*
 * DeleteObject of one version for good, or of a delete marker, which uncovers the version under it. One that is gone
 * counts as deleted: S3 and Ceph answer 204, others 404 NoSuchVersion or NoSuchKey, which res->status is then. One
 * under a retention or legal hold is 403, ERR_AUTH. The id "" is refused with ERR_CONFIG, since stores take it for none
 * and would delete what is current.
 */
struct s3_request *s3_delete_version(struct s3_client *c, const char *key, const char *version_id, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e);

/* AbortMultipartUpload. An upload that is gone (404 NoSuchUpload) counts as aborted; res->status is 404 then. */
struct s3_request *s3_abort(struct s3_client *c, const char *key, const char *upload_id, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e);

/* ListParts: of the parts of an upload with a number greater than `after` (at most 10,000), a page, which s3_parts_read
 * reads. An upload that is gone (404 NoSuchUpload) has none; res->status is 404 then. */
struct s3_request *s3_list_parts(struct s3_client *c, const char *key, const char *upload_id, unsigned after, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e);

struct s3_parts_page {
    int64_t newest; /* when the newest of these parts was stored, seconds since the epoch; 0: there are none */
    unsigned next;  /* more follow, after this number; 0: none do */
};
/* Errors: as in xml.h. */
int s3_parts_read(const struct s3_response *res, struct s3_parts_page *out, struct err *e);

/*
 * ListObjectsV2, ListMultipartUploads and ListObjectVersions, page after page until the end; objects with
 * encoding-type=url, so that any key survives XML. (Not uploads: Ceph encodes their keys then without saying so. Nor
 * versions: Ceph then encodes all names but NextKeyMarker, and S3 that one, too. There a name that XML cannot hold is
 * ERR_PROTOCOL.) Each item is shown once, in the server's order. on_done with NULL means that the listing is complete;
 * with an error, that what was shown is not the whole. A store whose names do not ascend, do not begin with the prefix,
 * or whose pages do not advance is ERR_PROTOCOL.
 *
 * The versions of one key follow each other, the newest first as far as the store keeps its word (S3 API,
 * ListObjectVersions). Pages are not taken at one instant: what changes meanwhile may be shown as it was before.
 */
struct s3_listing;
struct s3_listing_spec {
    const char *prefix; /* copied */
    void *ctx;
    int (*on_object)(void *ctx, const struct s3_object *o, struct err *e);         /* for s3_list_objects */
    int (*on_unfinished)(void *ctx, const struct s3_unfinished *u, struct err *e); /* for s3_list_unfinished */
    int (*on_version)(void *ctx, const struct s3_version *v, struct err *e);       /* for s3_list_versions */
    uint64_t patience_ms;                                                          /* for each page */
    void (*on_retry)(void *ctx, const struct s3_retry *retry);                     /* of a page; or NULL */
    void (*on_done)(void *ctx, const struct err *err);
};
struct s3_listing *s3_list_objects(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e);
struct s3_listing *s3_list_unfinished(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e);
struct s3_listing *s3_list_versions(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e);
void s3_listing_cancel(struct s3_listing *l);
